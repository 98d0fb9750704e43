"""One transaction against the log: lock, load, decide, copy, save, move the head, commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import AsyncConnection

from domain.catalog import DECIDERS, KINDS
from domain.decider import Decider
from infra.event_store import arrays
from infra.event_store import statements as sql
from infra.event_store.arrays import byte_strings, int4s, int8s, texts, uuids
from infra.event_store.batch import Batch, Stream, Unit
from infra.event_store.codec import Row, copy_rows, to_rows
from infra.silence import Silent, hung_up_after

IDLE_IN_TRANSACTION = "5s"
"""A writer that freezes with the lock in its hand loses its transaction after this time."""

ANSWER_SECONDS = 6.0
"""How long a whole batch may take: longer than the server allows a transaction, so that one which
is slow or waits for the lock is ended by the server, and only by us where the server is silent."""

# The flush that ends a psycopg pipeline disarms the server's idle timer, so where the server has a
# timer for whole transactions (from version 17 on) that one is set too.
_BOUND_TRANSACTIONS = """
SELECT set_config(name, %s, false) FROM pg_settings
 WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
"""

FEW_EVENTS = 100
"""Up to so many events an INSERT in the last flight is faster than COPY, which needs two flights of
its own while the lock is held."""

_encode = msgspec.json.Encoder().encode
_DECODE_STATE: dict[str, Callable[[bytes], Any]] = {
    kind: msgspec.json.Decoder(decider.state_type).decode for kind, decider in KINDS.items()
}

Fill = Callable[[list[Unit]], None]
"""Lets more units join a batch."""

Refold = Callable[[UUID, Decider[Any]], Any]
"""Folds a stream's state afresh from all its events (blocking; called in a thread)."""


class OutcomeUnknown(Exception):
    """The connection broke after COMMIT was sent. `event_id` is of one event of the batch."""

    def __init__(self, event_id: UUID) -> None:
        super().__init__(f"the connection broke during COMMIT of event {event_id}")
        self.event_id = event_id


class Appender:
    """Owns one connection and appends batches through it, opening it anew when it broke."""

    def __init__(
        self,
        database_url: str,
        *,
        refold: Refold,
        clock: Callable[[], datetime],
        partition_events: int,
        connect_timeout: float = 2.0,
        answer_timeout: float = ANSWER_SECONDS,
    ) -> None:
        self._url = database_url
        self._refold = refold
        self._clock = clock
        self._partition_events = partition_events
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout
        self._connection: AsyncConnection[Any] | None = None

    async def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def append(self, units: list[Unit], fill: Fill) -> None:
        """Decide and commit `units`, and what `fill` adds to them once it is their turn, in order
        as one transaction; their outcomes are set.

        Raises OutcomeUnknown when the connection broke during COMMIT, psycopg.OperationalError
        when it broke before (nothing is stored), another psycopg.Error when the server refused. A
        connection on which the server is silent for too long is broken here.
        """
        connection = await self._open()
        commit_sent: UUID | None = None
        try:
            with hung_up_after(self._answer_timeout, connection):
                # 1. take the write lock, and with it the next position: all that has come while
                # others had it joins; 2. load what is touched
                position, recorded_at = await _lock(connection)
                fill(units)
                batch = await self._load(connection, units, position, recorded_at)
                # 3. decide, in order
                batch.decide(units)
                if not batch.events:
                    await connection.execute("ROLLBACK")
                    return
                # 4. write events, states and the head, and commit; from the moment COMMIT may be
                # on its way until the answer the outcome is unknown
                rows = to_rows(batch.events)
                if len(rows) > FEW_EVENTS:
                    await _copy(connection, rows)
                commit_sent = batch.events[0].event_id
                await _store(connection, batch, rows)
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
            await self.close()
            if commit_sent is not None:
                raise OutcomeUnknown(commit_sent) from error
            raise
        except BaseException:
            await self.close()  # whatever the state of its transaction, it ends with it
            raise

    async def holds(self, event_id: UUID) -> bool:
        """Whether the log holds an event, asked under the write lock: a transaction whose
        connection broke may still be committing, and holds that lock until it has."""
        connection = await self._open()
        try:
            with hung_up_after(self._answer_timeout, connection):
                async with connection.transaction():
                    await connection.execute(sql.LOCK_HEAD)
                    found = await connection.execute(sql.KNOWN_EVENTS, ([event_id],))
                    return await found.fetchone() is not None
        except BaseException:
            await self.close()
            raise

    async def keep_room(self) -> None:
        """Make sure that there is a partition for the next positions."""
        connection = await self._open()
        with hung_up_after(self._answer_timeout, connection):
            await connection.execute("SELECT log_keep_room(%s)", (self._partition_events,))

    async def _open(self) -> AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = await self._connect()
            arrays.register(self._connection)
            with hung_up_after(self._connect_timeout, self._connection):
                await self._connection.execute(_BOUND_TRANSACTIONS, (IDLE_IN_TRANSACTION,))
        return self._connection

    async def _connect(self) -> AsyncConnection[Any]:
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await AsyncConnection.connect(
                    self._url, autocommit=True, application_name="errata committer"
                )
        except TimeoutError as error:
            raise Silent(f"no connection within {self._connect_timeout:g} s") from error

    async def _load(
        self,
        connection: AsyncConnection[Any],
        units: Sequence[Unit],
        position: int,
        recorded_at: datetime,
    ) -> Batch:
        deciders = {
            command.stream_id: DECIDERS[type(command)]
            for unit in units
            for command in unit.commands
        }
        chosen = {
            command.event_id
            for unit in units
            for command in unit.commands
            if command.event_id is not None
        }
        async with connection.pipeline():
            loaded = connection.cursor(binary=True)
            await loaded.execute(sql.LOAD_STREAMS, (uuids(deciders),))
            known = None
            if chosen:
                known = await connection.execute(sql.KNOWN_EVENTS, (uuids(chosen),))
        return Batch(
            position=position,
            recorded_at=max(self._clock(), recorded_at).astimezone(UTC),
            streams=await self._states(await loaded.fetchall(), deciders),
            known=dict(await known.fetchall()) if known is not None else {},
        )

    async def _states(
        self,
        rows: Iterable[tuple[UUID, str, int, bytes, int]],
        deciders: Mapping[UUID, Decider[Any]],
    ) -> dict[UUID, Stream]:
        streams = {}
        for stream_id, kind, version, state, schema in rows:
            # The recorder leaves the kind open: then it is that of the first who decides.
            decider = KINDS[kind] if kind else deciders[stream_id]
            folded = await state_of(decider, stream_id, state, schema, self._refold)
            streams[stream_id] = Stream(decider, version, folded)
        return streams


