"""A log made of an exported one: the same events under the same positions, ids and times.

Only into an empty log, or one that holds the beginning of the same events: so it may be broken off
and repeated. The states that decisions need are folded on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from domain.catalog import KINDS
from domain.decider import Decider
from domain.failures import Conflict
from domain.history import KIND_OF_EVENT
from infra.audit_check import log_rows
from infra.event_store import statements as sql
from infra.event_store.codec import COPY_END, COPY_HEADER, Row, copy_row, from_row
from infra.event_store.pages import in_pages
from infra.event_store.reader import read_head

BATCH_EVENTS = 1_000

_EXPORT = b'{"errata_export":'
_EVENT_AT = "SELECT event_id FROM events WHERE position = %s"
_encode = msgspec.json.Encoder().encode


class Restored(NamedTuple):
    """Events stored, and those that were there from an import before."""

    stored: int = 0
    known: int = 0


class _Stream(NamedTuple):
    decider: Decider[Any]
    version: int
    state: Any


def is_export(beginning: bytes) -> bool:
    """Whether a file that begins so is an exported log."""
    return beginning.startswith(_EXPORT)


def restore(
    database_url: str,
    file: IO[bytes],
    *,
    partition_events: int,
    on_progress: Callable[[Restored], None] = lambda done: None,
) -> Restored:
    """Store what a file holds, batch by batch.

    Raises Conflict where the log holds other events, NotProved for a file that is not whole,
    UnknownEvent for events of a newer Errata, psycopg.Error."""
    done = Restored()
    size = min(BATCH_EVENTS, partition_events)
    with psycopg.connect(database_url, autocommit=True) as connection:
        head = read_head(connection)
        rows = log_rows(file)
        for row in rows:
            if row.position > head:
                break
            if row.position in (1, head):
                _compare_head(connection, row)
            done = done._replace(known=done.known + 1)
        else:
            return done
        rows = _after(row, rows)
        for batch in in_pages(rows, size):
            connection.execute("SELECT log_keep_room(%s)", (partition_events,))
            with connection.transaction():
                _append(connection, batch)
            done = done._replace(stored=done.stored + len(batch))
            on_progress(done)
    return done


def _after(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _compare_head(connection: psycopg.Connection[Any], row: Row) -> None:
    found = connection.execute(_EVENT_AT, (row.position,)).fetchone()
    if found is None or found[0] != row.event_id:
        raise Conflict(
            f"the log holds {row.position:,} other events: a log is made in an empty one only"
        )


def _append(connection: psycopg.Connection[Any], batch: list[Row]) -> None:
    """One transaction, as the committer's: lock, load, fold, copy, save, move the head."""
    locked = connection.execute(sql.LOCK_HEAD).fetchone()
    assert locked is not None
    if locked[0] != batch[0].position - 1:
        raise Conflict("somebody else is writing to the log")
    streams = _streams(connection, {row.stream_id for row in batch})
    changed: dict[UUID, _Stream] = {}
    for row in batch:
        recorded = from_row(row)
        decider = KINDS[KIND_OF_EVENT[row.name]]
        before = streams.get(row.stream_id) or _Stream(decider, 0, decider.initial)
        state = decider.evolve(before.state, recorded)
        streams[row.stream_id] = _Stream(decider, row.stream_version, state)
        changed[row.stream_id] = streams[row.stream_id]
    with connection.cursor().copy(sql.COPY_EVENTS) as copy:
        copy.write(b"".join((COPY_HEADER, *map(copy_row, batch), COPY_END)))
    connection.execute(sql.SAVE_STREAMS, _columns(changed))
    last = batch[-1]
    arguments = {"position": last.position, "recorded_at": last.recorded_at}
    connection.execute(sql.ADVANCE_HEAD, arguments)


def _streams(connection: psycopg.Connection[Any], ids: set[UUID]) -> dict[UUID, _Stream]:
    found = {}
    cursor = connection.cursor(binary=True)
    for stream_id, kind, version, state, _ in cursor.execute(sql.LOAD_STREAMS, (list(ids),)):
        decider = KINDS[kind]
        folded = msgspec.json.decode(state, type=decider.state_type)
        found[stream_id] = _Stream(decider, version, folded)
    return found


def _columns(changed: dict[UUID, _Stream]) -> tuple[Any, ...]:
    streams = changed.values()
    return (
        list(changed),
        [stream.decider.kind for stream in streams],
        [stream.version for stream in streams],
        [_encode(stream.state) for stream in streams],
        [stream.decider.state_schema for stream in streams],
    )
