"""Numbers in plain Python: random logs that span more than a year, and what they ought to say."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st

from domain.error_group import (
    DeleteError,
    ErrorDeleted,
    ErrorRegressed,
    ErrorReopened,
    ErrorReported,
    ErrorResolved,
    ReopenError,
    ResolveError,
    group_id,
)
from domain.failures import NotFound
from projections.stats import Bucket, Numbers, Period, TrendPoint
from tests.projections.helpers import START, Log, report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from domain.message import Command, Event, Recorded

APPS = ("default", "a:b*%")
LENGTHS = {"day": 1, "week": 7, "month": 30, "year": 365}
PACE = timedelta(hours=7)
AHEAD = timedelta(minutes=5)
HOUR = timedelta(hours=1)


class SlowLog(Log):
    """A log in which seven hours pass between commits."""

    def record(self, stream_id: UUID, events: Sequence[Event]) -> list[Recorded[Any]]:
        now = START + PACE * len(self.events)
        made = [
            msgspec.structs.replace(one, recorded_at=now)
            for one in super().record(stream_id, events)
        ]
        for log in (self.events, self.streams[stream_id]):
            log[len(log) - len(made) :] = made
        return made


@st.composite
def _commands(draw: st.DrawFn) -> Command:
    app, fingerprint = draw(st.sampled_from([(APPS[0], "a"), (APPS[0], "b"), (APPS[1], "a")]))
    kind = draw(st.sampled_from("rrrssodd"))
    if kind == "r":
        level = draw(st.sampled_from(("error", "warning")))
        days = draw(st.sampled_from((-366, -31, -8, -2, -1, 0, 1)))
        seconds = draw(st.sampled_from((0, 3_599, 3_600, 43_199, 43_200, 86_399)))
        return report(fingerprint, app=app, level=level, after=days * 86_400 + seconds)
    change = {"s": ResolveError, "o": ReopenError, "d": DeleteError}[kind]
    return change(error_id=group_id(app, fingerprint))


@st.composite
def logs(draw: st.DrawFn) -> list[Recorded[Any]]:
    """What the real decider makes of random commands, ending anywhere, within a commit too."""
    log = SlowLog()
    for command in draw(st.lists(_commands(), min_size=10, max_size=30)):
        with suppress(NotFound):
            log.execute(command)
    return log.events[: len(log.events) - draw(st.integers(0, 1))]


class Group(msgspec.Struct):
    """An error: its occurrences (time, level), its resolutions (recorded, how long)."""

    app: str
    occurrences: list[tuple[datetime, str]] = []
    resolutions: list[tuple[datetime, timedelta]] = []
    resolved: bool = False


def groups_of(events: Iterable[Recorded[Any]], app: str | None = None) -> list[Group]:
    """All errors that exist after these events, of one application or of all."""
    groups: dict[UUID, Group] = {}
    for one in events:
        event = one.event
        group = groups.setdefault(one.stream_id, Group(event.app))
        match event:
            case ErrorReported():
                group.occurrences.append((event.occurrence.timestamp, event.occurrence.level))
            case ErrorResolved():
                group.resolved = True
                group.resolutions.append((one.recorded_at, one.recorded_at - event.open_since))
            case ErrorReopened():
                group.resolved = False
                group.resolutions.pop()
            case ErrorRegressed():
                group.resolved = False
            case ErrorDeleted():
                del groups[one.stream_id]
    return [group for group in groups.values() if app in (None, group.app)]


def numbers_of(groups: Sequence[Group], now: datetime) -> Numbers:
    """What statistics ought to say of these errors."""
    times = [time for group in groups for time, _ in group.occurrences]
    lengths = [length for group in groups for _, length in group.resolutions]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Numbers(
        errors=len(groups),
        resolved=sum(group.resolved for group in groups),
        occurrences=len(times),
        occurrences_today=_inside(times, midnight, now),
        occurrences_day=_inside(times, _begin("day", now), now),
        occurrences_week=_inside(times, _begin("week", now), now),
        occurrences_month=_inside(times, _begin("month", now), now),
        resolutions=len(lengths),
        resolving_ms=sum(max(0, length // timedelta(milliseconds=1)) for length in lengths),
    )


def trend_of(
    groups: Sequence[Group], period: Period, bucket: Bucket, now: datetime
) -> list[TrendPoint]:
    """What a trend ought to show of these errors."""
    begin = _begin(period, now)
    starts = sorted({_start(bucket, begin + HOUR * n) for n in range((now - begin) // HOUR + 1)})
    points = {start: [0, 0, 0] for start in starts}
    for group in groups:
        for time, level in group.occurrences:
            if _inside([time], begin, now):
                point = points[_start(bucket, min(time, now))]
                point[0] += 1
                point[2] += level == "error"
        for time, _ in group.resolutions:
            if _inside([time], begin, now):
                points[_start(bucket, min(time, now))][1] += 1
    return [TrendPoint(start, *counts) for start, counts in points.items()]


def _begin(period: Period, now: datetime) -> datetime:
    return _start("hour", now - timedelta(days=LENGTHS[period]))


def _inside(times: Sequence[datetime], begin: datetime, now: datetime) -> int:
    end = _start("hour", now + AHEAD) + HOUR
    return sum(begin <= time < end for time in times)


def _start(bucket: Bucket, time: datetime) -> datetime:
    if bucket == "hour":
        return time.replace(minute=0, second=0, microsecond=0)
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    if bucket == "week":
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if bucket == "month" else midnight
