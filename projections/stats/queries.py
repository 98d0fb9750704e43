"""What the API asks of the numbers. Each answer is one command to Redis, so all that stands in it
is of one moment; it knows of time only what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from redis.asyncio import Redis

from projections.projection import Keyspace
from projections.stats.layout import (
    DAY,
    ERRORS,
    HOURS,
    KINDS,
    OCCURRENCES,
    RESOLUTIONS,
    RESOLVED,
    RESOLVING_MS,
    SLOTS,
    Kind,
    Layout,
)
from projections.stats.periods import Bucket, Period, Window, ending, start_of, time_of, today

Days = Mapping[int, Sequence[int]]
"""Day since 1970 -> its slots."""

_TOTALS = (ERRORS, RESOLVED, OCCURRENCES, RESOLUTIONS, RESOLVING_MS)
_EMPTY_DAY = (0,) * SLOTS


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
            TrendPoint(
                time_of(hour),
                error_count=counts[Kind.CRITICAL] + counts[Kind.OTHER],
                resolved_count=counts[Kind.RESOLUTION],
                critical_count=counts[Kind.CRITICAL],
            )
            for hour, counts in sums.items()
        ]
        return Trend(points, totals[0])

    async def _read(self, app: str | None, window: Window) -> tuple[list[int], Days]:
        """The totals, and those days of a window on which anything happened."""
        fields: list[Any] = [*_TOTALS, *window.days]
        found: Any = await self._redis.hmget(self._layout.counts(app), fields)
        packed = zip(window.days, found[len(_TOTALS) :], strict=True)
        totals = [int(value or 0) for value in found[: len(_TOTALS)]]
        return totals, {day: DAY.unpack(slots) for day, slots in packed if slots}


def _occurrences(days: Days, window: Window) -> int:
    return sum(
        sum(slots) - sum(slots[Kind.RESOLUTION :: KINDS])
        for day in window.days
        if day in days
        for slots in [_within(days[day], window.hours_of(day))]
    )


def _by_hour(days: Days, window: Window) -> dict[int, Sequence[int]]:
    """The counts of each kind by hour since 1970; what lies ahead is added to the last."""
    sums: dict[int, Sequence[int]] = {}
    for day in window.days:
        slots = days.get(day, _EMPTY_DAY)
        for hour in window.hours_of(day):
            sums[day * HOURS + hour] = slots[hour * KINDS : (hour + 1) * KINDS]
    for hour in range(window.now + 1, window.ahead + 1):
        sums[window.now] = _added(sums[window.now], sums.pop(hour))
    return sums


def _by_bucket(days: Days, window: Window, bucket: Bucket) -> dict[int, Sequence[int]]:
    """The counts of each kind by the hour since 1970 in which a bucket of whole days begins."""
    sums: dict[int, Sequence[int]] = {}
    for day in window.days:
        start = start_of(bucket, min(day * HOURS, window.now))
        counts: Sequence[int] = (0,) * KINDS
        if day in days:
            slots = _within(days[day], window.hours_of(day))
            counts = [sum(slots[kind::KINDS]) for kind in Kind]
        sums[start] = _added(sums[start], counts) if start in sums else counts
    return sums


def _within(slots: Sequence[int], hours: range) -> Sequence[int]:
    return slots[hours.start * KINDS : hours.stop * KINDS]


def _added(some: Sequence[int], more: Sequence[int]) -> Sequence[int]:
    return [one + other for one, other in zip(some, more, strict=True)]
