"""What the API asks of the numbers. Each answer is one command to Redis, so all that stands in it
is of one moment; it knows of time only what it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from redis.asyncio import Redis

from projections.projection import Keyspace
from projections.stats.layout import (
    COUNTS,
    ERRORS,
    HOURS,
    OCCURRENCES,
    RESOLUTIONS,
    RESOLVED,
    RESOLVING_MS,
    Layout,
)
from projections.stats.periods import Bucket, Period, Window, ending, start_of, time_of, today

Days = Mapping[int, bytes]
"""Day since 1970 -> its counts, packed; days without any are left out."""

Counts = tuple[int, int, int]
"""Occurrences of level error, other occurrences, resolutions: in the order of Kind."""

_TOTALS = (ERRORS, RESOLVED, OCCURRENCES, RESOLUTIONS, RESOLVING_MS)
_NOTHING: Counts = (0, 0, 0)
_WHOLE_DAY = range(HOURS)
_EMPTY_DAY = bytes(HOURS * COUNTS.size)


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """How many errors there are and how many of them are resolved now; how many occurrences, in
    all and in times that end now; how many resolutions there were, and how long they took."""

    errors: int
    resolved: int
    occurrences: int
    occurrences_today: int
    occurrences_day: int
    occurrences_week: int
    occurrences_month: int
    resolutions: int
    resolving_ms: int

    @property
    def hourly_rate(self) -> float:
        """Occurrences an hour over the last 24 hours."""
        return self.occurrences_day / HOURS

    @property
    def resolution_percent(self) -> float:
        """How many of the errors are resolved, 0 to 100; 0 where there is no error."""
        return 100 * self.resolved / self.errors if self.errors else 0.0

    @property
    def mean_seconds_to_resolve(self) -> float | None:
        """None where nothing was resolved."""
        return self.resolving_ms / self.resolutions / 1_000 if self.resolutions else None


class TrendPoint(msgspec.Struct, frozen=True):
    """One bucket: when it begins, and its occurrences, resolutions, and occurrences of level
    error."""

    timestamp: datetime
    error_count: int
    resolved_count: int
    critical_count: int


class Trend(msgspec.Struct, frozen=True):
    """All buckets of a period without a gap, oldest first. `errors` is how many errors there are
    in all: with none, the emptiness of the buckets means nothing."""

    points: list[TrendPoint]
    errors: int


class StatsQueries:
    """Reads one version of the numbers, of one application or, for None, of all."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._layout = Layout(keyspace)

    async def numbers(self, app: str | None, now: datetime) -> Numbers:
        """The numbers as of `now`, an aware time."""
        month = ending(now, "month")
        totals, days = await self._read(app, month)
        errors, resolved, occurrences, resolutions, resolving_ms = totals
        return Numbers(
            errors=errors,
            resolved=resolved,
            occurrences=occurrences,
            occurrences_today=_occurrences(days, today(now)),
            occurrences_day=_occurrences(days, ending(now, "day")),
            occurrences_week=_occurrences(days, ending(now, "week")),
            occurrences_month=_occurrences(days, month),
            resolutions=resolutions,
            resolving_ms=resolving_ms,
        )

    async def trend(self, app: str | None, period: Period, bucket: Bucket, now: datetime) -> Trend:
        """The buckets of the period that ends `now`, an aware time."""
        window = ending(now, period)
        totals, days = await self._read(app, window)
        sums = _by_hour(days, window) if bucket == "hour" else _by_bucket(days, window, bucket)
        points = [
            TrendPoint(time_of(hour), critical + other, resolutions, critical)
            for hour, (critical, other, resolutions) in sums.items()
        ]
        return Trend(points, totals[0])

    async def _read(self, app: str | None, window: Window) -> tuple[list[int], Days]:
        """The totals, and those days of a window on which anything happened."""
        fields: list[Any] = [*_TOTALS, *window.days]
        found: Any = await self._redis.hmget(self._layout.counts(app), fields)
        totals = [int(value or 0) for value in found[: len(_TOTALS)]]
        packed = zip(window.days, found[len(_TOTALS) :], strict=True)
        return totals, {day: counts for day, counts in packed if counts}


def _occurrences(days: Days, window: Window) -> int:
    counts = (_sums(days[day], window.hours_of(day)) for day in window.days if day in days)
    return sum(critical + other for critical, other, _ in counts)


def _by_hour(days: Days, window: Window) -> dict[int, Counts]:
    """The counts by hour since 1970; what lies ahead is added to the last."""
    sums: dict[int, Counts] = {}
    for day in window.days:
        hours = window.hours_of(day)
        counts = _hourly(days.get(day, _EMPTY_DAY), hours)
        start = day * HOURS
        sums.update(zip(range(start + hours.start, start + hours.stop), counts, strict=True))
    for hour in range(window.now + 1, window.ahead + 1):
        sums[window.now] = _added(sums[window.now], sums.pop(hour))
    return sums


def _by_bucket(days: Days, window: Window, bucket: Bucket) -> dict[int, Counts]:
    """The counts by the hour since 1970 in which a bucket of whole days begins."""
    sums: dict[int, Counts] = {}
    for day in window.days:
        start = start_of(bucket, min(day * HOURS, window.now))
        counts = _sums(days[day], window.hours_of(day)) if day in days else _NOTHING
        sums[start] = _added(sums[start], counts) if start in sums else counts
    return sums


def _sums(packed: bytes, hours: range) -> Counts:
    """The counts of some hours of a day, added up."""
    if hours == _WHOLE_DAY:
        critical, other, resolutions = COUNTS.unpack_from(packed, HOURS * COUNTS.size)
    else:
        critical, other, resolutions = map(sum, zip(*_hourly(packed, hours), strict=True))
    return critical, other, resolutions


def _hourly(packed: bytes, hours: range) -> Iterable[Any]:
    return COUNTS.iter_unpack(packed[hours.start * COUNTS.size : hours.stop * COUNTS.size])


def _added(some: Counts, more: Counts) -> Counts:
    return some[0] + more[0], some[1] + more[1], some[2] + more[2]
