"""Reading the log as it was: when a position was recorded, what stood at a time, and one stream up
to a position, whether the rows are in PostgreSQL or in the archive by now."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from domain.message import Recorded
from infra.event_store import statements as sql
from infra.event_store.archive import Archive, ArchivedLog
from infra.event_store.codec import Row, from_row
from infra.event_store.pages import PAGE_EVENTS, in_pages
from infra.event_store.reader import HoleInLog, read_head, read_page
from infra.silence import hung_up_after

STREAM_EVENTS, STREAM_BYTES = 500, 4 << 20
"""How much of one stream is read at once."""

_HEAD_AND_TIME = "SELECT position, recorded_at FROM log_head"
_RECORDED_AT = "SELECT recorded_at FROM events WHERE position = %s"
_NAMED = """
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data
  FROM events
 WHERE position > %s AND position <= %s AND name = ANY(%s)
 ORDER BY position
"""
_STREAM_BACK = """
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data
  FROM events
 WHERE stream_id = %s AND stream_version < %s AND position <= %s
 ORDER BY stream_version DESC
 LIMIT %s
"""


class StreamLacks(HoleInLog):
    """A stream lacks one of its events. That is corruption too."""

    def __init__(self, stream_id: UUID, version: int) -> None:
        Exception.__init__(self, f"the stream {stream_id} lacks its version {version}")


class PastLog:
    """The log of one database with its archive, for one thread at a time and for a moment: the
    connection lives as long as the block. Raises psycopg.OperationalError while it is away."""

    def __init__(self, database_url: str, archive: Archive) -> None:
        self._archived = ArchivedLog(archive)
        self._connection = psycopg.connect(
            database_url, autocommit=True, application_name="errata past", connect_timeout=2
        )

    def __enter__(self) -> PastLog:
        return self

    def __exit__(self, *args: object) -> None:
        self._connection.close()

    def hung_up_after(self, seconds: float) -> AbstractContextManager[None]:
        """For a block that may take no longer, however silent the server is; see infra.silence."""
        return hung_up_after(seconds, self._connection)

    def head(self) -> int:
        """The position of the last committed event; 0 for an empty log."""
        return read_head(self._connection)

    def events(self, after: int, limit: int) -> list[Recorded[Any]]:
        """The events after a position, which the log must hold: `limit` of them, or fewer where
        they are large or come from the archive. Raises HoleInLog, ArchiveDamaged, UnknownEvent."""
        rows = read_page(
            self._connection,
            after=after,
            limit=limit,
            until=after + limit,
            archived=self._archived,
        )
        return [from_row(row) for row in rows]

    def pages(self, after: int, until: int) -> Iterator[list[Recorded[Any]]]:
        """All events after a position and up to another, in pages. Raises as `events` does."""
        while after < until:
            page = self.events(after, min(PAGE_EVENTS, until - after))
            yield page
            after = page[-1].position

    def named(self, after: int, until: int, names: Collection[str]) -> list[Recorded[Any]]:
        """Those events after a position and up to another that have one of a few names, which
        must be the names of rare and small ones. Raises ArchiveDamaged, UnknownEvent."""
        self._archived.look(self._connection)
        found: list[Row] = []
        while after < until and self._archived.holds(after + 1):
            page = self._archived.page(after, until - after)
            found += (row for row in page if row.name in names)
            after = page[-1].position
        if after < until:
            found += self._rows(_NAMED, (after, until, list(names)))
            self._archived.look(self._connection)
            if self._archived.holds(after + 1):  # it has left just now
                known = [from_row(row) for row in found if row.position <= after]
                return [*known, *self.named(after, until, names)]
        return [from_row(row) for row in found]

    def recorded_at(self, position: int) -> datetime:
        """When an event was recorded. Raises HoleInLog, ArchiveDamaged."""
        return recorded_at(self._connection, position, self._archived)

    def position_at(self, at: datetime) -> int:
        """The last position recorded at or before a time; see `position_at`."""
        return position_at(self._connection, at, self._archived)

    def stream(self, stream_id: UUID, until: int) -> Iterator[Recorded[Any]]:
        """One stream's events up to a position of the log, oldest first, however many and however
        large. Raises StreamLacks where one can be found nowhere."""
        return map(from_row, self._stream(stream_id, until))

    def stream_pages(self, stream_id: UUID, until: int) -> Iterator[list[Recorded[Any]]]:
        """The same in pages."""
        for page in in_pages(self._stream(stream_id, until)):
            yield [from_row(row) for row in page]

    def _stream(self, stream_id: UUID, until: int) -> Iterator[Row]:
        newest = self.stream_back(stream_id, None, 1, until)
        after, last = 0, newest[0].stream_version if newest else 0
        while after < last:
            before = after
            rows: Iterable[Row] = (page := self._stream_page(stream_id, after, until))
            if not page or page[0].stream_version != after + 1:
                old = self._old(stream_id, until)
                rows = (row for row in old if before < row.stream_version <= last)
            for row in rows:
                if row.stream_version != after + 1:
                    raise StreamLacks(stream_id, after + 1)
                after = row.stream_version
                yield row
            if after == before:
                raise StreamLacks(stream_id, after + 1)

    def _stream_page(self, stream_id: UUID, after: int, until: int) -> list[Row]:
        """The next events of a stream in PostgreSQL; empty at its end."""
        arguments = {
            "stream_id": stream_id,
            "after": after,
            "until": until,
            "limit": STREAM_EVENTS,
            "bytes": STREAM_BYTES,
        }
        return self._rows(sql.SCAN_STREAM, arguments)

    def stream_back(
        self, stream_id: UUID, before: int | None, limit: int, until: int
    ) -> Sequence[Recorded[Any]]:
        """Up to `limit` events of a stream below version `before` (None: all) and up to position
        `until`, newest first."""
        newest = 2**63 - 1 if before is None else before
        found = self._rows(_STREAM_BACK, (stream_id, newest, until, limit))
        oldest = found[-1].stream_version if found else newest
        if len(found) < limit and oldest > 1:
            old = (row for row in self._old(stream_id, until) if row.stream_version < oldest)
            found += reversed(deque(old, maxlen=limit - len(found)))
        return [from_row(row) for row in found[:limit]]

    def _rows(self, statement: Any, arguments: Sequence[Any] | Mapping[str, Any]) -> list[Row]:
        cursor = self._connection.cursor(binary=True)
        return [Row(*row) for row in cursor.execute(statement, arguments).fetchall()]

    def _old(self, stream_id: UUID, until: int) -> Iterator[Row]:
        """What the archive holds of a stream; all of its ids are gone through."""
        self._archived.look(self._connection)
        return (row for row in self._archived.of_stream(stream_id) if row.position <= until)


def head_and_time(connection: psycopg.Connection[Any]) -> tuple[int, datetime | None]:
    """The position of the last committed event, and when it was recorded: None where the log is
    empty."""
    row = connection.execute(_HEAD_AND_TIME).fetchone()
    assert row is not None
    position, at = row
    return position, at if position else None


def position_at(
    connection: psycopg.Connection[Any], at: datetime, archived: ArchivedLog | None = None
) -> int:
    """The last position that was recorded at or before a time; 0 before the first.

    Recorded time never goes back along the log, so halving the log finds it: about twenty look-ups
    in a million events. Raises HoleInLog, ArchiveDamaged."""
    low, high = 0, read_head(connection)
    while low < high:
        middle = (low + high + 1) // 2
        if recorded_at(connection, middle, archived) <= at:
            low = middle
        else:
            high = middle - 1
    return low


def recorded_at(
    connection: psycopg.Connection[Any], position: int, archived: ArchivedLog | None = None
) -> datetime:
    """When the event at a position was recorded. Raises HoleInLog where there is none."""
    row = connection.execute(_RECORDED_AT, (position,)).fetchone()
    if row is None and archived is not None:
        if not archived.holds(position):
            archived.look(connection)
        if archived.holds(position):
            row = (archived.page(position - 1, 1)[0].recorded_at,)
    if row is None:
        raise HoleInLog(position, None)
    at: datetime = row[0]
    return at.astimezone(UTC)
