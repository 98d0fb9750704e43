"""Positions against a real Redis, with checkpoints and messages written by hand."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from domain.failures import Unavailable
from projections.positions import CERTAIN_SECONDS, FAR_BEHIND, Positions
from projections.projection import POSITIONS, Keyspace

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
