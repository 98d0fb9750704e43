"""Writers: event stores in threads of their own, and clients that never give up on a command."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from random import Random
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from domain.error_group import DeleteError, ReopenError, ResolveError, group_id
from domain.failures import NotFound, Unavailable
from domain.message import Command
from infra.clock import utc_now
from infra.event_store.store import EventStore
from tests.conftest import PARTITION_EVENTS
from tests.reports import SOMEBODY, report

T = TypeVar("T")
GIVE_UP_SECONDS = 60.0
RETRY_SECONDS = 0.05


class StoreThread:
    """An event store with an event loop in a thread of its own, for tests that block."""

    def __init__(self, database_url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.store = EventStore(database_url, clock=utc_now, partition_events=PARTITION_EVENTS)
        self.run(self.store.start())

    def run(self, work: Coroutine[Any, Any, T], within: float = GIVE_UP_SECONDS) -> T:
        """Run a coroutine there and wait for what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(within)

    def close(self) -> None:
        """Commit what waits and end the thread."""
        self.run(self.store.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


@contextmanager
def store_thread(database_url: str) -> Iterator[StoreThread]:
    """An event store in a thread for the life of a block."""
    thread = StoreThread(database_url)
    try:
        yield thread
    finally:
        thread.close()


def event_id(dice: Random) -> UUID:
    """An id as a client would choose one."""
    return UUID(int=dice.getrandbits(128), version=4)


def any_command(dice: Random, streams: int) -> Command:
    """Mostly reports, over so many errors; now and then a decision of somebody about one."""
    name = f"error {dice.randrange(streams)}"
    error = group_id("default", name)
    match dice.randrange(20):
        case 0:
            return ResolveError(error_id=error, event_id=event_id(dice))
        case 1:
            return ReopenError(error_id=error, event_id=event_id(dice))
        case 2:
            return DeleteError(error_id=error, event_id=event_id(dice))
    changes = {"level": dice.choice(["error", "warning"]), "source": dice.choice(["a", "b"])}
    return report(name, event_id=event_id(dice), **changes)


async def insist(store: EventStore, command: Command) -> tuple[bool, int]:
    """Execute until it is decided, as a client does that chose an event id and means it.

    Returns whether the log holds the command's event for certain, and how often it was refused
    with Unavailable. A command that changes nothing stores nothing.
    """
    refused = 0
    give_up = monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            committed = await store.execute(command, SOMEBODY)
            return bool(committed.events) or committed.known is not None, refused
        except NotFound:
            return False, refused
        except Unavailable:
            refused += 1
            if monotonic() > give_up:
                raise
            await asyncio.sleep(RETRY_SECONDS)


class Load:
    """Clients that write without a pause until they are told to stop."""

    def __init__(
        self, thread: StoreThread, dice: Random, *, clients: int = 4, streams: int = 20
    ) -> None:
        self.acknowledged: list[UUID] = []
        self.refused = 0
        self._stop = False
        self._thread = thread
        seeds = [Random(dice.random()) for _ in range(clients)]
        self._clients = [
            asyncio.run_coroutine_threadsafe(self._client(seed, streams), thread.loop)
            for seed in seeds
        ]

    def stop(self) -> None:
        """Let every client finish its command; errors of theirs are raised here."""
        self._stop = True
        for client in self._clients:
            client.result(GIVE_UP_SECONDS)

    async def _client(self, dice: Random, streams: int) -> None:
        while not self._stop:
            command = any_command(dice, streams)
            stored, refused = await insist(self._thread.store, command)
            self.refused += refused
            if stored and command.event_id is not None:
                self.acknowledged.append(command.event_id)
            await asyncio.sleep(0.001)


@contextmanager
def load(database_url: str, dice: Random, *, clients: int = 4, streams: int = 20) -> Iterator[Load]:
    """Writes from many clients for the life of a block."""
    with store_thread(database_url) as thread:
        running = Load(thread, dice, clients=clients, streams=streams)
        try:
            yield running
        finally:
            running.stop()


def fill(database_url: str, dice: Random, commands: int, streams: int = 20) -> None:
    """Write a log of about so many events."""

    async def write(store: EventStore) -> None:
        await asyncio.gather(*(insist(store, any_command(dice, streams)) for _ in range(commands)))

    with store_thread(database_url) as thread:
        thread.run(write(thread.store))


def stored_ids(database_url: str) -> set[UUID]:
    """The ids of all events in the log."""
    with psycopg.connect(database_url) as connection:
        return {row[0] for row in connection.execute("SELECT event_id FROM events").fetchall()}
