"""What the routes of /api/alerts/incidents say of themselves."""

from __future__ import annotations

from typing import Any

from api.alert_schemas import (
    IncidentBody,
    IncidentChange,
    IncidentDetailBody,
    IncidentListBody,
    IncidentRequest,
)
from api.directory import OFFSET
from api.operations import (
    CURSOR,
    LIMIT,
    MIN_POSITION,
    AsOf,
    Body,
    Operation,
    Parameter,
    Reply,
    choice,
    text,
)
from api.versions import IF_MATCH
from domain.incident import MOVES, STATUSES
from domain.permissions import Permission
from domain.vocabulary import SEVERITIES

_MEMBER = "8a1f3b52-9c0d-4f6e-8b7a-2d5e4c3b1a09"

_MOVES = "; ".join(f"{status}: {', '.join(allowed)}" for status, allowed in MOVES.items())

INCIDENT: dict[str, Any] = {
    "title": "Database Connection Timeout",
    "severity": "critical",
    "description": "Multiple database connection timeouts detected",
    "assigned_to": _MEMBER,
}

INCIDENT_ANSWER: dict[str, Any] = {
    "id": "3e0d2a4c-1b5f-4c8e-a6d7-9f8e7d6c5b4a",
    **INCIDENT,
    "status": "open",
    "rule_id": None,
    "app": "default",
    "version": 1,
    "created_at": "2025-08-29T14:30:00Z",
    "updated_at": "2025-08-29T14:30:00Z",
}

_CHANGED: dict[str, Any] = {
    **INCIDENT_ANSWER,
    "status": "investigating",
    "version": 2,
    "updated_at": "2025-08-29T14:45:00Z",
}

_DETAIL: dict[str, Any] = {
    **_CHANGED,
    "timeline": [
        {
            "position": 41,
            "at": "2025-08-29T14:30:00Z",
            "actor": "key:development",
            "event": "IncidentOpened",
            "changes": [
                {"field": "title", "before": None, "after": INCIDENT["title"]},
                {"field": "severity", "before": None, "after": "critical"},
                {"field": "status", "before": None, "after": "open"},
                {"field": "description", "before": None, "after": INCIDENT["description"]},
                {"field": "assigned_to", "before": None, "after": _MEMBER},
            ],
        },
        {
            "position": 57,
            "at": "2025-08-29T14:45:00Z",
            "actor": "key:development",
            "event": "IncidentChanged",
            "changes": [{"field": "status", "before": "open", "after": "investigating"}],
        },
    ],
}

LIST_INCIDENTS = Operation(
    summary="List incidents",
    tag="alerts",
    permission=Permission.READ,
    description="Newest first.",
    parameters=(
        LIMIT,
        OFFSET,
        CURSOR,
        choice("status", STATUSES, "Where they stand.", "open"),
        choice("severity", SEVERITIES, "How bad they are.", "critical"),
        Parameter(
            "assigned_to",
            {"type": "string", "format": "uuid"},
            "Those that this member looks after.",
            _MEMBER,
        ),
        text("app", 'The incidents of one application; "*": those of all.', "default"),
        MIN_POSITION,
    ),
    replies={
        200: Reply(
            "A page of incidents.",
            IncidentListBody,
            example={
                "incidents": [INCIDENT_ANSWER],
                "total": 1,
                "page": 1,
                "limit": 50,
                "offset": 0,
                "next_cursor": None,
            },
        )
    },
    failures=(400, 503),
    as_of=AsOf(("incidents",)),
)

OPEN_INCIDENT = Operation(
    summary="Open an incident",
    tag="alerts",
    permission=Permission.WRITE,
    description="Only a member of the team, active or invited, can look after it.",
    parameters=(text("app", "The application, unless the body names it.", None),),
    body=Body(IncidentRequest, {"incident": INCIDENT}),
    replies={201: Reply("The incident.", IncidentBody, example=INCIDENT_ANSWER, position=True)},
    failures=(400, 413, 415, 503),
)

GET_INCIDENT = Operation(
    summary="Get one incident with its timeline",
    tag="alerts",
    permission=Permission.READ,
    parameters=(MIN_POSITION,),
    replies={200: Reply("The incident.", IncidentDetailBody, example=_DETAIL)},
    failures=(400, 404, 503),
    as_of=AsOf(("incidents",), stream="incident_id"),
)

CHANGE_INCIDENT = Operation(
    summary="Change an incident",
    tag="alerts",
    permission=Permission.WRITE,
    description=(
        "Changes what is given and leaves the rest. A null assignee or description is taken away. "
        f"What a status can become: {_MOVES}; any other move is 409. A change to what is so "
        "already is no event."
    ),
    parameters=(IF_MATCH,),
    body=Body(IncidentChange, {"look into it": {"status": "investigating"}, "all": INCIDENT}),
    replies={
        200: Reply("The incident after the change.", IncidentBody, example=_CHANGED, position=True)
    },
    failures=(400, 404, 409, 413, 415, 503),
)
