"""What the routes of statistics and trends say of themselves."""

from __future__ import annotations

from typing import Any

from api.analytics import StatsBody, TrendsBody
from api.operations import MIN_POSITION, AsOf, Operation, Parameter, Reply, text
from domain.permissions import Permission
from projections.stats import BUCKETS, PERIODS

_APP = text("app", "One application, for keys that see several.", "default")

_PRECISION = (
    "Times before now are counted in whole hours: a period begins with the hour that holds its "
    "beginning, so it spans up to one hour more. What is stamped up to five minutes ahead counts "
    "as of now. Deleted errors are in no number."
)

_STATS: dict[str, Any] = {
    "total_errors": 1250,
    "resolved_errors": 856,
    "total_occurrences": 20417,
    "errors_today": 23,
    "errors_this_week": 145,
    "errors_this_month": 567,
    "error_rate_24h": 2.3,
    "resolution_rate": 68.5,
    "avg_resolution_time": "2h 15m",
    "avg_resolution_seconds": 8112.5,
}

_TRENDS: dict[str, Any] = {
    "period": "week",
    "group_by": "day",
    "data_points": [
        {
            "timestamp": "2025-08-22T00:00:00Z",
            "error_count": 45,
            "resolved_count": 32,
            "critical_count": 3,
        },
        {
            "timestamp": "2025-08-23T00:00:00Z",
            "error_count": 52,
            "resolved_count": 38,
            "critical_count": 1,
        },
    ],
}

GET_STATS = Operation(
    summary="Get statistics",
    tag="analytics",
    permission=Permission.READ,
    description=(
        "`total_errors` and `resolved_errors` are errors (groups), as lists count them, and "
        "`resolution_rate` is their percentage, 0 without errors. `errors_today` (since 00:00 "
        "UTC), `errors_this_week` (7 days) and `errors_this_month` (30 days) are occurrences; "
        "`error_rate_24h` is occurrences an hour over the last 24. `avg_resolution_time` is the "
        "mean time from the first report or the last regression to the resolution; null where "
        "nothing was resolved. Reopening by hand takes a resolution back, a regression does not. "
        + _PRECISION
    ),
    parameters=(_APP, MIN_POSITION),
    replies={200: Reply("The statistics.", StatsBody, example=_STATS)},
    failures=(400, 503),
    as_of=AsOf(("stats",)),
)

GET_TRENDS = Operation(
    summary="Get trends",
    tag="analytics",
    permission=Permission.READ,
    description=(
        "Buckets aligned to UTC, weeks from Monday, oldest first and without a gap; `timestamp` "
        "is the start of a bucket. The first bucket holds the beginning of the period and counts "
        "only what lies within it; the last one holds now. `error_count` are occurrences, "
        "`critical_count` those of level error, `resolved_count` resolutions. So the sum over a "
        "period is the same whatever `group_by`, and equals that of the statistics. " + _PRECISION
    ),
    parameters=(
        Parameter(
            "period",
            {"type": "string", "enum": list(PERIODS), "default": "week"},
            "24 hours, 7, 30 or 365 days that end now.",
            "week",
        ),
        Parameter(
            "group_by",
            {"type": "string", "enum": list(BUCKETS), "default": "day"},
            "Size of a bucket; not larger than the period.",
            "day",
        ),
        _APP,
        MIN_POSITION,
    ),
    replies={200: Reply("The trend.", TrendsBody, example=_TRENDS)},
    failures=(400, 503),
    as_of=AsOf(("stats",)),
)
