"""What every read model must equal after any fault: the pure fold of the log, in one page.

The fold goes to database 1 of the same Redis, where nothing else is; all keys are then compared
with their contents. The order in which Redis keeps the members of a set or a hash is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from time import monotonic, sleep
from typing import Any

import psycopg
import redis

from domain.message import Recorded
from infra.event_store.codec import from_row
from infra.event_store.reader import read_page
from projections.projection import RedisReadModel
from projections.registry import READ_MODELS
from tests.waiting import PATIENCE

Contents = dict[bytes, Any]

_EVERYTHING = 10_000_000


def events_of(database_url: str) -> list[Recorded[Any]]:
    """The whole log, decoded."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        rows = read_page(connection, after=0, limit=_EVERYTHING)
    return [from_row(row) for row in rows]


def head_of(database_url: str) -> int:
    """The position of the last committed event."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT position FROM log_head").fetchone()
    assert row is not None
    return int(row[0])


def contents(client: redis.Redis, model: RedisReadModel) -> Contents:
    """All keys of a read model with all they hold."""
    found: Contents = {}
    for key in client.scan_iter(match=f"{model.keyspace().prefix}*", count=1_000):
        kind = client.type(key)
        if kind == b"string":
            found[key] = client.get(key)
        elif kind == b"hash":
            found[key] = client.hgetall(key)
        elif kind == b"set":
            found[key] = client.smembers(key)
        elif kind == b"zset":
            found[key] = [tuple(entry) for entry in client.zrange(key, 0, -1, withscores=True)]
        else:
            raise AssertionError(f"{key!r} is a {kind!r}")
    return found


def digest(found: Contents) -> str:
    """A hash of contents, whatever order Redis keeps them in."""
    hashed = blake2b(digest_size=16)
    for key in sorted(found):
        value = found[key]
        if isinstance(value, dict):
            value = sorted(value.items())
        elif isinstance(value, set):
            value = sorted(value)
        hashed.update(repr((key, value)).encode())
    return hashed.hexdigest()


def pure_fold(
    redis_url: str, events: Sequence[Recorded[Any]], models: Sequence[RedisReadModel]
) -> list[Contents]:
    """What each read model holds after `events`, folded as one page into an empty database."""
    with redis.Redis.from_url(redis_url, db=1) as client:
        client.flushdb()
        found = []
        for model in models:
            space = model.keyspace()
            with client.pipeline(transaction=True) as pipeline:
                for write in model.fold(space, events):
                    pipeline.execute_command(*write)
                pipeline.set(space.checkpoint, len(events))
                pipeline.execute()
            found.append(contents(client, model))
        client.flushdb()
    return found


def assert_pure(
    database_url: str, redis_url: str, models: Sequence[RedisReadModel] = READ_MODELS
) -> None:
    """Every read model, checkpoint included, is what the whole log folds to."""
    expected = pure_fold(redis_url, events_of(database_url), models)
    with redis.Redis.from_url(redis_url) as client:
        for model, pure in zip(models, expected, strict=True):
            found = contents(client, model)
            assert found.keys() == pure.keys(), model.name
            different = [key for key in pure if found[key] != pure[key]]
            assert not different, f"{model.name}: {different[:5]}"


def wait_for_head(
    database_url: str,
    redis_url: str,
    models: Sequence[RedisReadModel] = READ_MODELS,
    within: float = PATIENCE,
) -> None:
    """Return when every read model has folded the log as it is now."""
    head = head_of(database_url)
    deadline = monotonic() + within
    with redis.Redis.from_url(redis_url) as client:
        while True:
            positions = [int(client.get(model.keyspace().checkpoint) or 0) for model in models]
            if all(position >= head for position in positions):
                return
            assert monotonic() < deadline, f"read models at {positions}, the log at {head}"
            sleep(0.01)
