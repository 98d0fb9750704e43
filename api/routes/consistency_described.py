"""What the route of /api/admin/consistency says of itself."""

from __future__ import annotations

from typing import Any

from api.consistency_schemas import ConsistencyBody
from api.operations import Operation, Parameter, Reply
from domain.permissions import Permission

_ERROR = "0d9e4f0b-8a6b-5a3c-9d6e-0b1f4c2a7e11"
_EQUAL: dict[str, Any] = {
    "read_model": "stats",
    "version": 1,
    "position": 1_000_310,
    "consistent": True,
    "keys": 502,
    "different": 0,
    "complete": True,
    "findings": [],
}
_STALE: dict[str, Any] = {
    **_EQUAL,
    "read_model": "error_groups",
    "consistent": False,
    "keys": 26,
    "different": 1,
    "findings": [
        {
            "key": "documents",
            "field": f"{_ERROR} latest report: count",
            "found": "16",
            "expected": "17",
            "stream_id": _ERROR,
            "since": 998_211,
            "last_event": 998_211,
        }
    ],
}
_DONE: dict[str, Any] = {
    "error_id": _ERROR,
    "status": "done",
    "consistent": False,
    "started_at": "2025-08-29T12:00:00Z",
    "finished_at": "2025-08-29T12:00:00Z",
    "position": 1_000_310,
    "target": 1_000_310,
    "comparing": None,
    "reason": None,
    "read_models": [_STALE, _EQUAL],
}
_RUNNING: dict[str, Any] = {
    **_DONE,
    "error_id": None,
    "status": "running",
    "consistent": None,
    "finished_at": None,
    "position": 420_000,
    "read_models": [],
}

GET_CONSISTENCY = Operation(
    summary="Compare what is answered with the log",
    tag="audit",
    permission=Permission.ADMIN,
    description=(
        "With `error_id`: what the read models hold of one error, compared with the fold of its "
        "own events; answered at once. Without: the whole log is folded afresh beside what is "
        "live, and all of it compared, as `errata verify` does. That goes on in the background, "
        "one at a time: 202 with its progress where it takes longer than 2 s; its result is then "
        "answered for a minute, and asking later begins anew. A rebuild mends what differs."
    ),
    parameters=(
        Parameter(
            "error_id",
            {"type": "string", "format": "uuid"},
            "The error to be looked at; everything without it.",
            None,
        ),
    ),
    replies={
        200: Reply("What was found.", ConsistencyBody, example=_DONE),
        202: Reply("The comparison goes on.", ConsistencyBody, example=_RUNNING),
    },
    failures=(400, 404),
)
