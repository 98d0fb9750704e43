"""Statistics and trends as people ask for them and see them."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
from msgspec import Meta

from api.query import Parameters, parameters
from api.schemas import Time
from projections.stats import (
    BUCKETS,
    PERIODS,
    Bucket,
    Numbers,
    Period,
    Trend,
    TrendPoint,
    fits,
)

Count = Annotated[int, Meta(ge=0)]

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


class StatsBody(msgspec.Struct, kw_only=True):
    """How many errors and occurrences there are, and how they are dealt with."""

    total_errors: Count
    resolved_errors: Count
    total_occurrences: Count
    errors_today: Count
    errors_this_week: Count
    errors_this_month: Count
    error_rate_24h: Annotated[float, Meta(ge=0)]
    resolution_rate: Annotated[float, Meta(ge=0, le=100)]
    avg_resolution_time: str | None
    avg_resolution_seconds: Annotated[float, Meta(ge=0)] | None


class TrendPointBody(msgspec.Struct):
    """One bucket, by the time at which it begins."""

    timestamp: Time
    error_count: Count
    resolved_count: Count
    critical_count: Count


class TrendsBody(msgspec.Struct):
    """All buckets of a period, oldest first, without a gap."""

    period: Period
    group_by: Bucket
    data_points: list[TrendPointBody]


class _Trends(msgspec.Struct):
    period: Period
    group_by: Bucket
    data_points: list[TrendPoint]


class TrendsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which trend somebody asks for."""

    app: str | None
    period: Period
    group_by: Bucket


def trends_query(query_string: bytes) -> TrendsQuery:
    """The trend that a query string asks for. Raises BadRequest naming every wrong parameter."""
    read = Parameters(parameters(query_string))
    query = TrendsQuery(
        app=read.text("app"),
        period=cast("Period", read.one_of("period", PERIODS) or "week"),
        group_by=cast("Bucket", read.one_of("group_by", BUCKETS) or "day"),
    )
    read.check()
    if not fits(query.group_by, query.period):
        read.wrong("group_by", f"must not be larger than the period, which is a {query.period}")
    read.check()
    return query


def stats_body(numbers: Numbers) -> StatsBody:
    """The numbers under the names of the document."""
    seconds = numbers.mean_seconds_to_resolve
    return StatsBody(
        total_errors=numbers.errors,
        resolved_errors=numbers.resolved,
        total_occurrences=numbers.occurrences,
        errors_today=numbers.occurrences_today,
        errors_this_week=numbers.occurrences_week,
        errors_this_month=numbers.occurrences_month,
        error_rate_24h=round(numbers.hourly_rate, 2),
        resolution_rate=round(numbers.resolution_percent, 1),
        avg_resolution_time=None if seconds is None else spoken(seconds),
        avg_resolution_seconds=None if seconds is None else round(seconds, 3),
    )


def trends_json(query: TrendsQuery, trend: Trend) -> bytes:
    """A TrendsBody as JSON. The points are encoded as they are: a year by the hour has 8,761."""
    return msgspec.json.encode(_Trends(query.period, query.group_by, trend.points))


def spoken(seconds: float) -> str:
    """A length of time in its two largest units, cut off below: "2h 15m", "3d 0h", "42s"."""
    left = int(seconds)
    for number, (unit, size) in enumerate(_UNITS[:-1]):
        if left >= size:
            below, below_size = _UNITS[number + 1]
            return f"{left // size}{unit} {left % size // below_size}{below}"
    return f"{left}s"
