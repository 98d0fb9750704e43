"""Reading the log: pages for workers, streams and states for the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from domain.catalog import KINDS
from domain.failures import Unavailable
from domain.message import Recorded
from infra.event_store import statements as sql
from infra.event_store.append import Refold, state_of
from infra.event_store.archive import ArchivedLog
from infra.event_store.codec import Row, from_row
from infra.event_store.pages import PAGE_BYTES, weight
from infra.silence import hung_up_after

ANSWER_SECONDS = 10.0
"""How long a read of the API waits for PostgreSQL."""

_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, OSError)


QueryObserver = Callable[[str, float], None]
"""Told of each query: what it asks for, and the seconds that it took."""


class HoleInLog(Exception):
    """A page of the log lacks a position. That is corruption: nobody may read past it."""

    def __init__(self, expected: int, found: int | None) -> None:
        super().__init__(f"the log lacks position {expected} (found {found})")


def read_head(connection: psycopg.Connection[Any]) -> int:
    """The position of the last committed event; 0 for an empty log."""
    row = connection.execute(sql.READ_HEAD).fetchone()
    assert row is not None
    return int(row[0])


def read_page(
    connection: psycopg.Connection[Any],
    *,
    after: int,
    limit: int,
    until: int | None = None,
    archived: ArchivedLog | None = None,
    page_bytes: int = PAGE_BYTES,
) -> list[Row]:
    """The next rows after a position up to the head, at most `limit`; empty at the end. A page is
    shorter where it comes to `page_bytes` before. With `archived`, rows that have left PostgreSQL
    are read from there, and a page may end anywhere.

    Raises HoleInLog when positions are not contiguous or the head promises more than is there,
    ArchiveDamaged.
    """
    head = read_head(connection) if until is None else until
    if head <= after:
        return []
    limit = min(limit, head - after)
    if archived is not None and archived.holds(after + 1):
        return _contiguous(after, archived.page(after, limit))
    cursor = connection.cursor(binary=True)
    arguments = {"after": after, "until": head, "limit": limit, "bytes": page_bytes}
    rows = [Row(*row) for row in cursor.execute(sql.READ_PAGE, arguments).fetchall()]
    if archived is not None and (not rows or rows[0].position != after + 1):
        archived.look(connection)  # it may have been archived since the last look
        if archived.holds(after + 1):
            return _contiguous(after, archived.page(after, limit))
    _contiguous(after, rows)
    if len(rows) != limit and weight(rows) < page_bytes:
        raise HoleInLog(after + len(rows) + 1, None)
    return rows


def _contiguous(after: int, rows: list[Row]) -> list[Row]:
    for expected, row in enumerate(rows, start=after + 1):
        if row.position != expected:
            raise HoleInLog(expected, row.position)
    return rows


class LogReader:
    """The API's view of the log. Raises Unavailable("postgres") when it cannot be reached."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], refold: Refold, observe: QueryObserver
    ) -> None:
        self._pool = pool
        self._refold = refold
        self._observe = observe

    async def head(self) -> int:
        """The position of the last committed event; 0 for an empty log."""
        rows = await self._fetch("head", sql.READ_HEAD, ())
        return int(rows[0][0])

    async def stream_back(
        self, stream_id: UUID, before: int | None, limit: int
    ) -> Sequence[Recorded[Any]]:
        """A stream's events below version `before` (None: all), newest first."""
        newest = 2**63 - 1 if before is None else before
        arguments = {"stream_id": stream_id, "before": newest, "limit": limit}
        rows = await self._fetch("stream", sql.READ_STREAM_BACK, arguments)
        return [from_row(Row(*row)) for row in rows]

    async def events_at(self, positions: Sequence[int]) -> dict[int, Recorded[Any]]:
        """Events by their positions; those that have left the log are not among them."""
        rows = await self._fetch("events", sql.READ_POSITIONS, {"positions": list(positions)})
        return {row[0]: from_row(Row(*row)) for row in rows}

    async def known_event(self, event_ids: Sequence[UUID]) -> Recorded[Any] | None:
        """The event under one of these ids; None where the log holds none of them."""
        rows = await self._fetch("event", sql.READ_EVENT, {"event_ids": list(event_ids)})
        return from_row(Row(*rows[0])) if rows else None

    async def rows(
        self, statement: LiteralString, arguments: dict[str, Any]
    ) -> Sequence[tuple[Any, ...]]:
        """What a statement answers, for read models beside the log. It is planned each time, with
        its arguments known: a plan for any argument does not know which days it needs."""
        return await self._fetch("index", statement, arguments, prepare=False)

    async def states_of(self, kind: str) -> list[Any]:
        """The current state of every stream of a small kind (not of error groups)."""
        rows = await self._fetch("states", sql.LOAD_KIND, (kind,))
        return [
            await state_of(KINDS[kind], stream_id, state, schema, self._refold)
            for stream_id, _, _, state, schema in rows
        ]

    async def kind_version(self, kind: str) -> int:
        """A number that grows with every event of any stream of the kind."""
        rows = await self._fetch("version", sql.KIND_VERSION, (kind,))
        return int(rows[0][0])

    async def _fetch(
        self, query: str, statement: Any, arguments: Any, prepare: bool | None = None
    ) -> list[Any]:
        started = perf_counter()
        try:
            async with self._pool.connection() as connection:
                with hung_up_after(ANSWER_SECONDS, connection):
                    cursor = connection.cursor(binary=True)
                    await cursor.execute(statement, arguments, prepare=prepare)
                    return list(await cursor.fetchall())
        except _AWAY as error:
            raise Unavailable("postgres", "the event store cannot be reached") from error
        finally:
            self._observe(query, perf_counter() - started)
