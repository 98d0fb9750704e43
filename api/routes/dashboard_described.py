"""What the routes of /dashboard/api say of themselves."""

from __future__ import annotations

from api.dashboard import DEFAULT_LIMIT, GRANULARITIES, MAX_APP, MAX_BUCKETS, MAX_LIMIT
from api.dashboard_schemas import (
    APPS_EXAMPLE,
    CODES_EXAMPLE,
    ERRORS_EXAMPLE,
    EVENT_EXAMPLE,
    TRENDS_EXAMPLE,
    DashboardAppsBody,
    DashboardCodesBody,
    DashboardErrorBody,
    DashboardErrorsBody,
    DashboardTrendsBody,
)
from api.operations import MIN_POSITION, AsOf, Operation, Parameter, Reply, text
from api.query import MAX_OFFSET
from domain.permissions import Permission

_APP_ID = Parameter(
    "appId",
    {"type": "string", "minLength": 1, "maxLength": MAX_APP, "pattern": r"\S"},
    "The application.",
    "test-app",
    required=True,
)
_CURSOR = Parameter(
    "cursor",
    {"type": "string"},
    "`nextCursor` of the page before; stays true while data arrives, and is as fast at any depth. "
    "All other parameters stay the same.",
    None,
)


def _moment(name: str, description: str) -> Parameter:
    schema = {"type": "string", "format": "date-time"}
    return Parameter(name, schema, description, "2024-01-15T10:30:00.000Z")


LIST_DASHBOARD_ERRORS = Operation(
    summary="List occurrences",
    tag="dashboard",
    permission=Permission.READ,
    without_key=True,
    description=(
        "Newest first, with everything that was sent. `hasMore` is exact. What is stamped up to "
        "five minutes ahead counts as of now. Occurrences of deleted errors are not shown; as of a "
        "moment (`as_of`), those of errors deleted later are. What retention has removed is gone "
        "from the past as well."
    ),
    parameters=(
        _APP_ID,
        _moment("startTime", "At or after this time; 24 hours ago where it is not given."),
        _moment("endTime", "Before this time; now where it is not given."),
        text("code", "Only this code.", "network/request-failed"),
        text("userId", "Only this user.", "user-123"),
        Parameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            "How many.",
            10,
        ),
        Parameter(
            "offset",
            {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
            "How many to skip; not together with `cursor`.",
            0,
        ),
        _CURSOR,
        MIN_POSITION,
    ),
    replies={200: Reply("A page.", DashboardErrorsBody, enveloped=False, example=ERRORS_EXAMPLE)},
    failures=(400,),
    as_of=AsOf(("occurrences",)),
)

GET_DASHBOARD_ERROR = Operation(
    summary="Get one occurrence",
    tag="dashboard",
    permission=Permission.READ,
    without_key=True,
    description="By the id that the application gave it; by the log's, where it gave none.",
    parameters=(_APP_ID, MIN_POSITION),
    replies={
        200: Reply(
            "The occurrence.",
            DashboardErrorBody,
            enveloped=False,
            example={"success": True, "error": EVENT_EXAMPLE},
        )
    },
    failures=(400, 404),
    as_of=AsOf(("occurrences",)),
)

GET_DASHBOARD_TRENDS = Operation(
    summary="Get trends of an application",
    tag="dashboard",
    permission=Permission.READ,
    without_key=True,
    description=(
        "Buckets aligned to UTC, oldest first and without a gap: from the one that holds "
        "`startTime` to the last one that begins before `endTime`, each of them whole. "
        "`uniqueCodes` and `affectedUsers` are exact up to 10,000 a bucket and within 1 % beyond. "
        "Deleted errors are in no number."
    ),
    parameters=(
        _APP_ID,
        _moment(
            "startTime",
            "7 days ago where it is not given. There may be at most "
            f"{MAX_BUCKETS:,} buckets from here.",
        ),
        _moment("endTime", "Now where it is not given."),
        Parameter(
            "granularity",
            {"type": "string", "enum": list(GRANULARITIES), "default": "hour"},
            "Size of a bucket.",
            "day",
        ),
        MIN_POSITION,
    ),
    replies={
        200: Reply("The trend.", DashboardTrendsBody, enveloped=False, example=TRENDS_EXAMPLE)
    },
    failures=(400,),
    as_of=AsOf(("dashboard_trends", "occurrences")),
)

LIST_DASHBOARD_CODES = Operation(
    summary="List codes",
    tag="dashboard",
    permission=Permission.READ,
    without_key=True,
    description="The highest count first. Deleted errors are in no count.",
    parameters=(_APP_ID, MIN_POSITION),
    replies={200: Reply("All codes.", DashboardCodesBody, enveloped=False, example=CODES_EXAMPLE)},
    failures=(400,),
    as_of=AsOf(("codes",)),
)

LIST_DASHBOARD_APPS = Operation(
    summary="List applications of the key",
    tag="dashboard",
    permission=Permission.READ,
    without_key=True,
    description="A key of one application sees that one.",
    parameters=(MIN_POSITION,),
    replies={
        200: Reply("The applications.", DashboardAppsBody, enveloped=False, example=APPS_EXAMPLE)
    },
    failures=(400,),
    as_of=AsOf(("apps",)),
)