async def _lock(connection: AsyncConnection[Any]) -> tuple[int, datetime]:
    """Begin a transaction that has the write lock; the log's head and when it was recorded."""
    async with connection.pipeline():
        await connection.execute("BEGIN")
        lock = await connection.execute(sql.LOCK_HEAD)
    head = await lock.fetchone()
    assert head is not None
    position, recorded_at = head
    return position, recorded_at


async def state_of(
    decider: Decider[Any], stream_id: UUID, state: bytes, schema: int, refold: Refold
) -> Any:
    """A stored state; folded afresh from the stream's events when it is of another schema."""
    if schema == decider.state_schema:
        return _DECODE_STATE[decider.kind](state)
    return await asyncio.to_thread(refold, stream_id, decider)


async def _store(connection: AsyncConnection[Any], batch: Batch, rows: Sequence[Row]) -> None:
    """The last flight of a batch: its events, unless they are there already, states, the head."""
    async with connection.pipeline():
        if len(rows) <= FEW_EVENTS:
            await connection.execute(sql.INSERT_EVENTS, _event_columns(rows))
        await connection.execute(sql.SAVE_STREAMS, _stream_columns(batch))
        await connection.execute(
            sql.ADVANCE_HEAD,
            {"position": batch.position, "recorded_at": batch.recorded_at},
        )
        await connection.execute("COMMIT")


async def _copy(connection: AsyncConnection[Any], rows: Sequence[Row]) -> None:
    async with connection.cursor() as cursor, cursor.copy(sql.COPY_EVENTS) as copy:
        await copy.write(copy_rows(rows))


def _event_columns(rows: Sequence[Row]) -> tuple[Any, ...]:
    return (
        rows[0].recorded_at,
        int8s([row.position for row in rows]),
        uuids([row.stream_id for row in rows]),
        int8s([row.stream_version for row in rows]),
        texts([row.name for row in rows]),
        uuids([row.event_id for row in rows]),
        byte_strings([row.metadata for row in rows]),
        byte_strings([row.data for row in rows]),
    )


def _stream_columns(batch: Batch) -> tuple[Any, ...]:
    changed = batch.changed
    streams = changed.values()
    return (
        uuids(changed),
        texts([stream.decider.kind for stream in streams]),
        int8s([stream.version for stream in streams]),
        byte_strings([_encode(stream.state) for stream in streams]),
        int4s([stream.decider.state_schema for stream in streams]),
    )
