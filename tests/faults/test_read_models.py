"""Faults 12 to 15: indigestible events, pages of any size, reads with a position, lost news."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from random import Random
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import redis

from domain.error_group import ErrorReported
from domain.message import Recorded
from errata.worker import run_worker
from infra.event_store import statements
from infra.event_store.store import EventStore
from infra.redis import connect_async
from infra.settings import load_settings
from projections.directory.apps import Apps
from projections.error_groups import ErrorGroups
from projections.positions import Positions
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write
from projections.registry import READ_MODELS
from projections.runner import Runner, Stopped, stopped_key
from tests.faults.load import any_command, fill, insist, store_thread
from tests.faults.oracle import (
    assert_pure,
    contents,
    digest,
    events_of,
    head_of,
    pure_fold,
    wait_for_head,
)
from tests.faults.rounds import dice, rounds
from tests.faults.workers import working
from tests.waiting import PATIENCE


class Picky(Apps):
    """A read model that cannot digest reports which came as one in a hundred, until it is told
    how. Otherwise it notes every position."""

    name = "picky"
    ignores = frozenset()
    cured = False

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        for recorded in events:
            if not self.cured and is_bad(recorded):
                raise Indigestible(recorded, "it is bad")
        noted = [str(recorded.position) for recorded in events]
        return [("SADD", f"{keyspace.prefix}noted", *noted)]


def is_bad(recorded: Recorded[Any]) -> bool:
    return isinstance(recorded.event, ErrorReported) and recorded.event_id.int % 100 == 0


class WorkerThread:
    """A worker in a thread, for tests that bring read models of their own."""

    def __init__(
        self, database_url: str, redis_url: str, read_models: Sequence[RedisReadModel]
    ) -> None:
        self._stop = threading.Event()
        settings = msgspec.structs.replace(
            load_settings({}), database_url=database_url, redis_url=redis_url
        )
        self._thread = threading.Thread(
            target=run_worker, args=(settings, self._stop), kwargs={"read_models": read_models}
        )

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def indigestible(commands: int, seed: Random, database_url: str, redis_url: str) -> None:
    """A log of which one event in a hundred is indigestible to one read model."""
    fill(database_url, seed, commands)
    first_bad = next(one for one in events_of(database_url) if is_bad(one))
    picky = Picky()
    with redis.Redis.from_url(redis_url) as client:
        key = stopped_key(picky.keyspace())
        with WorkerThread(database_url, redis_url, [picky, *READ_MODELS]):
            wait_for_head(database_url, redis_url)
            said = wait_for_key(client, key)
        assert_pure(database_url, redis_url)
        assert msgspec.json.decode(said, type=Stopped) == Stopped(
            "picky", first_bad.position, str(first_bad.event_id), "it is bad"
        )
        stood_at = client.get(picky.keyspace().checkpoint)
        assert int(stood_at or 0) == first_bad.position - 1
        picky.cured = True
        with WorkerThread(database_url, redis_url, [picky, *READ_MODELS]):
            wait_for_head(database_url, redis_url, [picky])
        assert client.get(key) is None
    assert_pure(database_url, redis_url, [picky, *READ_MODELS])


def wait_for_key(client: redis.Redis, key: str) -> bytes:
    deadline = monotonic() + PATIENCE
    while (value := client.get(key)) is None:
        assert monotonic() < deadline, f"no {key}"
        sleep(0.01)
    assert isinstance(value, bytes)
    return value


def test_a_read_model_stops_at_what_it_cannot_digest_and_goes_on_once_it_can(
    database_url: str, redis_url: str
) -> None:
    indigestible(rounds(10_000, 400), dice("indigestible"), database_url, redis_url)


class Pages:
    """A log in memory, read in pages of random sizes."""

    def __init__(self, events: Sequence[Recorded[Any]], seed: Random) -> None:
        self._events = events
        self._seed = seed

    def head(self) -> int:
        return len(self._events)

    def events(self, after: int, limit: int) -> Sequence[Recorded[Any]]:
        size = self._seed.choice([1, 2, 3, 5, 20, 100, 1_000])
        return self._events[after : after + min(size, limit)]


def pages_of_random_sizes(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """`count` logs (beginnings of one), each folded in random pages and at once."""
    events = events_of(database_url)
    with redis.Redis.from_url(redis_url) as client:
        for _ in range(count):
            part = events[: seed.randint(1, len(events))]
            client.flushdb()
            runner = Runner(Pages(part, seed), client, READ_MODELS)
            while runner.step():
                continue
            pure = [digest(found) for found in pure_fold(redis_url, part, READ_MODELS)]
            assert [digest(contents(client, model)) for model in READ_MODELS] == pure


def test_pages_of_any_size_leave_the_same_bytes(database_url: str, redis_url: str) -> None:
    seed = dice("pages")
    fill(database_url, seed, 150, streams=6)
    pages_of_random_sizes(rounds(1_000, 25), seed, database_url, redis_url)


async def reads_with_a_position(
    count: int, seed: Random, store: EventStore, redis_url: str
) -> None:
    """`count` times: write, wait for that position, look at the checkpoint beside the data."""
    client = connect_async(redis_url)
    space = ErrorGroups().keyspace()
    positions = Positions(client, [model.keyspace() for model in READ_MODELS], store.head)
    await positions.start()

    async def write_and_read(reads: int) -> None:
        for _ in range(reads):
            await insist(store, any_command(seed, 50))
            position = await store.head()
            assert await positions.wait(space.name, position, within=PATIENCE)
            assert int(await client.get(space.checkpoint) or 0) >= position

    await asyncio.gather(*(write_and_read(count // 10) for _ in range(10)))
    await positions.stop()
    await client.aclose()


def test_a_read_with_a_position_is_never_older(database_url: str, redis_url: str) -> None:
    with working(database_url, redis_url), store_thread(database_url) as thread:
        scenario = reads_with_a_position(
            rounds(10_000, 300), dice("positions"), thread.store, redis_url
        )
        thread.run(scenario, within=600)


def lost_news(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """`count` times either the listening session is ended or an event comes without NOTIFY."""
    fill(database_url, seed, 10)
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        for _ in range(count):
            if seed.random() < 0.5:
                end_listening(database_url)
                sleep(seed.uniform(0.0, 0.1))
                fill(database_url, seed, 2)
            else:
                append_in_silence(database_url)
            wait_for_head(database_url, redis_url, within=1.0)
        assert_pure(database_url, redis_url)


def end_listening(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'errata worker'"
        )


def append_in_silence(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(statements.LOCK_HEAD).fetchone()
        assert row is not None
        position, last = row
        app = uuid4()
        data = msgspec.json.encode({"app": str(app), "app_name": "Silent"})
        metadata = msgspec.json.encode(
            {"actor": "system:test", "correlation_id": "a", "causation_id": "b"}
        )
        connection.execute(
            "INSERT INTO events VALUES (%s, %s, 1, 'AppRegistered', %s, %s, %s, %s)",
            (position + 1, app, uuid4(), last, metadata, data),
        )
        connection.execute("UPDATE log_head SET position = %s", (position + 1,))
    assert head_of(database_url) == position + 1


def test_lost_news_is_caught_up_with_within_a_second(database_url: str, redis_url: str) -> None:
    lost_news(rounds(100, 6), dice("news"), database_url, redis_url)
