"""What tests of rebuilds share: asking for one, waiting for its end, what must then be there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic, sleep
from typing import TypeVar
from uuid import uuid4

import redis

from infra.clock import utc_now
from infra.redis import connect_async
from projections.projection import Keyspace, ReadModel, RedisReadModel
from projections.rebuilds import Rebuild, Rebuilds, Site
from projections.registry import READ_MODELS
from projections.versions import Standing, standing_of
from tests.faults.oracle import Contents, events_of
from tests.waiting import PATIENCE

T = TypeVar("T")


def asked(redis_url: str, ask: Callable[[Rebuilds], Awaitable[T]]) -> T:
    """What `ask` makes of the rebuilds, on a connection of its own."""

    async def run() -> T:
        client = connect_async(redis_url)
        try:
            return await ask(Rebuilds(client, READ_MODELS))
        finally:
            await client.aclose()

    return asyncio.run(run())


def request(
    redis_url: str, models: Sequence[ReadModel] = READ_MODELS, *, expect_same: bool = False
) -> Rebuild:
    """Ask for a rebuild."""
    return asked(
        redis_url,
        lambda rebuilds: rebuilds.request(
            uuid4(), names(models), by="test", at=utc_now(), expect_same=expect_same
        ),
    )


def roll_back(redis_url: str, models: Sequence[ReadModel] = READ_MODELS) -> Rebuild:
    """Ask for what was live before."""
    return asked(
        redis_url,
        lambda rebuilds: rebuilds.roll_back(uuid4(), names(models), by="test", at=utc_now()),
    )


def names(models: Sequence[ReadModel]) -> list[str]:
    """What they are called."""
    return [model.name for model in models]


def cancel(redis_url: str, rebuild: Rebuild) -> Rebuild | None:
    """Ask for the end of a rebuild."""
    return asked(redis_url, lambda rebuilds: rebuilds.cancel(rebuild.id, by="test"))


def when(
    redis_url: str,
    rebuild: Rebuild,
    holds: Callable[[Rebuild], bool] = lambda found: found.ended and not found.to_clear,
    within: float = PATIENCE,
) -> Rebuild:
    """The rebuild once something holds of it: that it has ended."""
    deadline = monotonic() + within
    with redis.Redis.from_url(redis_url) as client:
        while True:
            _, rebuilds = Site(client).look()
            found = next(one for one in rebuilds if one.id == rebuild.id)
            if holds(found):
                return found
            assert monotonic() < deadline, found
            sleep(0.01)


def standing(redis_url: str) -> Standing:
    """Which versions are live and kept."""
    with redis.Redis.from_url(redis_url) as client:
        return standing_of(client)


def contents_of(client: redis.Redis, space: Keyspace) -> Contents:
    """All keys of a version with all they hold, without the prefix; checkpoint included."""
    found: Contents = {}
    start = len(space.prefix.encode())
    for key in client.scan_iter(match=space.prefix + "*", count=1_000):
        match client.type(key):
            case b"string":
                found[key[start:]] = client.get(key)
            case b"hash":
                found[key[start:]] = client.hgetall(key)
            case b"set":
                found[key[start:]] = client.smembers(key)
            case b"zset":
                entries = client.zrange(key, 0, -1, withscores=True)
                found[key[start:]] = [tuple(entry) for entry in entries]
            case other:
                raise AssertionError(f"{key!r} is a {other!r}")
    return found


def assert_live_is_pure(
    database_url: str, redis_url: str, models: Sequence[RedisReadModel] = READ_MODELS
) -> None:
    """What is live of each read model is what the log folds to; waits until it has come so far."""
    events = events_of(database_url)
    with (
        redis.Redis.from_url(redis_url) as client,
        redis.Redis.from_url(redis_url, db=1) as other,
    ):
        active = standing_of(client).active
        for model in models:
            space = Keyspace(model.name, active[model.name])
            deadline = monotonic() + PATIENCE
            while int(client.get(space.checkpoint) or 0) < len(events):
                assert monotonic() < deadline, f"{space} is at {client.get(space.checkpoint)!r}"
                sleep(0.01)
            other.flushdb()
            with other.pipeline(transaction=True) as pipeline:
                for write in model.fold(space, events):
                    pipeline.execute_command(*write)
                pipeline.set(space.checkpoint, len(events))
                pipeline.execute()
            found, pure = contents_of(client, space), contents_of(other, space)
            assert found.keys() == pure.keys(), model.name
            different = [key for key in pure if found[key] != pure[key]]
            assert not different, f"{model.name}: {different[:5]}"
        other.flushdb()


def versions_there(redis_url: str, name: str) -> set[int]:
    """The versions of a read model of which there is any key."""
    start = f"errata:{{{name}.v"
    with redis.Redis.from_url(redis_url) as client:
        keys = [key.decode() for key in client.scan_iter(match=f"{start}*", count=1_000)]
    return {int(key.removeprefix(start).partition("}")[0]) for key in keys}
