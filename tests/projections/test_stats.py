"""The read model of numbers: it agrees with lists and with a plain count of the log."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.error_group import DeleteError, ErrorReopened, ReopenError, ResolveError, group_id
from domain.message import Event, Recorded
from projections.error_groups import ErrorFilter, ErrorGroups, ErrorQueries
from projections.projection import Indigestible
from projections.stats import BUCKETS, PERIODS, Bucket, Numbers, Period, Stats, StatsQueries
from tests.projections.helpers import START, Log, content, decoded, folded, report
from tests.projections.stats_model import APPS, SlowLog, groups_of, logs, numbers_of, trend_of

if TYPE_CHECKING:
    from datetime import datetime

    from redis.asyncio import Redis

MODEL, LISTS = Stats(), ErrorGroups()
KEYSPACE = MODEL.keyspace()
ERROR = group_id("default", "f" * 32)

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
moments = st.integers(-10, 10 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
periods: st.SearchStrategy[Period] = st.sampled_from(PERIODS)
buckets: st.SearchStrategy[Bucket] = st.sampled_from(BUCKETS)
borders = st.sets(st.integers(1, 30), min_size=3, max_size=12)


def pages(events: list[Recorded[Any]], cuts: set[int]) -> list[list[Recorded[Any]]]:
    """Events in pages that end at the cuts; no page for an empty log."""
    ends = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    return [events[start:end] for start, end in pairwise(ends) if start < end]


async def numbers(redis: Redis, app: str | None = None, **after: float) -> Numbers:
    now = START + timedelta(**after)
    return await StatsQueries(redis, KEYSPACE).numbers(app, now)


@quick
@given(events=logs(), cuts=borders, now=moments, shape=st.tuples(periods, buckets))
async def test_numbers_and_trends_equal_a_plain_count_at_every_position(
    redis: Redis,
    events: list[Recorded[Any]],
    cuts: set[int],
    now: datetime,
    shape: tuple[Period, Bucket],
) -> None:
    await redis.flushall()
    queries = StatsQueries(redis, KEYSPACE)
    for page in pages(events, cuts):
        await folded(redis, MODEL, page)
        seen = events[: page[-1].position]
        for app in (None, *APPS):
            groups = groups_of(seen, app)
            assert await queries.numbers(app, now) == numbers_of(groups, now)
            trend = await queries.trend(app, *shape, now)
            assert trend.points == trend_of(groups, *shape, now)


@quick
@given(events=logs(), cuts=borders, now=moments)
async def test_numbers_and_lists_say_the_same_at_every_position(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int], now: datetime
) -> None:
    await redis.flushall()
    lists = ErrorQueries(redis, LISTS.keyspace())
    for page in pages(events, cuts):
        await folded(redis, MODEL, page)
        await folded(redis, LISTS, page)
        for app in (None, *APPS):
            said = await StatsQueries(redis, KEYSPACE).numbers(app, now)
            errors = await lists.list(ErrorFilter(app=app), limit=100)
            resolved = await lists.list(ErrorFilter(app=app, resolved=True))
            assert (said.errors, said.resolved) == (errors.total, resolved.total)
            counts = [decoded(document)["count"] for document in errors.documents]
            assert said.occurrences == sum(counts)


@quick
@given(events=logs(), now=moments)
async def test_every_size_of_bucket_adds_up_to_the_same_numbers(
    redis: Redis, events: list[Recorded[Any]], now: datetime
) -> None:
    await redis.flushall()
    await folded(redis, MODEL, events)
    queries = StatsQueries(redis, KEYSPACE)
    said = await queries.numbers(None, now)
    expected: dict[Period, int] = {
        "day": said.occurrences_day,
        "week": said.occurrences_week,
        "month": said.occurrences_month,
    }
    for period, occurrences in expected.items():
        for bucket in BUCKETS:
            trend = await queries.trend(None, period, bucket, now)
            assert sum(point.error_count for point in trend.points) == occurrences


@quick
@given(events=logs(), cuts=st.sets(st.integers(1, 30)))
async def test_pages_of_any_size_leave_the_same_content(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    await redis.flushall()
    await folded(redis, MODEL, events)
    whole = await content(redis)
    await redis.flushall()
    for page in pages(events, cuts):
        await folded(redis, MODEL, page)
    assert await content(redis) == whole


@quick
@given(events=logs(), cuts=borders)
async def test_deleting_every_error_leaves_nothing(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    await redis.flushall()
    for page in pages(events, cuts):
        await folded(redis, MODEL, page)
    log = SlowLog()
    for one in events:
        log.events.append(one)
        log.streams[one.stream_id].append(one)
    for stream in list(log.streams):
        if groups_of(log.streams[stream]):
            log.execute(DeleteError(error_id=stream))
    await folded(redis, MODEL, log.events[len(events) :])
    assert await content(redis) == {}


async def test_an_error_that_came_and_went_within_a_page_writes_nothing() -> None:
    log = Log()
    for _ in range(2):
        log.execute(report())
        log.execute(DeleteError(error_id=ERROR))
    assert MODEL.fold(KEYSPACE, log.events) == []


async def test_report_delete_report_in_one_page_counts_the_last_report_only(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    await folded(redis, MODEL, log.events)
    log.execute(report())
    log.execute(DeleteError(error_id=ERROR))
    log.execute(report(level="info"))
    await folded(redis, MODEL, log.events[1:])
    said = await numbers(redis)
    assert (said.errors, said.occurrences, said.occurrences_today) == (1, 1, 1)


async def test_reopening_by_hand_takes_the_resolution_back(redis: Redis) -> None:
    log = Log()
    for command in (report(), ResolveError(error_id=ERROR), ReopenError(error_id=ERROR)):
        log.execute(command)
    await folded(redis, MODEL, log.events)
    said = await numbers(redis)
    assert (said.resolved, said.resolutions, said.mean_seconds_to_resolve) == (0, 0, None)


async def test_a_regression_leaves_the_resolution_that_did_happen(redis: Redis) -> None:
    log = Log()
    for command in (report(), ResolveError(error_id=ERROR), report()):
        log.execute(command)
    await folded(redis, MODEL, log.events)
    said = await numbers(redis)
    assert (said.resolved, said.resolutions, said.mean_seconds_to_resolve) == (0, 1, 1.0)


async def test_after_a_regression_the_time_to_resolve_starts_anew(redis: Redis) -> None:
    log = SlowLog()
    for command in (report(), ResolveError(error_id=ERROR), report(), ResolveError(error_id=ERROR)):
        log.execute(command)
    await folded(redis, MODEL, log.events)
    # Seven hours to the first resolution; the regression is one event later than its report.
    said = await numbers(redis)
    assert (said.resolutions, said.mean_seconds_to_resolve) == (2, (7 + 14) / 2 * 3600)


async def test_taking_back_a_second_resolution_leaves_the_first(redis: Redis) -> None:
    log = SlowLog()
    for command in (report(), ResolveError(error_id=ERROR), report(), ResolveError(error_id=ERROR)):
        log.execute(command)
    log.execute(ReopenError(error_id=ERROR))
    await folded(redis, MODEL, log.events)
    said = await numbers(redis)
    assert (said.resolutions, said.mean_seconds_to_resolve) == (1, 7 * 3600)


async def test_a_reopening_written_before_it_told_its_start_is_still_undone(redis: Redis) -> None:
    log = Log()
    for command in (report(), ResolveError(error_id=ERROR), ReopenError(error_id=ERROR)):
        log.execute(command)
    reopened = log.events[-1]
    old = msgspec.structs.replace(reopened.event, open_since=None)
    written = msgspec.json.encode(old)
    assert b"open_since" not in written
    again = msgspec.json.decode(written, type=ErrorReopened)
    page = [*log.events[:-1], msgspec.structs.replace(reopened, event=again)]
    await folded(redis, MODEL, page)
    assert (await numbers(redis)).mean_seconds_to_resolve is None


async def test_a_clock_that_ran_ahead_makes_a_resolution_take_no_time(redis: Redis) -> None:
    log = Log()
    log.execute(report(after=60))
    log.execute(ResolveError(error_id=ERROR))
    await folded(redis, MODEL, log.events)
    assert (await numbers(redis)).mean_seconds_to_resolve == 0


async def test_what_is_stamped_minutes_ahead_counts_as_of_now(redis: Redis) -> None:
    log = Log()
    log.execute(report(after=12 * 3600 + 60))  # 00:01 of the next day
    await folded(redis, MODEL, log.events)
    said = await numbers(redis, hours=11, minutes=58)
    assert (said.occurrences_today, said.occurrences_day) == (1, 1)


async def test_without_any_event_all_is_zero_and_nothing_is_guessed(redis: Redis) -> None:
    said = await numbers(redis, "default")
    assert set(msgspec.structs.astuple(said)) == {0}
    assert (said.resolution_percent, said.mean_seconds_to_resolve) == (0.0, None)


async def test_all_keys_share_the_keyspace_of_the_version() -> None:
    log = Log()
    log.execute(report())
    ((_, _, _, key, prefix, _),) = MODEL.fold(KEYSPACE, log.events)
    assert str(key).startswith("errata:{stats.v1}:")
    assert prefix == "errata:{stats.v1}:"


async def test_a_thousand_reports_of_one_error_in_an_hour_cost_no_more_than_one() -> None:
    log = Log()
    log.execute(report())
    (once,) = MODEL.fold(KEYSPACE, log.events)
    for after in range(1000):
        log.execute(report(after=after))
    (often,) = MODEL.fold(KEYSPACE, log.events)
    assert len(str(often[-1])) < len(str(once[-1])) + 60


async def test_an_unknown_event_is_indigestible() -> None:
    class Surprise(Event, frozen=True):
        pass

    (recorded,) = Log().execute(report())
    surprise = msgspec.structs.replace(recorded, event=Surprise())
    with pytest.raises(Indigestible, match="event 1 "):
        MODEL.fold(KEYSPACE, [surprise])
