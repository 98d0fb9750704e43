"""Fault 8: Redis killed, emptied, restored from an old copy, or from another log's. The read models
heal by themselves and writes go on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from time import monotonic, sleep

import redis

from projections.projection import ACTIVE
from projections.registry import READ_MODELS
from tests.conftest import Servers
from tests.faults.load import Load, load, stored_ids
from tests.faults.oracle import assert_pure, head_of, wait_for_head
from tests.faults.rounds import dice, rounds
from tests.faults.workers import Flaw, working
from tests.waiting import PATIENCE

Damage = Callable[[int], None]
"""Breaks Redis, the given time being the n-th."""


def damaged(count: int, seed: Random, database_url: str, redis_url: str, damage: Damage) -> None:
    """`count` times the same damage under load with a worker running; after each one the read
    models catch up, and in the end they are the pure fold."""
    with (
        load(database_url, seed, clients=2) as clients,
        working(database_url, redis_url, Flaw(page_events=20)),
    ):
        wait_for_head(database_url, redis_url)
        for number in range(count):
            sleep(seed.uniform(0.0, 0.1))
            damage(number)
            await_writes(clients)
            wait_for_head(database_url, redis_url)
        clients.stop()
        wait_for_head(database_url, redis_url)
        assert_pure(database_url, redis_url)
        assert_live_versions(redis_url)
    assert clients.refused == 0
    assert set(clients.acknowledged) <= stored_ids(database_url)


def await_writes(clients: Load) -> None:
    """Some more reports are acknowledged, whatever Redis does."""
    wanted = len(clients.acknowledged) + 3
    deadline = monotonic() + PATIENCE
    while len(clients.acknowledged) < wanted:
        assert monotonic() < deadline, "writes stand still"
        sleep(0.005)


def assert_live_versions(redis_url: str) -> None:
    """Redis knows again which version of each read model is live."""
    with redis.Redis.from_url(redis_url) as client:
        live = {name.decode(): int(version) for name, version in client.hgetall(ACTIVE).items()}
    assert live == {model.name: model.version for model in READ_MODELS}


def test_redis_killed(fragile: Servers, fragile_database: str, fragile_redis: str) -> None:
    def kill(number: int) -> None:
        fragile.embedded.kill_redis()
        sleep(0.02 * (number % 5))
        fragile.embedded.start_redis()

    damaged(rounds(50, 3), dice("kill"), fragile_database, fragile_redis, kill)


def test_redis_emptied(database_url: str, redis_url: str) -> None:
    def empty(_: int) -> None:
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()

    damaged(rounds(50, 5), dice("empty"), database_url, redis_url, empty)


def test_redis_restored_from_an_old_copy(database_url: str, redis_url: str) -> None:
    """The copy is some hundred milliseconds old, or from before there was anything."""
    copies: list[dict[bytes, bytes]] = [{}]

    def restore_old_copy(number: int) -> None:
        with redis.Redis.from_url(redis_url) as client:
            copies.append(copy_of(client))
            restore(client, copies[number // 2])

    damaged(rounds(50, 6), dice("restore"), database_url, redis_url, restore_old_copy)


def copy_of(client: redis.Redis) -> dict[bytes, bytes]:
    """All keys of one moment, as a snapshot holds them."""
    copy: dict[bytes, bytes] = client.eval(
        "local found = {} for _, key in ipairs(redis.call('KEYS', '*')) do"
        " found[#found + 1] = key found[#found + 1] = redis.call('DUMP', key) end return found",
        0,
    )
    flat = list(copy)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def restore(client: redis.Redis, copy: dict[bytes, bytes]) -> None:
    """All keys as in the copy and no others, from one moment to the next."""
    with client.pipeline(transaction=True) as pipeline:
        pipeline.flushall()
        for key, value in copy.items():
            pipeline.restore(key, 0, value)
        pipeline.execute()


def test_a_checkpoint_ahead_of_the_log_is_built_anew(database_url: str, redis_url: str) -> None:
    """So it is when PostgreSQL was restored from an old copy, or another log's Redis is used."""

    def get_ahead(_: int) -> None:
        head = head_of(database_url)
        with redis.Redis.from_url(redis_url) as client, client.pipeline() as pipeline:
            for model in READ_MODELS:
                space = model.keyspace()
                pipeline.set(space.checkpoint, head + 1_000_000)
                pipeline.hset(f"{space.prefix}of another log", "a", "b")
            pipeline.execute()

    def wait_until_noticed(number: int) -> None:
        get_ahead(number)
        with redis.Redis.from_url(redis_url) as client:
            deadline = monotonic() + PATIENCE
            while any(
                int(client.get(model.keyspace().checkpoint) or 0) > head_of(database_url)
                for model in READ_MODELS
            ):
                assert monotonic() < deadline, "nobody noticed"
                sleep(0.005)

    damaged(rounds(50, 3), dice("ahead"), database_url, redis_url, wait_until_noticed)
