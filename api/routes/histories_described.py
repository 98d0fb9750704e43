"""What the routes of histories say of themselves."""

from __future__ import annotations

from typing import Any

from api.files import MEDIA_TYPES
from api.history_schemas import HistoryBody
from api.operations import CURSOR, LIMIT, MIN_POSITION, AsOf, Operation, Reply
from domain.permissions import Permission

_ENTRY: dict[str, Any] = {
    "position": 4711,
    "recorded_at": "2025-08-29T12:05:00.123456Z",
    "name": "ErrorResolved",
    "stream_id": "550e8400-e29b-41d4-a716-446655440000",
    "stream_version": 8,
    "event_id": "7d3e1c52-88a1-4c59-a7a4-1fb3f0a2c9d8",
    "actor": "member:3e0c8f6a-1b7d-5c2e-9f40-6a5b4c3d2e1f",
    "correlation_id": "req-789",
    "causation_id": "req-789",
    "address": "192.0.2.7",
    "changes": [
        {"field": "status", "before": "open", "after": "resolved"},
        {"field": "resolved_at", "before": None, "after": "2025-08-29T12:05:00.123456Z"},
    ],
}
_DESCRIPTION = (
    "Every event, newest first: when, who, from where, and which fields it changed. It comes from "
    "the log, and goes on after a deletion. With `Accept: application/x-ndjson` or `text/csv` the "
    "whole history is sent as a file, oldest first; its last line holds the number of events and "
    "the SHA-256 of all before that line."
)


def history_of(what: str, tag: str, permission: Permission, note: str = "") -> Operation:
    """The history of one thing."""
    return Operation(
        summary=f"The history of {what}",
        tag=tag,
        permission=permission,
        description=f"{_DESCRIPTION} {note}".strip(),
        parameters=(LIMIT, CURSOR, MIN_POSITION),
        replies={
            200: Reply(
                "A page of entries, or the whole history as a file.",
                HistoryBody,
                example={"history": [_ENTRY], "limit": 50, "next_cursor": "v8"},
                files=tuple(MEDIA_TYPES),
            )
        },
        failures=(400, 404, 503),
        as_of=AsOf(),
    )


ERROR_HISTORY = history_of(
    "an error",
    "errors",
    Permission.READ,
    "`changes` is null in a page of an error that has more than 20,000 events.",
)
RULE_CHANGES = history_of("an alert rule", "alerts", Permission.READ)
INCIDENT_HISTORY = history_of("an incident", "alerts", Permission.READ)
CHECK_HISTORY = history_of("a check", "monitoring", Permission.READ)
KEY_HISTORY = history_of("an API key", "settings", Permission.ADMIN)
MEMBER_HISTORY = history_of("a member", "settings", Permission.ADMIN)
INTEGRATION_HISTORY = history_of("an integration", "settings", Permission.ADMIN)
APP_HISTORY = history_of("an application", "settings", Permission.ADMIN)
