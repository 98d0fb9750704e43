"""Downtimes and percentages, against a naive model that knows every second; and the fold."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.message import Command
from domain.service import CACHE, DATABASE, ERRATA, NoteServiceDown, NoteServiceUp, StopWatching
from projections.downtimes import Downtime, percent, union
from projections.uptime import ServiceUptime, UptimeQueries
from tests.projections.helpers import START, Log, content, folded

if TYPE_CHECKING:
    from redis.asyncio import Redis

MODEL = ServiceUptime()
SPAN = 200
NAMES = (ERRATA, DATABASE)

stories = st.lists(
    st.tuples(st.integers(0, SPAN - 1), st.sampled_from(NAMES), st.booleans()), max_size=30
)


def at(second: float) -> object:
    return START + timedelta(seconds=second)


def note(second: float, service: str, is_up: bool) -> Command:
    if is_up:
        return NoteServiceUp(service=service, at=at(second))  # type: ignore[arg-type]
    return NoteServiceDown(service=service, at=at(second), reason="gone")  # type: ignore[arg-type]


class Naive:
    """Knows of every second whether a service was watched, and whether it was up."""

    def __init__(self, story: list[tuple[int, str, bool]], service: str) -> None:
        self.seconds: list[bool | None] = [None] * SPAN
        known: bool | None = None
        told = {second: is_up for second, name, is_up in story if name == service}
        for second in range(SPAN):
            known = told.get(second, known)
            self.seconds[second] = known

    def percent(self, window: int) -> float | None:
        """Of the watched seconds of the window that ends at SPAN."""
        seconds = [one for one in self.seconds[max(0, SPAN - window) :] if one is not None]
        return 100 * seconds.count(True) / len(seconds) if seconds else None

    def downtimes(self) -> int:
        """How often it went down."""
        return sum(b is False and a is not False for a, b in pairwise([None, *self.seconds]))


def ordered(story: list[tuple[int, str, bool]]) -> list[tuple[int, str, bool]]:
    """By time, one word a second about each service."""
    return [(s, name, up) for (s, name), up in sorted({(s, n): u for s, n, u in story}.items())]


def logged(story: list[tuple[int, str, bool]]) -> Log:
    log = Log()
    for second, name, is_up in story:
        log.execute(note(second, name, is_up))
    return log


def queries(redis: Redis) -> UptimeQueries:
    return UptimeQueries(redis, MODEL.keyspace())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories)
async def test_uptimes_agree_with_a_model_of_every_second(
    redis: Redis, story: list[tuple[int, str, bool]]
) -> None:
    story = ordered(story)
    await redis.flushall()
    await folded(redis, MODEL, logged(story).events)
    now = START + timedelta(seconds=SPAN)
    found = await queries(redis).of(NAMES, now)
    for name in NAMES:
        naive = Naive(story, name)
        expected = naive.percent(SPAN)
        assert found[name].percent_24h == (None if expected is None else pytest.approx(expected))
        assert found[name].incidents == naive.downtimes()
        assert (found[name].up_since is not None) == (naive.seconds[-1] is True)


@settings(deadline=None)
@given(
    downtimes=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 30)), max_size=12),
    window=st.integers(1, 120),
)
def test_the_union_covers_exactly_the_seconds_of_all(
    downtimes: list[tuple[int, int]], window: int
) -> None:
    joined = union(
        Downtime(START + timedelta(seconds=s), START + timedelta(seconds=s + n), "gone")
        for s, n in downtimes
    )
    down = {second for s, n in downtimes for second in range(s, s + n)}
    now = START + timedelta(seconds=120)
    seen = [second in down for second in range(120 - window, 120)]
    share = percent(START, joined, now, timedelta(seconds=window))
    assert share == pytest.approx(100 * seen.count(False) / window)
    assert all(a.end is not None and a.end < b.start for a, b in pairwise(joined))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories, cuts=st.sets(st.integers(1, 29)))
async def test_pages_of_any_size_leave_the_same_content(
    redis: Redis, story: list[tuple[int, str, bool]], cuts: set[int]
) -> None:
    events = logged(ordered(story)).events
    contents = []
    inner = sorted(cut for cut in cuts if cut < len(events))
    for borders in ([0, len(events)], [0, *inner, len(events)]):
        await redis.flushall()
        for start, end in pairwise(borders):
            await folded(redis, MODEL, events[start:end])
        contents.append(await content(redis))
    assert contents[0] == contents[1]


async def test_a_downtime_that_goes_on_counts_until_now(redis: Redis) -> None:
    await folded(redis, MODEL, logged([(0, ERRATA, True), (60, ERRATA, False)]).events)
    found = await queries(redis).of_errata(START + timedelta(seconds=100))
    assert found.percent_24h == pytest.approx(60.0)
    assert found.up_since is None
    assert found.recent[0].end is None


async def test_reads_are_not_answered_while_errata_or_either_server_is_away(redis: Redis) -> None:
    story = [
        *((0, name, True) for name in (ERRATA, DATABASE, CACHE)),
        *((10, DATABASE, False), (20, DATABASE, True)),
        *((40, CACHE, False), (45, ERRATA, False), (60, CACHE, True), (65, ERRATA, True)),
    ]
    await folded(redis, MODEL, logged(story).events)
    now = START + timedelta(seconds=100)
    assert (await queries(redis).of_answers(now)).percent_24h == pytest.approx(65.0)
    assert (await queries(redis).of_errata(now)).percent_24h == pytest.approx(70.0)


async def test_a_downtime_that_reaches_into_the_window_counts_as_far_as_it_does(
    redis: Redis,
) -> None:
    day = 86_400
    story = [(0, ERRATA, True), (day, ERRATA, False), (2 * day, ERRATA, True)]
    await folded(redis, MODEL, logged(story).events)
    now = START + timedelta(days=31, hours=12)
    found = await queries(redis).of_errata(now)
    assert found.percent_30d == pytest.approx(100 * (1 - 0.5 / 30))
    assert found.percent_24h == 100.0
    assert found.incidents == 1


async def test_what_nobody_watches_any_more_is_not_known(redis: Redis) -> None:
    log = logged([(0, ERRATA, True), (10, ERRATA, False)])
    log.execute(StopWatching(service=ERRATA, at=START + timedelta(seconds=20)))
    await folded(redis, MODEL, log.events)
    found = (await queries(redis).of([ERRATA], START + timedelta(seconds=50)))[ERRATA]
    assert found.watched_since is None
    assert found.percent_24h is None
    assert found.recent == [
        Downtime(START + timedelta(seconds=10), START + timedelta(seconds=20), "gone")
    ]
