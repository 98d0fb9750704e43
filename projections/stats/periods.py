"""Periods of time that end now, and the buckets they are cut into.

Counts are by the hour, so a period begins with the whole hour that holds now - its length: up to
one hour more than its name says. Buckets are aligned to UTC, weeks start on Monday. Of the first
bucket only the part within the period counts. Therefore each sum over a period is the same
whatever the size of the buckets.

An application's clock may run up to five minutes ahead; what it stamped later than now counts as
of now.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple, get_args

from projections.stats.layout import EPOCH, HOUR, HOURS, hour_of

Period = Literal["day", "week", "month", "year"]
Bucket = Literal["hour", "day", "week", "month"]
PERIODS: tuple[Period, ...] = get_args(Period)
BUCKETS: tuple[Bucket, ...] = get_args(Bucket)

_DAYS: dict[Period, int] = {"day": 1, "week": 7, "month": 30, "year": 365}
_BY_SIZE = (*BUCKETS, "year")
_AHEAD = timedelta(minutes=5)
_EPOCH_ORDINAL = EPOCH.toordinal()
_EPOCH_WEEKDAY = EPOCH.weekday()


def fits(bucket: Bucket, period: Period) -> bool:
    """Whether a bucket is no larger than the period."""
    return _BY_SIZE.index(bucket) <= _BY_SIZE.index(period)


class Window(NamedTuple):
    """Some hours since 1970: from `first` to `now`, both included, and to `ahead`, which is the
    next hour where a clock may have run into it."""

    first: int
    now: int
    ahead: int

    @property
    def days(self) -> range:
        """The days since 1970 that the window touches."""
        return range(self.first // HOURS, self.ahead // HOURS + 1)

    def hours_of(self, day: int) -> range:
        """The hours of a day, 0 to 23, that lie in the window."""
        start = day * HOURS
        return range(max(self.first - start, 0), min(self.ahead - start + 1, HOURS))


def ending(now: datetime, period: Period) -> Window:
    """The period that ends now."""
    return _window(hour_of(now - timedelta(days=_DAYS[period])), now)


def today(now: datetime) -> Window:
    """From 00:00 UTC until now."""
    return _window(hour_of(now) // HOURS * HOURS, now)


def start_of(bucket: Bucket, hour: int) -> int:
    """The hour since 1970 in which the bucket begins that holds an hour since 1970."""
    if bucket == "hour":
        return hour
    day = hour // HOURS
    if bucket == "week":
        day -= (day + _EPOCH_WEEKDAY) % 7
    elif bucket == "month":
        day = date.fromordinal(day + _EPOCH_ORDINAL).replace(day=1).toordinal() - _EPOCH_ORDINAL
    return day * HOURS


def time_of(hour: int) -> datetime:
    """The time at which an hour since 1970 begins."""
    return EPOCH + hour * HOUR


def _window(first: int, now: datetime) -> Window:
    return Window(first, hour_of(now), hour_of(now + _AHEAD))
