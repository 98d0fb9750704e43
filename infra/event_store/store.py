"""The event store as the rest of the house uses it: execute commands, read the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from domain.api_key import ApiKey
from domain.api_key import decider as api_key
from domain.decider import Decider
from domain.message import Command, Committed, Context, Recorded
from infra.event_store.append import Appender
from infra.event_store.archive import Archive
from infra.event_store.committer import Committer, Observer
from infra.event_store.reader import LogReader, QueryObserver
from infra.event_store.recorder import LogRecorder, Streams
from infra.silence import hung_up_after

_POOL_TIMEOUT = 2.0
_CHECK_SECONDS = 1.0


class EventStore:
    """One process's way to the log. `start` inside the event loop before use, `stop` after.

    Starting does not need the database: while it is away, calls raise Unavailable("postgres"),
    and they work again when it is back. States are folded afresh from `archive` too.
    """

    def __init__(
        self,
        database_url: str,
        *,
        clock: Callable[[], datetime],
        partition_events: int,
        queue_limit: int = 10_000,
        batch_limit: int = 1_000,
        archive: Archive | None = None,
        observe: Observer = lambda events, seconds: None,
        observe_query: QueryObserver = lambda query, seconds: None,
    ) -> None:
        self._url = database_url
        self._clock = clock
        self._archive = archive
        self._pool = AsyncConnectionPool[Any](
            database_url,
            min_size=1,
            max_size=4,
            timeout=_POOL_TIMEOUT,
            reconnect_timeout=5,
            open=False,
            check=_check,
            kwargs={"autocommit": True, "application_name": "errata api"},
        )
        self.reader = LogReader(self._pool, self._refold, observe_query)
        self.committer = Committer(
            Appender(
                database_url,
                refold=self._refold,
                clock=clock,
                partition_events=partition_events,
            ),
            queue_limit=queue_limit,
            batch_limit=batch_limit,
            observe=observe,
        )

    async def start(self) -> None:
        """Begin to commit and to connect."""
        await self._pool.open(wait=False)
        await self.committer.start()

    async def stop(self) -> None:
        """Commit what waits, then let the connections go."""
        await self.committer.stop()
        await self._pool.close(timeout=1.0)
        await _ended(f"{self._pool.name}-")

    async def execute(self, command: Command, context: Context) -> Committed:
        """Decide and commit one command; see Committer.execute."""
        return await self.committer.execute(command, context)

    async def execute_all(
        self, commands: Sequence[Command], context: Context
    ) -> Sequence[Committed]:
        """Several commands, all of them or none; see Committer.execute_all."""
        return await self.committer.execute_all(commands, context)

    async def head(self) -> int:
        """The position of the last committed event."""
        return await self.reader.head()

    async def stream_back(
        self, stream_id: UUID, before: int | None, limit: int
    ) -> Sequence[Recorded[Any]]:
        """A stream's events, newest first; see LogReader.stream_back."""
        return await self.reader.stream_back(stream_id, before, limit)

    def _refold(self, stream_id: UUID, decider: Decider[Any]) -> Any:
        with ConnectionPool(self._url, min_size=1, max_size=1, timeout=_POOL_TIMEOUT) as pool:
            recorder = LogRecorder(self._url, pool, self._clock, self._archive)
            return Streams(recorder).state(stream_id, decider)


class KeyStates:
    """The keys' own states beside the log: what tells at once whether a key works.

    Asked of the write side and not of a read model, so that a revocation counts while Redis is
    away, and keys issued before it went away go on working in processes started since.
    """

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    async def version(self) -> int:
        """Changes whenever any key does."""
        return await self._reader.kind_version(api_key.kind)

    async def load(self) -> Sequence[ApiKey]:
        """The state of every key ever issued."""
        return await self._reader.states_of(api_key.kind)


async def _check(connection: AsyncConnection[Any]) -> None:
    """Raises psycopg.Error where a connection of the pool is dead, or the server is silent: how
    long the pool waits for a connection does not bound this look at it."""
    with hung_up_after(_CHECK_SECONDS, connection):
        await AsyncConnectionPool.check_connection(connection)


async def _ended(prefix: str) -> None:
    """Return when no task is left whose name starts so.

    The pool leaves workers behind that are just connecting, and one of those takes a cancellation
    for a failure of that attempt and goes on waiting for work: an event loop that cancels its tasks
    once and waits for them would never end.
    """
    while left := [task for task in asyncio.all_tasks() if task.get_name().startswith(prefix)]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=0.1)
