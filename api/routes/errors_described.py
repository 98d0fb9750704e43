"""What the routes of /api/errors say of themselves."""

from __future__ import annotations

from api import examples
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
    moment,
    text,
)
from api.query import LEVELS, MAX_OFFSET, SORTS
from api.schemas import (
    BulkBody,
    BulkRequest,
    ErrorBody,
    ErrorListBody,
    MuteBody,
    MuteRequest,
    OccurrenceListBody,
    StandingBody,
)
from domain.permissions import Permission

LIST_ERRORS = Operation(
    summary="List errors",
    tag="errors",
    permission=Permission.READ,
    description=(
        "Newest `last_seen` first. `total` is exact for every combination of filters. Unknown "
        "parameters are ignored, wrong values and repeated parameters are refused."
    ),
    parameters=(
        LIMIT,
        Parameter(
            "offset",
            {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
            "How many to skip; not together with `cursor`.",
            0,
        ),
        CURSOR,
        choice("level", LEVELS, "Level of the latest occurrence.", "error"),
        text("source", "Source of the latest occurrence.", "backend"),
        text("environment", "Environment of the latest occurrence.", "production"),
        choice("resolved", ("true", "false"), "Only resolved ones, or only open ones.", "false"),
        text("app", "One application, for keys that see several.", "default"),
        text("search", "Words of message, type, frame files and functions.", "database timeout"),
        moment("since", "`last_seen` at or after this time."),
        moment("until", "`last_seen` before this time."),
        choice("sort", SORTS, "What comes first: the highest of this.", "last_seen"),
        MIN_POSITION,
    ),
    replies={200: Reply("A page of errors.", ErrorListBody, example=examples.ERROR_LIST)},
    failures=(400, 503),
    as_of=AsOf(("error_groups",)),
)

GET_ERROR = Operation(
    summary="Get one error",
    tag="errors",
    permission=Permission.READ,
    parameters=(MIN_POSITION,),
    replies={200: Reply("The error.", ErrorBody, example=examples.ERROR)},
    failures=(400, 404, 503),
    as_of=AsOf(("error_groups",), stream="error_id"),
)

RESOLVE_ERROR = Operation(
    summary="Mark an error as resolved",
    tag="errors",
    permission=Permission.WRITE,
    description="A resolved error stays as it is. A later report reopens it.",
    replies={
        200: Reply("It is resolved.", StandingBody, example={"status": "resolved"}, position=True)
    },
    failures=(400, 404, 503),
)

REOPEN_ERROR = Operation(
    summary="Reopen an error",
    tag="errors",
    permission=Permission.WRITE,
    description="An open error stays as it is.",
    replies={200: Reply("It is open.", StandingBody, example={"status": "open"}, position=True)},
    failures=(400, 404, 503),
)

MUTE_ERROR = Operation(
    summary="Mute an error",
    tag="errors",
    permission=Permission.WRITE,
    description=(
        "A muted error alerts nobody: until a time, until the `count`-th occurrence from now on, "
        "which alerts again, or until it is unmuted. Its occurrences are stored and counted as "
        "ever; deleting it ends the mute. Another mute takes the place of the one before."
    ),
    body=Body(
        MuteRequest,
        {
            "count": {"count": 100},
            "until": {"until": "2099-01-01T00:00:00Z"},
            "until unmuted": {},
        },
    ),
    replies={200: Reply("It is muted.", MuteBody, example=examples.MUTED, position=True)},
    failures=(400, 404, 413, 415, 503),
)

UNMUTE_ERROR = Operation(
    summary="End the mute of an error",
    tag="errors",
    permission=Permission.WRITE,
    description="An error that is not muted stays as it is.",
    replies={
        200: Reply(
            "It is not muted.",
            MuteBody,
            example={**examples.MUTED, "muted": False, "muted_count_left": None},
            position=True,
        )
    },
    failures=(400, 404, 503),
)

DELETE_ERROR = Operation(
    summary="Delete an error",
    tag="errors",
    permission=Permission.WRITE,
    description=(
        "Takes the error with its occurrences out of every list and number. A later report "
        "starts it again at count 1."
    ),
    replies={204: Reply("It is gone.", position=True)},
    failures=(400, 404, 503),
)

BULK_CHANGE = Operation(
    summary="Resolve, reopen or delete several errors",
    tag="errors",
    permission=Permission.WRITE,
    description="Each error has its own outcome; unknown ones are listed as not_found.",
    body=Body(BulkRequest, {"resolve": examples.BULK}),
    replies={
        200: Reply("What became of each.", BulkBody, example=examples.BULK_ANSWER, position=True)
    },
    failures=(400, 413, 415, 503),
)

LIST_OCCURRENCES = Operation(
    summary="List the occurrences of one error",
    tag="errors",
    permission=Permission.READ,
    description="Newest first, read from the log itself.",
    parameters=(LIMIT, CURSOR, MIN_POSITION),
    replies={
        200: Reply("A page of occurrences.", OccurrenceListBody, example=examples.OCCURRENCE_LIST)
    },
    failures=(400, 404, 503),
    as_of=AsOf(),
)
