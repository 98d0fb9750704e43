"""The log in the words of the `eventsourcing` library: a recorder, and reading one stream.

Blocking, for the command line, for folding a stream afresh, and for tools written for the library.
The server's own writes go through the committer; both take the same lock and leave the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Thread
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
from eventsourcing.application import Repository
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    EventStore,
    IntegrityError,
    ListenNotifySubscription,
    Notification,
    OperationalError,
    StoredEvent,
)
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.decider import Decider, fold
from domain.message import Context
from infra.event_store import statements as sql
from infra.event_store.archive import Archive, ArchivedLog
from infra.event_store.codec import (
    COPY_END,
    COPY_HEADER,
    LogEntry,
    LogMapper,
    Row,
    copy_row,
    encode_metadata,
)

_COLUMNS: LiteralString = (
    "position, stream_id, stream_version, name, event_id, recorded_at, metadata, data"
)
_METADATA = encode_metadata(Context("system:recorder", "", ""))

Pool = ConnectionPool[psycopg.Connection[Any]]


class StreamRecorder(AggregateRecorder):
    """Inserts and selects the events of streams, those in `archive` too."""

    def __init__(
        self,
        database_url: str,
        pool: Pool,
        clock: Callable[[], datetime],
        archive: Archive | None = None,
    ) -> None:
        self._url = database_url
        self._archived = ArchivedLog(archive) if archive else None
        self._pool = pool
        self._clock = clock

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append events; each must be the next of its stream (IntegrityError otherwise)."""
        self._insert(stored_events)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """One stream's events with versions in (gt, lte]. Where the log lacks the first of them the
        archives are searched, which takes long. Raises ArchiveDamaged."""
        order: LiteralString = "DESC" if desc else "ASC"
        statement: LiteralString = (
            f"SELECT {_COLUMNS} FROM events WHERE stream_id = %s"  # noqa: S608 - constants only
            " AND stream_version > %s AND stream_version <= %s"
            f" ORDER BY stream_version {order} LIMIT %s"
        )
        after, until = -1 if gt is None else gt, lte or 2**63 - 1
        found = self._select(statement, (originator_id, after, until, limit))
        if self._archived is None or (desc and limit is not None and len(found) == limit):
            return found
        # The library counts from 0 or from 1, and we from 1.
        if found and found[-1 if desc else 0].originator_version <= max(after, 0) + 1:
            return found
        old = self._from_archives(UUID(str(originator_id)), after, until)
        return ([*found, *reversed(old)] if desc else [*old, *found])[:limit]

    def _from_archives(self, stream_id: UUID, after: int, until: int) -> list[LogEntry]:
        assert self._archived is not None
        with self._connection() as connection:
            self._archived.look(connection)
        old = self._archived.of_stream(stream_id)
        return [LogEntry.of(row) for row in old if after < row.stream_version <= until]

    def _select(self, statement: LiteralString, arguments: Sequence[Any]) -> list[LogEntry]:
        with self._connection() as connection:
            rows = connection.execute(statement, arguments, binary=True).fetchall()
        return [LogEntry.of(Row(*row)) for row in rows]

    def _insert(self, stored_events: Sequence[StoredEvent]) -> list[int]:
        if not stored_events:
            return []
        with self._connection() as connection, connection.transaction():
            head = connection.execute(sql.LOCK_HEAD).fetchone()
            assert head is not None
            position, last = head
            versions = self._next_versions(connection, stored_events)
            recorded_at = max(self._clock(), last)
            rows = [
                Row(
                    position + number,
                    UUID(str(event.originator_id)),
                    event.originator_version,
                    event.topic,
                    uuid4(),
                    recorded_at,
                    _METADATA,
                    event.state,
                )
                for number, event in enumerate(stored_events, start=1)
            ]
            with connection.cursor().copy(sql.COPY_EVENTS) as copy:
                copy.write(b"".join((COPY_HEADER, *map(copy_row, rows), COPY_END)))
            self._save_versions(connection, versions)
            connection.execute(
                sql.ADVANCE_HEAD, {"position": rows[-1].position, "recorded_at": recorded_at}
            )
        return [row.position for row in rows]

    def _next_versions(
        self, connection: psycopg.Connection[Any], stored_events: Sequence[StoredEvent]
    ) -> dict[UUID, int]:
        ids = list({UUID(str(event.originator_id)) for event in stored_events})
        loaded = connection.execute(sql.LOAD_STREAMS, (ids,)).fetchall()
        versions = {row[0]: row[2] for row in loaded}
        for event in stored_events:
            stream_id = UUID(str(event.originator_id))
            last = versions.get(stream_id)
            # A new stream starts where its writer says: the library counts from 0 or from 1.
            if last is not None and event.originator_version != last + 1:
                raise IntegrityError(f"stream {stream_id} is at version {last}")
            versions[stream_id] = event.originator_version
        return versions

    def _save_versions(
        self, connection: psycopg.Connection[Any], versions: dict[UUID, int]
    ) -> None:
        # State schema 0 is no decider's: whoever decides on such a stream folds it first.
        count = len(versions)
        columns = (
            list(versions),
            [""] * count,
            list(versions.values()),
            [b""] * count,
            [0] * count,
        )
        connection.execute(sql.SAVE_STREAMS, columns)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            with self._pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise OperationalError(str(error)) from error


