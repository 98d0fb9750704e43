"""The fold of errors: pages of any size leave the same content, and a deletion leaves none."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.error_group import DeleteError, ResolveError, group_id
from domain.message import Event, Recorded
from projections.error_groups import ErrorGroups
from projections.projection import Indigestible
from tests.projections.error_model import listed, logs
from tests.projections.helpers import Log, content, folded, report

if TYPE_CHECKING:
    from redis.asyncio import Redis

MODEL = ErrorGroups()
KEYSPACE = MODEL.keyspace()

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quick
@given(events=logs(), cuts=st.sets(st.integers(1, 40)))
async def test_pages_of_any_size_leave_the_same_content(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    await redis.flushall()
    await folded(redis, MODEL, events)
    whole = await content(redis)
    await redis.flushall()
    borders = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    for start, end in pairwise(borders):
        await folded(redis, MODEL, events[start:end])
    assert await content(redis) == whole


@quick
@given(events=logs())
async def test_each_key_is_written_by_one_command_of_a_kind(
    events: list[Recorded[Any]],
) -> None:
    writes = MODEL.fold(KEYSPACE, events)
    touched = [(write[0], write[1]) for write in writes]
    assert len(touched) == len(set(touched))


@quick
@given(events=logs())
async def test_deleting_every_error_leaves_nothing(
    redis: Redis, events: list[Recorded[Any]]
) -> None:
    await redis.flushall()
    await folded(redis, MODEL, events)
    log = Log()
    for one in events:
        log.events.append(one)
        log.streams[one.stream_id].append(one)
    for group in listed(events):
        log.execute(DeleteError(error_id=group.id))
    await folded(redis, MODEL, log.events[len(events) :])
    assert await content(redis) == {}


async def test_an_error_that_came_and_went_within_a_page_writes_nothing() -> None:
    log = Log()
    for _ in range(2):
        log.execute(report())
        log.execute(DeleteError(error_id=group_id("default", "f" * 32)))
    assert MODEL.fold(KEYSPACE, log.events) == []


async def test_all_keys_share_the_keyspace_of_the_version() -> None:
    log = Log()
    log.execute(report())
    log.execute(ResolveError(error_id=group_id("default", "f" * 32)))
    for write in MODEL.fold(KEYSPACE, log.events):
        key = write[1] if isinstance(write[1], bytes) else str(write[1]).encode()
        assert key.startswith(KEYSPACE.prefix.encode())


async def test_the_page_of_one_error_writes_each_index_once() -> None:
    """A thousand reports of one error cost as many commands as one report."""
    log = Log()
    log.execute(report())
    once = len(MODEL.fold(KEYSPACE, log.events))
    for after in range(1000):
        log.execute(report(after=after))
    assert len(MODEL.fold(KEYSPACE, log.events)) == once


async def test_an_unknown_event_is_indigestible() -> None:
    class Surprise(Event, frozen=True):
        pass

    log = Log()
    (recorded,) = log.execute(report())
    surprise = msgspec.structs.replace(recorded, event=Surprise())
    with pytest.raises(Indigestible, match="event 1 "):
        MODEL.fold(KEYSPACE, [surprise])
