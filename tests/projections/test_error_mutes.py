"""How the documents of errors show that they are muted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from domain.error_group import (
    DeleteError,
    ErrorReported,
    MuteError,
    ResolveError,
    UnmuteError,
    group_id,
)
from projections.error_groups import ErrorGroups, ErrorQueries, document_of
from projections.error_groups.document import left_by
from tests.projections.error_model import listed, logs
from tests.projections.helpers import START, Log, content, decoded, folded, report

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from domain.message import Recorded

MODEL = ErrorGroups()
GROUP = group_id("default", "f" * 32)
SOON = START + timedelta(hours=1)
FIELDS = ("muted", "muted_until", "muted_count_left")


def mute(**how: Any) -> MuteError:
    return MuteError(error_id=GROUP, now=START, **how)


async def shown(redis: Redis, log: Log) -> tuple[object, ...]:
    await redis.flushall()
    await folded(redis, MODEL, log.events)
    error = decoded(await ErrorQueries(redis, MODEL.keyspace()).one(GROUP))
    return tuple(error[field] for field in FIELDS)


def log_of(*commands: Any) -> Log:
    log = Log()
    for command in (report(), *commands):
        log.execute(command)
    return log


async def test_an_error_is_not_muted_until_somebody_says_so(redis: Redis) -> None:
    assert await shown(redis, log_of()) == (False, None, None)
    assert await shown(redis, log_of(mute())) == (True, None, None)
    assert await shown(redis, log_of(mute(until=SOON))) == (True, "2025-08-29T13:00:00Z", None)
    assert await shown(redis, log_of(mute(count=7))) == (True, None, 7)


async def test_each_muted_report_leaves_one_less(redis: Redis) -> None:
    assert await shown(redis, log_of(mute(count=3), report(), report())) == (True, None, 1)
    assert await shown(redis, log_of(mute(count=3), *[report()] * 3)) == (False, None, None)


async def test_who_unmutes_or_deletes_it_ends_the_mute(redis: Redis) -> None:
    assert await shown(redis, log_of(mute(), UnmuteError(error_id=GROUP))) == (False, None, None)
    again = log_of(mute(until=SOON), DeleteError(error_id=GROUP), report())
    assert await shown(redis, again) == (False, None, None)


async def test_a_mute_leaves_the_resolution_as_it_is(redis: Redis) -> None:
    log = log_of(ResolveError(error_id=GROUP), mute())
    await folded(redis, MODEL, log.events)
    error = decoded(await ErrorQueries(redis, MODEL.keyspace()).one(GROUP))
    assert (error["resolved"], error["resolved_at"]) == (True, "2025-08-29T12:00:01Z")
    assert error["updated_at"] == "2025-08-29T12:00:02Z"


@pytest.mark.parametrize("how", [{}, {"count": 2}, {"until": SOON}], ids=str)
async def test_the_answer_to_a_report_shows_the_mute_that_is_read_later(
    redis: Redis, how: dict[str, Any]
) -> None:
    log = log_of(ResolveError(error_id=GROUP), mute(**how))
    queries = ErrorQueries(redis, MODEL.keyspace())
    await folded(redis, MODEL, log.events)
    for now in (START, SOON):
        recorded = log.execute(report(now=now))
        await folded(redis, MODEL, recorded)
        assert document_of(recorded) == await queries.one(GROUP)


def test_a_report_alone_tells_the_mute_it_left() -> None:
    (recorded,) = log_of(mute(count=3)).execute(report())
    assert decoded(left_by(recorded))["muted_count_left"] == 2


async def test_those_that_wake_by_time_are_known_by_it(redis: Redis) -> None:
    await folded(redis, MODEL, log_of(mute(until=SOON)).events)
    queries = ErrorQueries(redis, MODEL.keyspace())
    assert await queries.waking(SOON - timedelta(microseconds=1), 10) == []
    assert await queries.waking(SOON, 10) == [GROUP]
    assert await queries.waking(SOON, 0) == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(events=logs())
async def test_all_documents_show_what_decisions_know(
    redis: Redis, events: list[Recorded[Any]]
) -> None:
    if events and isinstance(events[-1].event, ErrorReported):
        events = events[:-1]  # it may be cut off from the ErrorWoke of its commit
    await redis.flushall()
    await folded(redis, MODEL, events)
    queries = ErrorQueries(redis, MODEL.keyspace())
    until = {}
    for group in listed(events):
        error = decoded(await queries.one(group.id))
        left = None
        if group.mute is not None and group.mute.wakes_at is not None:
            left = group.mute.wakes_at - group.count
        assert error["muted"] is (group.mute is not None)
        assert error["muted_count_left"] == left
        if group.mute is not None and group.mute.until is not None:
            until[group.id.bytes] = group.mute.until
            assert error["muted_until"] == group.mute.until.isoformat().replace("+00:00", "Z")
    found = await content(redis)
    waking = found.get(f"{MODEL.keyspace().prefix}waking".encode(), {})
    assert {group for group, _ in dict(waking).items()} == set(until)