class LogRecorder(StreamRecorder, ApplicationRecorder):
    """The same, and the whole log as the library's notification sequence."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append events; returns their positions."""
        return self._insert(stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The log from `start` to `stop`, only events named in `topics` if any are given. What
        has been archived is not among them."""
        first = (start or 0) + (0 if inclusive_of_start else 1)
        statement: LiteralString = (
            f"SELECT {_COLUMNS} FROM events WHERE position >= %s AND position <= %s"  # noqa: S608
            " AND (%s OR name = ANY(%s)) ORDER BY position LIMIT %s"
        )
        last = 2**63 - 1 if stop is None else stop
        return self._select(statement, (first, last, not topics, list(topics), limit))

    def max_notification_id(self) -> int | None:
        """The head of the log, None while it is empty."""
        with self._connection() as connection:
            row = connection.execute(sql.READ_HEAD).fetchone()
        return (row[0] or None) if row else None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> LogSubscription:
        """Follow the log from after `gt`, for ever."""
        return LogSubscription(self, self._url, gt=gt, topics=topics)


class LogSubscription(ListenNotifySubscription[LogRecorder]):
    """The library's subscription, woken by our NOTIFY and twice a second in case one is lost."""

    def __init__(
        self, recorder: LogRecorder, conninfo: str, gt: int | None, topics: Sequence[str]
    ) -> None:
        super().__init__(recorder, gt=gt, topics=topics)
        self._conninfo = conninfo
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        super().__exit__(*args, **kwargs)
        self._listener.join()

    def _listen(self) -> None:
        while not self._has_been_stopped:
            try:
                with psycopg.connect(self._conninfo, autocommit=True) as connection:
                    connection.execute("LISTEN errata_log")
                    while not self._has_been_stopped:
                        self._has_been_notified.set()
                        for _ in connection.notifies(timeout=0.5, stop_after=1):
                            break
            except psycopg.OperationalError as error:
                self._thread_error = error
                self.stop()


class Streams:
    """Reads whole streams through the library's Repository, with our fold as its projector."""

    def __init__(self, recorder: StreamRecorder) -> None:
        self._repository = Repository[UUID](EventStore(LogMapper(), recorder))

    def state(self, stream_id: UUID, decider: Decider[Any], version: int | None = None) -> Any:
        """A stream's state, folded from its events, as of `version` or now."""

        def project(state: Any, events: Iterable[Any]) -> Any:
            return fold(decider, events, state)

        return self._repository.get(stream_id, version=version, projector_func=project)
