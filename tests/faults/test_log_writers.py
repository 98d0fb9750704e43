"""Faults 2, 3 and 16: many writers, writers that dawdle, no connections left, a wrong clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from random import Random
from time import sleep
from uuid import UUID, uuid4

import psycopg
import pytest

from domain.failures import Unavailable
from infra.clock import utc_now
from infra.event_store import statements
from infra.event_store.codec import Row
from infra.event_store.store import EventStore
from infra.event_store.subscription import Subscription
from tests.conftest import PARTITION_EVENTS
from tests.faults.load import StoreThread, any_command, insist, load, store_thread, stored_ids
from tests.faults.rounds import dice, rounds
from tests.reports import SOMEBODY, check_log, report

WRITERS = 16
STREAMS = 50
READERS = 3


class Reader:
    """Follows the log in a thread, and keeps what it saw in the order in which it saw it."""

    def __init__(self, database_url: str) -> None:
        self.seen: list[Row] = []
        self._url = database_url
        self._until: int | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def finish(self, head: int) -> list[tuple[int, UUID]]:
        """Read on to `head`; what was seen: (position, event id)."""
        self._until = head
        self._thread.join(60)
        assert not self._thread.is_alive(), f"stuck after {len(self.seen)} of {head} events"
        return [(row.position, row.event_id) for row in self.seen]

    def _follow(self) -> None:
        subscription = Subscription(self._url)
        try:
            while self._until is None or len(self.seen) < self._until:
                page = subscription.page(self.seen[-1].position if self.seen else 0, 500)
                self.seen += page
                if not page:
                    subscription.wait(0.05)
        finally:
            subscription.close()


@contextmanager
def followed(database_url: str) -> Iterator[None]:
    """Readers follow the log during a block and must have seen it all, in order, without a gap."""
    readers = [Reader(database_url) for _ in range(READERS)]
    try:
        yield
    finally:
        rows = check_log(database_url)
        seen = [reader.finish(len(rows)) for reader in readers]
    stored = [(row[0], row[4]) for row in rows]
    assert all(found == stored for found in seen)


def many_writers(count: int, seed: Random, database_url: str) -> None:
    """`count` commands by 16 event stores on 50 streams, while readers follow."""

    async def write(store: EventStore, own: Random) -> list[UUID | None]:
        async def client(commands: int) -> list[UUID | None]:
            made = [any_command(own, STREAMS) for _ in range(commands)]
            return [command.event_id for command in made if (await insist(store, command))[0]]

        parts = await asyncio.gather(*(client(count // WRITERS // 4) for _ in range(4)))
        return [event_id for part in parts for event_id in part]

    with ExitStack() as stack, followed(database_url):
        threads = [stack.enter_context(store_thread(database_url)) for _ in range(WRITERS)]
        running = [
            asyncio.run_coroutine_threadsafe(
                write(thread.store, Random(seed.random())), thread.loop
            )
            for thread in threads
        ]
        acknowledged = {event_id for one in running for event_id in one.result(3_600)}
    assert acknowledged <= stored_ids(database_url)


def test_readers_see_every_event_of_many_writers_once_and_in_order(database_url: str) -> None:
    many_writers(rounds(100_000, 4_000), dice("many writers"), database_url)


def held_open(count: int, seed: Random, database_url: str) -> None:
    """`count` times another session takes the write lock, writes an event and dawdles, then rolls
    back or commits; meanwhile clients write and readers follow."""
    committed = 0
    with followed(database_url), load(database_url, seed) as clients:
        for _ in range(count):
            committed += append_slowly(database_url, seed.uniform(0, 0.02), seed.random() < 0.5)
    assert committed > 0
    assert set(clients.acknowledged) <= stored_ids(database_url)


def append_slowly(database_url: str, seconds: float, commit: bool) -> bool:
    """An append by plain SQL that holds the lock for some time in its middle."""
    stream_id = uuid4()
    with psycopg.connect(database_url) as connection:
        position, last = connection.execute(statements.LOCK_HEAD).fetchone() or (0, utc_now())
        connection.execute(
            "INSERT INTO events VALUES (%s, %s, 1, 'AppRegistered', %s, %s, %s, %s)",
            (position + 1, stream_id, uuid4(), last, b"{}", b"{}"),
        )
        sleep(seconds)
        connection.execute("INSERT INTO streams VALUES (%s, '', 1, '', 0)", (stream_id,))
        connection.execute(statements.ADVANCE_HEAD, {"position": position + 1, "recorded_at": last})
        sleep(seconds)
        if not commit:
            connection.rollback()
    return commit


def test_readers_miss_nothing_when_a_transaction_is_held_open(database_url: str) -> None:
    held_open(rounds(1_000, 40), dice("held open"), database_url)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_an_hour_off_neither_loses_nor_disorders(
    database_url: str, hours: int
) -> None:
    """Two processes write in turn, one of them with a wrong clock."""

    async def write() -> list[UUID]:
        async with two_stores(database_url, timedelta(hours=hours)) as stores:
            made = [
                (stores[number % 2], report(str(number), event_id=uuid4())) for number in range(40)
            ]
            return [
                (await store.execute(command, SOMEBODY)).events[0].event_id
                for store, command in made
            ]

    acknowledged = asyncio.run(write())
    rows = check_log(database_url)  # among others, that recorded time never goes back
    assert [row[4] for row in rows] == acknowledged


class two_stores:  # noqa: N801 - reads as the context manager it is
    """Two event stores, the second one with its clock off."""

    def __init__(self, database_url: str, off: timedelta) -> None:
        clocks: list[Callable[[], object]] = [utc_now, lambda: utc_now() + off]
        self._stores = [
            EventStore(database_url, clock=clock, partition_events=PARTITION_EVENTS)  # type: ignore[arg-type]
            for clock in clocks
        ]

    async def __aenter__(self) -> list[EventStore]:
        for store in self._stores:
            await store.start()
        return self._stores

    async def __aexit__(self, *_: object) -> None:
        for store in self._stores:
            await store.stop()


def no_connections_left(count: int, database_url: str) -> None:
    """`count` times others take every connection that the server has, for longer than the
    committer's patience; executes fail cleanly meanwhile, and work again by themselves."""
    with store_thread(database_url) as thread:
        for number in range(count):
            execute(thread, f"before {number}")
            with crowded(database_url), pytest.raises(Unavailable) as refused:
                execute(thread, f"during {number}")
            assert refused.value.part == "postgres"
            assert "nothing was stored" in refused.value.reason
            execute(thread, f"after {number}")
    names = [row[3] for row in check_log(database_url)]
    assert names == ["ErrorReported"] * 2 * count


def execute(thread: StoreThread, name: str) -> None:
    thread.run(thread.store.execute(report(name), SOMEBODY))


@contextmanager
def crowded(database_url: str) -> Iterator[None]:
    """Every connection of the server (max_connections) is somebody else's during a block."""
    taken: list[psycopg.Connection] = []
    try:
        take_all(database_url, taken)
        taken[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'errata %'"
        )
        taken[0].commit()
        sleep(0.1)  # until the ended sessions have left their places
        take_all(database_url, taken)
        yield
    finally:
        for connection in taken:
            connection.close()


def take_all(database_url: str, taken: list[psycopg.Connection]) -> None:
    while True:
        try:
            taken.append(psycopg.connect(database_url))
        except psycopg.OperationalError as full:
            assert "too many clients" in str(full)
            return


def test_no_connections_left_is_a_clean_refusal_that_passes(fragile_database: str) -> None:
    no_connections_left(rounds(20, 1), fragile_database)
