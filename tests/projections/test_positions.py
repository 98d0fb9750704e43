"""Positions against a real Redis, with checkpoints and messages written by hand."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from domain.failures import Unavailable
from projections.positions import CERTAIN_SECONDS, FAR_BEHIND, Positions
from projections.projection import ACTIVE, POSITIONS, Keyspace
from projections.versions import ACTIVE_CHANGED, KEPT, Kept
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from redis.asyncio import Redis

ERRORS = Keyspace("errors", 1)
APPS = Keyspace("apps", 2)


class Log:
    """A log that only has a head."""

    head_position = 0
    away = False

    async def head(self) -> int:
        if self.away:
            raise Unavailable("postgres", "away")
        return self.head_position


async def positions_at(redis: Redis, position: int, log: Log) -> Positions:
    await redis.set(ERRORS.checkpoint, position)
    await redis.set(APPS.checkpoint, position)
    positions = Positions(redis, [ERRORS, APPS], log.head)
    await positions.look()
    return positions


def log_at(head: int) -> Log:
    log = Log()
    log.head_position = head
    return log


async def test_a_look_reads_every_checkpoint(redis: Redis) -> None:
    positions = await positions_at(redis, 7, log_at(7))
    assert (positions.position("errors"), positions.position("apps")) == (7, 7)
    assert positions.rebuilding("errors") is None


async def test_a_message_lets_go_on_who_waits(redis: Redis) -> None:
    positions = await positions_at(redis, 1, log_at(1))
    await positions.start()
    try:
        waits = [asyncio.create_task(positions.wait("errors", n, 5)) for n in (2, 3, 3, 9)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await redis.set(ERRORS.checkpoint, 3)
        await redis.publish(POSITIONS, "errors.v1 3")
        assert await asyncio.gather(*waits[:3]) == [True, True, True]
        assert time.monotonic() - began < 0.2
        assert not waits[3].done()
        waits[3].cancel()
    finally:
        await positions.stop()


async def test_one_message_may_tell_of_several_read_models(redis: Redis) -> None:
    positions = await positions_at(redis, 1, log_at(1))
    await positions.start()
    try:
        wait = asyncio.create_task(positions.wait("errors", 2, 5))
        await asyncio.sleep(0.1)
        await redis.set(ERRORS.checkpoint, 2)
        await redis.publish(POSITIONS, "others.v1 7\nerrors.v1 2\nothers.v2 2")
        assert await asyncio.wait_for(wait, 0.2)
    finally:
        await positions.stop()


async def test_a_lost_message_delays_for_a_look_only(redis: Redis) -> None:
    positions = await positions_at(redis, 1, log_at(1))
    await positions.start()
    try:
        wait = asyncio.create_task(positions.wait("errors", 2, 5))
        await asyncio.sleep(0.05)
        await redis.set(ERRORS.checkpoint, 2)
        began = time.monotonic()
        assert await wait
        assert time.monotonic() - began < 0.6
    finally:
        await positions.stop()


async def test_who_waits_in_vain_leaves_nothing_behind(redis: Redis) -> None:
    positions = await positions_at(redis, 1, log_at(1))
    assert not await positions.wait("errors", 2, 0.05)
    assert not positions._watched["errors"].waiters


async def test_a_read_model_that_goes_back_is_rebuilding_until_it_is_where_the_log_was(
    redis: Redis,
) -> None:
    log = log_at(100)
    positions = await positions_at(redis, 100, log)
    await redis.flushall()
    await positions.look()
    assert positions.rebuilding("errors") == (0, 100)
    log.head_position = 120
    await redis.set(ERRORS.checkpoint, 60)
    await positions.look()
    assert positions.rebuilding("errors") == (60, 100)
    await redis.set(ERRORS.checkpoint, 100)
    await positions.look()
    assert positions.rebuilding("errors") is None


async def test_an_old_copy_restored_is_a_step_back_too(redis: Redis) -> None:
    positions = await positions_at(redis, 100, log_at(100))
    await redis.set(ERRORS.checkpoint, 90)
    await positions.look()
    assert positions.rebuilding("errors") == (90, 100)


async def test_a_step_back_is_seen_while_the_log_is_away(redis: Redis) -> None:
    log = log_at(100)
    positions = await positions_at(redis, 100, log)
    log.away = True
    await redis.flushall()
    await positions.look()
    assert positions.rebuilding("errors") == (0, 100)


async def test_at_the_start_nothing_or_far_too_little_is_a_rebuild(redis: Redis) -> None:
    for position, head, rebuilding in (
        (0, 5, True),
        (0, 0, False),
        (5, 5 + FAR_BEHIND, False),
        (5, 6 + FAR_BEHIND, True),
    ):
        positions = await positions_at(redis, position, log_at(head))
        assert (positions.rebuilding("errors") is not None) is rebuilding


async def test_an_edition_is_a_position_reached_without_a_step_back(redis: Redis) -> None:
    positions = await positions_at(redis, 100, log_at(100))
    first = positions.edition("errors")
    await positions.look()
    assert positions.edition("errors") == first
    await redis.set(ERRORS.checkpoint, 60)
    await positions.look()
    await redis.set(ERRORS.checkpoint, 100)
    await positions.look()
    assert positions.position("errors") == 100
    assert positions.edition("errors") != first
    assert positions.edition("apps")[0] == 0


async def test_a_message_from_behind_begins_another_edition(redis: Redis) -> None:
    positions = await positions_at(redis, 100, log_at(100))
    first = positions.edition("errors")
    positions._hear(b"errors.v1 100")
    assert positions.edition("errors") == first
    positions._hear(b"errors.v1 99")
    assert positions.edition("errors") != first


async def test_positions_are_certain_for_a_moment_after_a_look(redis: Redis) -> None:
    positions = Positions(redis, [ERRORS, APPS], log_at(0).head)
    assert not positions.certain
    await positions.look()
    assert positions.certain
    await asyncio.sleep(CERTAIN_SECONDS)
    assert not positions.certain


async def test_another_version_is_read_once_it_has_come_as_far(redis: Redis) -> None:
    positions = await positions_at(redis, 100, log_at(100))
    first = positions.edition("errors")
    new = Keyspace("errors", 1001)
    await redis.set(new.checkpoint, 99)
    await redis.hset(ACTIVE, "errors", 1001)
    await positions.look()
    assert positions.space("errors") == ERRORS
    await redis.set(new.checkpoint, 100)
    await positions.look()
    assert positions.space("errors") == new
    assert (positions.position("errors"), positions.rebuilding("errors")) == (100, None)
    assert positions.edition("errors") != first
    positions._hear(b"errors.v1001 101")
    assert positions.position("errors") == 101


async def test_who_waits_goes_on_over_a_change_of_versions(redis: Redis) -> None:
    positions = await positions_at(redis, 100, log_at(100))
    await positions.start()
    try:
        wait = asyncio.create_task(positions.wait("errors", 102, 5))
        await redis.set(Keyspace("errors", 1001).checkpoint, 102)
        await redis.hset(ACTIVE, "errors", 1001)
        await redis.publish(POSITIONS, f"{ACTIVE_CHANGED} 0")
        assert await wait
    finally:
        await positions.stop()


async def test_code_of_an_older_fold_goes_on_with_the_version_that_is_kept(redis: Redis) -> None:
    positions = await positions_at(redis, 100, log_at(100))
    kept = Kept(APPS.version, 0.0, 1.0)
    await redis.hset(ACTIVE, "apps", APPS.version + 1)
    await redis.hset(KEPT, "apps", msgspec.json.encode(kept))
    await positions.look()
    assert positions.space("apps") == APPS


async def test_code_of_a_newer_fold_reads_the_older_one_while_it_is_live(redis: Redis) -> None:
    old = Keyspace("apps", 1)
    await redis.hset(ACTIVE, "apps", 1)
    await redis.set(old.checkpoint, 100)
    positions = await positions_at(redis, 60, log_at(100))
    assert (positions.space("apps"), positions.position("apps")) == (old, 100)
    unreadable = Positions(redis, [APPS], log_at(100).head, {"apps": 2})
    await unreadable.look()
    assert unreadable.space("apps") == APPS


async def test_a_version_that_is_gone_is_left_for_the_one_there_is(redis: Redis) -> None:
    """Redis was restored from a copy of before the rebuild: a step back, and said to be one."""
    new = Keyspace("errors", 1001)
    await redis.hset(ACTIVE, "errors", 1001)
    await redis.set(new.checkpoint, 100)
    positions = await positions_at(redis, 90, log_at(100))
    assert positions.space("errors") == new
    await redis.delete(new.checkpoint)
    await redis.hset(ACTIVE, "errors", 1)
    await positions.look()
    assert positions.space("errors") == ERRORS
    assert positions.rebuilding("errors") == (90, 100)


async def test_it_stops_at_whatever_moment(redis: Redis) -> None:
    """Also in the middle of a command, when a cancellation may be lost on its way."""
    for turns in range(60):
        positions = await positions_at(redis, 1, log_at(1))
        await positions.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await positions.stop()
