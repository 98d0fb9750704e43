"""What GET /api/audit/events says of itself."""

from __future__ import annotations

from typing import Any

from api.files import MEDIA_TYPES
from api.history_schemas import AuditBody
from api.operations import (
    CURSOR,
    LIMIT,
    MIN_POSITION,
    Operation,
    Parameter,
    Reply,
    choice,
    moment,
    text,
)
from domain.catalog import EVENTS
from domain.history import KIND_WORDS
from domain.permissions import Permission

ORDERS = ("desc", "asc")
MAX_POSITION = 10**18 - 1

_EVENT: dict[str, Any] = {
    "position": 4712,
    "recorded_at": "2025-08-29T12:06:00.123456Z",
    "name": "ApiKeyRevoked",
    "stream_id": "0c5a4d5e-6a0f-4b7e-9d57-3f6f1f9b7c21",
    "stream_version": 2,
    "event_id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
    "actor": "member:3e0c8f6a-1b7d-5c2e-9f40-6a5b4c3d2e1f",
    "correlation_id": "req-790",
    "causation_id": "req-790",
    "address": "192.0.2.7",
    "changes": [{"field": "revoked", "before": False, "after": True}],
    "kind": "api_key",
    "data": {
        "key_id": "0c5a4d5e-6a0f-4b7e-9d57-3f6f1f9b7c21",
        "key_hash": "****",
        "app": "*",
    },
}


def _position(name: str, description: str, least: int = 0) -> Parameter:
    schema = {"type": "integer", "minimum": least, "maximum": MAX_POSITION}
    return Parameter(name, schema, description, 42)


LIST_EVENTS = Operation(
    summary="The audit trail",
    tag="audit",
    permission=Permission.ADMIN,
    description=(
        "Every event of the log that the filters let through; a key of one application sees those "
        "of its own. With `Accept: application/x-ndjson` or `text/csv` all of them are sent as a "
        "file, oldest first, of any size: its first line says which positions it covers (of CSV: "
        "the last), its last line holds the number of events, the SHA-256 of all before that line, "
        "and the end of the chain of the events' own SHA-256. A file without that line is not "
        "whole. A filter without `stream` looks at every event of the range: where that takes "
        "long, a page ends early with a `next_cursor`."
    ),
    parameters=(
        LIMIT,
        CURSOR,
        choice("order", ORDERS, "Newest first (desc), or oldest first.", "desc"),
        Parameter("stream", {"type": "string", "format": "uuid"}, "Only this stream's.", None),
        choice("kind", tuple(sorted(KIND_WORDS)), "Only streams of this kind.", "api_key"),
        choice("name", tuple(sorted(EVENTS)), "Only events of this name.", "ApiKeyRevoked"),
        text("actor", "Only what this one did: `member:<id>`, `key:<id>`, `system:<part>`.", None),
        text("app", "Only what is about this application.", "default"),
        text("correlation_id", "Only what belongs to this request (X-Request-ID).", "req-789"),
        moment("since", "Recorded at this time or later."),
        moment("until", "Recorded at this time or earlier."),
        _position("after", "Only positions above this one."),
        _position("before", "Only positions below this one."),
        _position("position", "Only this position.", 1),
        MIN_POSITION,
    ),
    replies={
        200: Reply(
            "A page of events, or all of them as a file.",
            AuditBody,
            example={"events": [_EVENT], "limit": 50, "order": "desc", "next_cursor": "p4712"},
            files=tuple(MEDIA_TYPES),
        )
    },
    failures=(400, 503),
)
