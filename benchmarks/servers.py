"""An event store without an API: PostgreSQL on a throw-away folder, and commands in bulk."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from benchmarks.commands import CALLER
from benchmarks.result import Options
from domain.message import Command
from infra.clock import utc_now
from infra.embedded import EmbeddedServers
from infra.event_store.committer import Observer
from infra.event_store.migrations import migrate
from infra.event_store.store import EventStore

PARTITION_EVENTS = 5_000_000
BATCH = 1_000
_AT_ONCE = 2
"""Batches on their way: the next is made up while one is committed."""


@contextmanager
def empty_log(options: Options) -> Iterator[str]:
    """The URL of a migrated, empty database with fsync on, as `errata up` makes it."""
    with tempfile.TemporaryDirectory(prefix="errata-", dir=options.data) as folder:
        Path(folder).chmod(0o755)  # run as root, the server has an account of its own
        servers = EmbeddedServers.start(Path(folder) / "data", redis=False)
        try:
            migrate(servers.database_url, partition_events=PARTITION_EVENTS)
            yield servers.database_url
        finally:
            servers.stop()


def new_store(database_url: str, observe: Observer = lambda events, seconds: None) -> EventStore:
    """An event store with the defaults of the settings."""
    return EventStore(
        database_url, clock=utc_now, partition_events=PARTITION_EVENTS, observe=observe
    )


def fill(database_url: str, command: Callable[[int], Command], numbers: range) -> None:
    """Commit `command(n)` of all numbers, 1,000 at a time."""
    uvloop.run(_fill(database_url, command, numbers))


async def _fill(database_url: str, command: Callable[[int], Command], numbers: range) -> None:
    store = new_store(database_url)
    await store.start()
    batches = iter(range(0, len(numbers), BATCH))

    async def client() -> None:
        for start in batches:
            commands = [command(number) for number in numbers[start : start + BATCH]]
            await store.execute_all(commands, CALLER)

    await asyncio.gather(*(client() for _ in range(_AT_ONCE)))
    await store.stop()
