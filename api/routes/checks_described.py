"""What the routes of /api/monitoring/checks say of themselves."""

from __future__ import annotations

from typing import Any

from api.monitoring_schemas import CheckBody, CheckChange, CheckListBody, CheckRequest
from api.operations import MIN_POSITION, Body, Operation, Reply
from api.versions import IF_MATCH
from domain.permissions import Permission

_RULES = (
    "The target is a URL (http or https), which has to answer with `expected_status` and hold "
    "`body_text` within `timeout` seconds, or an address (tcp://host:port), which has to accept "
    "a connection. It is looked at every `interval` seconds by one process; two failed looks in "
    "a row are a downtime. Private and loopback addresses are refused at the time of the look, "
    "unless ALLOW_PRIVATE_TARGETS=on: the check is `unknown` then, and `reason` says so. Redirects "
    "are not followed."
)

_URL: dict[str, Any] = {
    "name": "Shop front page",
    "target": "https://shop.example.com/",
    "interval": 60,
    "timeout": 5,
    "expected_status": 200,
    "body_text": "Welcome",
}

_ADDRESS: dict[str, Any] = {"name": "Mail server", "target": "tcp://mail.example.com:25"}

_NEW: dict[str, Any] = {
    "id": "5b0c9e0e-8d5e-4b1a-9f0e-2c9a3c1d7e42",
    **_URL,
    "enabled": True,
    "status": "unknown",
    "uptime_percent": None,
    "response_time_ms": None,
    "last_checked": None,
    "reason": None,
    "version": 1,
    "created_at": "2025-08-29T12:00:00Z",
    "updated_at": "2025-08-29T12:00:00Z",
}

_SEEN: dict[str, Any] = {
    **_NEW,
    "status": "healthy",
    "uptime_percent": 99.95,
    "response_time_ms": 81.4,
    "last_checked": "2025-08-29T12:05:00Z",
}

LIST_CHECKS = Operation(
    summary="List custom checks",
    tag="monitoring",
    permission=Permission.READ,
    description="Oldest first, each with its latest result and its uptime of 30 days.",
    parameters=(MIN_POSITION,),
    replies={200: Reply("The checks.", CheckListBody, example={"checks": [_SEEN]})},
    failures=(400, 503),
)

CREATE_CHECK = Operation(
    summary="Create a custom check",
    tag="monitoring",
    permission=Permission.ADMIN,
    description=_RULES,
    body=Body(CheckRequest, {"url": _URL, "address": _ADDRESS}),
    replies={201: Reply("The check.", CheckBody, example=_NEW, position=True)},
    failures=(400, 413, 415, 503),
)

GET_CHECK = Operation(
    summary="Get one custom check",
    tag="monitoring",
    permission=Permission.READ,
    parameters=(MIN_POSITION,),
    replies={200: Reply("The check.", CheckBody, example=_SEEN)},
    failures=(400, 404, 503),
)

CHANGE_CHECK = Operation(
    summary="Change a custom check",
    tag="monitoring",
    permission=Permission.ADMIN,
    description=(
        "Changes what is given and leaves the rest. A check that is switched off is watched no "
        "more: a downtime that was going on ends, and the uptime begins anew when it is switched "
        "on again. A change to what is so already is no event."
    ),
    parameters=(IF_MATCH,),
    body=Body(CheckChange, {"all": _URL, "switch off": {"enabled": False}}),
    replies={
        200: Reply(
            "The check after the change.",
            CheckBody,
            example={**_NEW, "enabled": False, "version": 2},
            position=True,
        )
    },
    failures=(400, 404, 409, 413, 415, 503),
)

DELETE_CHECK = Operation(
    summary="Delete a custom check",
    tag="monitoring",
    permission=Permission.ADMIN,
    parameters=(IF_MATCH,),
    replies={204: Reply("It is gone.", position=True)},
    failures=(400, 404, 409, 503),
)
