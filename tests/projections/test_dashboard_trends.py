"""The dashboard's trends agree with a plain count of the log: exactly while values are counted,
within 1 % beyond, and exactly again after a deletion."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given

from domain.error_group import DeleteError, group_id
from domain.message import Event, Recorded
from projections.dashboard_trends import (
    DashboardBucket,
    DashboardTrendQueries,
    DashboardTrends,
    Granularity,
)
from projections.projection import Indigestible
from tests.projections.helpers import START, Log, content, folded, report
from tests.projections.occurrence_logs import (
    APPS,
    CUTS,
    MIDNIGHT,
    alive,
    all_deleted,
    logs,
    pages,
    quick,
)

if TYPE_CHECKING:
    from datetime import datetime

    from redis.asyncio import Redis

MODEL, SMALL = DashboardTrends(), DashboardTrends(counted=2)
KEYSPACE = MODEL.keyspace()
DAY = timedelta(days=1)
LENGTHS: dict[Granularity, timedelta] = {"hour": timedelta(hours=1), "day": DAY}


def plain(
    reports: list[Recorded[Any]], app: str, start: datetime, end: datetime, length: timedelta
) -> list[DashboardBucket]:
    """What a trend ought to show."""
    found = []
    while start < end:
        inside = [
            one.event.occurrence
            for one in reports
            if one.event.app == app and start <= one.event.occurrence.timestamp < start + length
        ]
        codes = {one.code for one in inside} - {None}
        users = {one.user_id for one in inside} - {None}
        found.append(DashboardBucket(start, len(inside), len(codes), len(users)))
        start += length
    return found


class Recounted:
    """An index of occurrences that counts by hand, and remembers how often it was asked."""

    def __init__(self, reports: list[Recorded[Any]]) -> None:
        self.reports = reports
        self.asked = 0

    async def __call__(self, app: str, since: datetime, until: datetime) -> tuple[int, int]:
        self.asked += 1
        (bucket,) = plain(self.reports, app, since, until, until - since)
        return bucket.unique_codes, bucket.affected_users


async def shown(
    redis: Redis,
    reports: list[Recorded[Any]],
    app: str = "default",
    granularity: Granularity = "hour",
) -> list[DashboardBucket]:
    """The buckets of the day before the log's, and of the log's own."""
    queries = DashboardTrendQueries(redis, KEYSPACE, Recounted(reports))
    return await queries.trend(app, MIDNIGHT - DAY, MIDNIGHT + 2 * DAY, granularity)


@quick
@given(events=logs(), cuts=CUTS)
async def test_trends_equal_a_plain_count_at_every_position(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    await redis.flushall()
    for page in pages(events, cuts):
        await folded(redis, MODEL, page)
        seen = alive(events[: page[-1].position])
        for app in APPS:
            for granularity, length in LENGTHS.items():
                expected = plain(seen, app, MIDNIGHT - DAY, MIDNIGHT + 2 * DAY, length)
                assert await shown(redis, seen, app, granularity) == expected


@quick
@given(events=logs(), cuts=CUTS)
async def test_few_values_are_estimated_exactly_and_counted_again_after_deletions(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    await redis.flushall()
    for page in pages(events, cuts):
        await folded(redis, SMALL, page)
        seen = alive(events[: page[-1].position])
        expected = plain(seen, "default", MIDNIGHT - DAY, MIDNIGHT + 2 * DAY, DAY)
        assert await shown(redis, seen, "default", "day") == expected


@quick
@given(events=logs(), cuts=CUTS)
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
@given(events=logs(), cuts=CUTS)
async def test_pages_of_any_size_estimate_the_same_buckets(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    key = f"{KEYSPACE.prefix}buckets:default"
    await redis.flushall()
    await folded(redis, SMALL, events)
    whole: Any = await redis.hgetall(key)
    await redis.flushall()
    for page in pages(events, cuts):
        await folded(redis, SMALL, page)
    again: Any = await redis.hgetall(key)
    assert again == whole


@pytest.mark.parametrize("model", [MODEL, SMALL], ids=["counted", "estimated"])
@quick
@given(events=logs(), cuts=CUTS)
async def test_deleting_every_error_leaves_nothing(
    redis: Redis, model: DashboardTrends, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    await redis.flushall()
    for page in pages(events, cuts):
        await folded(redis, model, page)
    await folded(redis, model, all_deleted(events))
    assert await redis.keys() == []


def users(number: int, fingerprint: str = "f" * 32) -> list[Recorded[Any]]:
    """So many users, each of whom met the same error once within one hour."""
    log = Log()
    (first,) = log.execute(report(fingerprint, code="a", user_id="user-0"))
    found = [first]
    for n in range(1, number):
        occurrence = msgspec.structs.replace(first.event.occurrence, user_id=f"user-{n}")
        event = msgspec.structs.replace(first.event, occurrence=occurrence, count=n + 1)
        found.append(msgspec.structs.replace(first, event=event, position=n + 1))
    return found


async def test_ten_thousand_users_are_counted_and_many_more_estimated_within_one_percent(
    redis: Redis,
) -> None:
    events = users(60_000)
    queries = DashboardTrendQueries(redis, KEYSPACE, Recounted([]))
    for end, within in ((10_000, 0.0), (10_001, 0.01), (30_000, 0.01), (60_000, 0.01)):
        await redis.flushall()
        for start in range(0, end, 2_000):
            await folded(redis, MODEL, events[start : min(start + 2_000, end)])
        (bucket,) = await queries.trend("default", START, START + timedelta(hours=1), "hour")
        assert (bucket.count, bucket.unique_codes) == (end, 1)
        assert abs(bucket.affected_users - end) <= within * end


async def test_an_estimate_that_lost_an_error_is_asked_of_the_index(redis: Redis) -> None:
    log = Log()
    for fingerprint, user in (("a", "1"), ("a", "2"), ("b", "2"), ("b", "3")):
        log.execute(report(fingerprint, user_id=user))
    log.execute(DeleteError(error_id=group_id("default", "a")))
    await folded(redis, SMALL, log.events)
    index = Recounted(alive(log.events))
    queries = DashboardTrendQueries(redis, KEYSPACE, index)
    (bucket,) = await queries.trend("default", START, START + timedelta(hours=1), "hour")
    assert (bucket.count, bucket.affected_users, index.asked) == (2, 2, 1)


async def test_buckets_are_whole_and_without_a_gap(redis: Redis) -> None:
    queries = DashboardTrendQueries(redis, KEYSPACE, Recounted([]))
    since, until = START + timedelta(minutes=30), START + timedelta(hours=3)
    points = await queries.trend("default", since, until, "hour")
    assert [point.time for point in points] == [START + timedelta(hours=n) for n in range(3)]
    assert await queries.trend("default", MIDNIGHT, MIDNIGHT, "day") == []


def test_an_unknown_event_is_indigestible() -> None:
    class Surprise(Event, frozen=True):
        pass

    (recorded,) = Log().execute(report())
    with pytest.raises(Indigestible, match="event 1 "):
        MODEL.fold(KEYSPACE, [msgspec.structs.replace(recorded, event=Surprise())])
