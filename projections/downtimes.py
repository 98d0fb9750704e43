"""Arithmetic of downtimes: stretches of time in which something did not answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

DAY, WEEK, MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)
SHOWN = 50


class Downtime(msgspec.Struct, frozen=True):
    """One downtime; without an end it still goes on."""

    start: datetime
    end: datetime | None
    reason: str


class Uptime(msgspec.Struct, frozen=True, kw_only=True):
    """How a service has been, as of one moment.

    `watched_since` is None where nobody looks, and so is `up_since`, which is None also while the
    service is down. Percentages are of the time in which it was watched, and None where there is
    none. `incidents` counts the downtimes that lie in the last 30 days, at least in part; `recent`
    are the last 50, newest first.
    """

    watched_since: datetime | None
    up_since: datetime | None
    percent_24h: float | None
    percent_7d: float | None
    percent_30d: float | None
    incidents: int
    recent: list[Downtime]


def uptime(watched_since: datetime | None, downtimes: Sequence[Downtime], now: datetime) -> Uptime:
    """The uptime that follows from all downtimes that matter: those of the last 30 days, and the
    last 50."""
    known = sorted(downtimes, key=lambda one: one.start)
    return Uptime(
        watched_since=watched_since,
        up_since=_up_since(watched_since, known),
        percent_24h=percent(watched_since, known, now, DAY),
        percent_7d=percent(watched_since, known, now, WEEK),
        percent_30d=percent(watched_since, known, now, MONTH),
        incidents=sum(one.end is None or one.end > now - MONTH for one in known),
        recent=known[: -SHOWN - 1 : -1],
    )


def percent(
    watched_since: datetime | None, downtimes: Iterable[Downtime], now: datetime, window: timedelta
) -> float | None:
    """How much of the window that ends now a service was up, of what was watched of it. The
    downtimes do not overlap."""
    if watched_since is None or watched_since >= now:
        return None
    begin = max(watched_since, now - window)
    down = sum((_within(one, begin, now) for one in downtimes), timedelta())
    return 100.0 * (1.0 - down / (now - begin))


def union(downtimes: Iterable[Downtime]) -> list[Downtime]:
    """Downtimes of several services as one: those that meet are joined, the first gives the
    reason. Oldest first."""
    joined: list[Downtime] = []
    for one in sorted(downtimes, key=lambda one: one.start):
        last = joined[-1] if joined else None
        if last is None or (last.end is not None and last.end < one.start):
            joined.append(one)
        else:
            joined[-1] = Downtime(last.start, _later(last.end, one.end), last.reason)
    return joined


def _up_since(watched_since: datetime | None, known: Sequence[Downtime]) -> datetime | None:
    if watched_since is None or any(one.end is None for one in known):
        return None
    return max([watched_since, *(one.end for one in known if one.end is not None)])


def _within(one: Downtime, begin: datetime, end: datetime) -> timedelta:
    stretch = min(one.end or end, end) - max(one.start, begin)
    return max(stretch, timedelta())


def _later(first: datetime | None, second: datetime | None) -> datetime | None:
    return None if first is None or second is None else max(first, second)
