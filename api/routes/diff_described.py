"""What the route of /api/admin/diff says of itself."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from api.operations import AS_OF, Operation, Parameter, Reply
from api.past import BuildingBody
from api.schemas import Time
from domain.permissions import Permission
from projections.differences import Differences

_PROGRESS = {"position": 120_000, "target": 250_000}
_ERROR = {
    "id": "0d9e4f0b-8a6b-5a3c-9d6e-0b1f4c2a7e11",
    "app": "default",
    "message": "Database connection failed",
    "occurrences_before": 0,
    "occurrences_after": 17,
}
_NONE = {"count": 0, "errors": []}


class MomentBody(msgspec.Struct, kw_only=True):
    """A moment: the last position recorded by then, and the time."""

    position: Annotated[int, Meta(ge=0)]
    time: Time


class DiffBody(msgspec.Struct, kw_only=True, rename={"start": "from", "end": "to"}):
    """What changed between two moments."""

    start: MomentBody
    end: MomentBody
    changes: Differences


GET_DIFF = Operation(
    summary="Compare two moments",
    tag="audit",
    permission=Permission.ADMIN,
    description=(
        "Which errors are new, gone, resolved, regressed (reported again), reopened, or were "
        "reported more often, between two moments: net, so that what was undone in between is no "
        "change. `count` counts them all, `errors` names the 100 with most occurrences. `errors`, "
        "`resolved_errors` and `occurrences` beside them say by how many the totals changed."
    ),
    parameters=(
        Parameter(
            "from",
            AS_OF.schema,
            "The first moment: a time, or a position of the log; 24 hours before `to` by default.",
            42,
        ),
        Parameter("to", AS_OF.schema, "The second moment; now by default.", 84),
    ),
    replies={
        200: Reply(
            "What changed.",
            DiffBody,
            example={
                "from": {"position": 42, "time": "2025-08-29T12:00:00Z"},
                "to": {"position": 84, "time": "2025-08-30T12:00:00Z"},
                "changes": {
                    "new": {"count": 1, "errors": [_ERROR]},
                    **dict.fromkeys(("gone", "resolved", "regressed", "reopened"), _NONE),
                    "more": _NONE,
                    "errors": 1,
                    "resolved_errors": 0,
                    "occurrences": 17,
                },
            },
        ),
        202: Reply(
            "The comparison is being made: so far it has come.", BuildingBody, example=_PROGRESS
        ),
    },
    failures=(400,),
)
