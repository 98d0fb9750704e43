"""What the routes of /api/admin/rebuilds say of themselves."""

from __future__ import annotations

from typing import Any

from api.operations import Body, Operation, Reply
from api.rebuild_schemas import RebuildBody, RebuildListBody, RebuildRequest, RollbackRequest
from domain.permissions import Permission

_ASKED: dict[str, Any] = {
    "id": "7f1c2d9e-5b0a-4c3d-9e8f-1a2b3c4d5e6f",
    "kind": "rebuild",
    "status": "waiting",
    "read_models": [
        {
            "name": "error_groups",
            "from_version": 1,
            "to_version": 1001,
            "position": 0,
            "differences": None,
            "differing": [],
        }
    ],
    "expect_same": False,
    "requested_by": "key:0d9f3c1e-6a0b-4d0e-8f5a-3f1f7c2b9a10",
    "requested_at": "2025-08-29T12:00:00Z",
    "started_at": None,
    "finished_at": None,
    "position": 0,
    "target": 0,
    "events_per_second": None,
    "seconds_left": None,
    "compared_at": None,
    "reason": None,
    "cancelled_by": None,
}

_FILLING: dict[str, Any] = {
    **_ASKED,
    "status": "filling",
    "read_models": [{**_ASKED["read_models"][0], "position": 420_000}],
    "started_at": "2025-08-29T12:00:01Z",
    "position": 420_000,
    "target": 1_000_000,
    "events_per_second": 41_200.5,
    "seconds_left": 14.1,
}

_DONE: dict[str, Any] = {
    **_FILLING,
    "status": "done",
    "read_models": [
        {
            **_ASKED["read_models"][0],
            "position": 1_000_310,
            "differences": 1,
            "differing": [{"key": "documents", "what": "changed"}],
        }
    ],
    "position": 1_000_310,
    "target": 1_000_310,
    "seconds_left": None,
    "compared_at": 1_000_298,
    "finished_at": "2025-08-29T12:00:29Z",
}

_BACK: dict[str, Any] = {
    **_ASKED,
    "kind": "rollback",
    "read_models": [{**_ASKED["read_models"][0], "from_version": 1001, "to_version": 1}],
}

_STATES = (
    "`waiting` for a worker, `filling` the new versions, `catching up` with the log, `comparing` "
    "them with the live ones, `swapping`, `done`; or `differs` (and `expect_same` was wanted), "
    "`failed` (see `reason`), `cancelled`."
)

LIST_REBUILDS = Operation(
    summary="List rebuilds",
    tag="rebuilds",
    permission=Permission.ADMIN,
    description=(
        "Newest first; the last 50 that have ended are remembered. `read_models` says which "
        "version of each is live, and to which one can be rolled back. A version is the fold's, or "
        "1,000 times that and the number of its build."
    ),
    replies={
        200: Reply(
            "The rebuilds.",
            RebuildListBody,
            example={
                "rebuilds": [_DONE],
                "read_models": [{"name": "error_groups", "version": 1001, "kept_version": 1}],
            },
        )
    },
    failures=(400, 503),
)

REQUEST_REBUILD = Operation(
    summary="Rebuild read models",
    tag="rebuilds",
    permission=Permission.ADMIN,
    description=(
        "A worker builds new versions from the log beside the live ones, which are read meanwhile; "
        "compares the two when both stand at the same position, and says which keys differ; then "
        "all new ones become live at once, and the old ones are kept for a rollback "
        "(REBUILD_KEEP_SECONDS, an hour). Nothing else happens: no message is sent, no event "
        "recorded. 409: one of them is being rebuilt already, or cannot be. " + _STATES
    ),
    body=Body(
        RebuildRequest,
        {
            "all": {"all": True},
            "some": {"read_models": ["error_groups", "stats"]},
            "a check": {"read_models": ["error_groups"], "expect_same": True},
        },
    ),
    replies={202: Reply("It will be done.", RebuildBody, example=_ASKED)},
    failures=(400, 409, 413, 415, 503),
)

ROLL_BACK = Operation(
    summary="Go back to the versions before",
    tag="rebuilds",
    permission=Permission.ADMIN,
    description=(
        "The versions that were live before the last rebuild are brought up to date and become "
        "live again; those that were live are kept in their place. 409: none is kept, it is of "
        "another version of Errata, or it is being rebuilt."
    ),
    body=Body(RollbackRequest, {"all": {}, "some": {"read_models": ["error_groups"]}}),
    replies={202: Reply("It will be done.", RebuildBody, example=_BACK)},
    failures=(400, 409, 413, 415, 503),
)

GET_REBUILD = Operation(
    summary="Get one rebuild",
    tag="rebuilds",
    permission=Permission.ADMIN,
    description=_STATES,
    replies={200: Reply("The rebuild.", RebuildBody, example=_FILLING)},
    failures=(400, 404, 503),
)

CANCEL_REBUILD = Operation(
    summary="Cancel a rebuild",
    tag="rebuilds",
    permission=Permission.ADMIN,
    description=(
        "What was built is deleted; what is live was never touched. 409: it has ended, or the "
        "swap has begun."
    ),
    replies={
        202: Reply(
            "It will be given up.",
            RebuildBody,
            example={**_FILLING, "cancelled_by": _ASKED["requested_by"]},
        )
    },
    failures=(400, 404, 409, 503),
)

FOLLOW_REBUILD = Operation(
    summary="Follow a rebuild",
    tag="rebuilds",
    permission=Permission.ADMIN,
    description=(
        "Server-sent events: `progress` whenever something has changed, four times a second at "
        "most, and `end` when the rebuild has ended; each holds the rebuild as JSON. Then the "
        "stream ends."
    ),
    replies={200: Reply("The events.", media_type="text/event-stream")},
    failures=(400, 404, 503),
)
