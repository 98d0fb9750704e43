"""Rebuilds the index of occurrences in PostgreSQL while it is read, in this process alone.

The new tables are filled beside the live ones, in a schema of their own, where they have the same
names: what folds them, and what opens and forgets days, is told apart by the search path only. At
the end one short transaction locks both, folds what has come in meanwhile, and exchanges them.

The live tables' checkpoint is only read: the new ones are built to just where it stands. A lock of
the session keeps a second rebuild out, and all is written over that session, so that whoever has
lost the lock can write no more. Where this process is killed, the live tables are as they were; the
next rebuild clears away what was left.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from time import monotonic, sleep
from typing import Any, LiteralString, NamedTuple

import psycopg
import structlog
from psycopg import sql

from domain.failures import Conflict
from domain.message import Recorded
from infra.clock import utc_now
from infra.event_store.archive import Archive
from infra.event_store.codec import UnknownEvent
from infra.event_store.past import PastLog
from infra.event_store.reader import HoleInLog
from infra.settings import Settings
from projections.occurrence_index import OccurrenceIndex
from projections.postgres_runner import execute
from projections.projection import Indigestible
from projections.runner import PAGE_EVENTS

log = structlog.get_logger("errata.rebuilds")

NEW, OLD = "occurrences_new", "occurrences_old"
"""Schemas of the tables that are being filled, and of those that have given way."""

RETRY_SECONDS = 1.0
"""Between two tries to exchange the tables. Whoever reads them for long (`errata verify`) is waited
for in this way: a lock that is waited for makes all other readers wait as well."""

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('errata:rebuild:occurrences', 0))"
_SESSION = """
SET synchronous_commit = off;
SET idle_session_timeout = '60s';
SET idle_in_transaction_session_timeout = '5s'
"""
"""A process that freezes must neither hold the lock for ever nor, for long, the tables."""

_HOME = (
    "SELECT nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid"
    " WHERE c.oid = 'occurrences'::regclass"
)
_INDEXES = "SELECT pg_get_indexdef(indexrelid, 0, true) FROM pg_index WHERE indrelid = %s::regclass"
_CREATE = """
CREATE SCHEMA {new};
CREATE TABLE {new}.occurrences (LIKE {home}.occurrences INCLUDING ALL EXCLUDING INDEXES)
    PARTITION BY RANGE (occurred_at);
CREATE FUNCTION {new}.occurrences_open_days(days date[]) RETURNS void LANGUAGE sql
    AS 'SELECT {home}.occurrences_open_days(days)';
SET search_path = {new}
"""
_CREATE_OTHER = "CREATE TABLE occurrences_other PARTITION OF occurrences DEFAULT"
_CHECKPOINT = "SELECT version, position FROM {home}.read_model_checkpoints WHERE name = {name}"
_LOCK_TABLES = """
SET LOCAL lock_timeout = '250ms';
SET LOCAL synchronous_commit = on;
SELECT 1 FROM {home}.read_model_checkpoints WHERE name = {name} FOR UPDATE;
LOCK TABLE {new}.occurrences, {home}.occurrences IN ACCESS EXCLUSIVE MODE
"""
"""In the order in which workers lock them: the checkpoint first."""

# The live tables forget once a day, so what they still have is not forgotten here.
_FORGET = """
SELECT {home}.occurrences_forget(least({before},
       min(to_date(right(c.relname, 8), 'YYYYMMDD'))::timestamp AT TIME ZONE 'UTC'))
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = {live}::regclass AND c.relname ~ '^occurrences_\\d{{8}}$'
"""
_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relkind IN ('r', 'p') ORDER BY c.relkind DESC
"""
_SET = "SELECT c.relname FROM pg_partition_tree(%s) t JOIN pg_class c ON c.oid = t.relid"

Progress = Callable[[int, int], None]
"""Told position and target now and then. What it raises gives the rebuild up."""


class IndexRebuilt(NamedTuple):
    """The position at which the new tables took the old ones' place, and the seconds it took."""

    position: int
    seconds: float


def rebuild_index(
    settings: Settings, progress: Progress = lambda position, target: None
) -> IndexRebuilt:
    """Build the index of occurrences anew from the log, and exchange it for the live one.

    Raises Conflict where that cannot be: another rebuild is at it, the log cannot be folded, or
    there is nothing live; ArchiveDamaged, psycopg.Error. The live index is then as it was."""
    database_url, started = settings.database_url_or_fail(), monotonic()
    with (
        psycopg.connect(
            database_url, autocommit=True, application_name="errata rebuild"
        ) as connection,
        PastLog(database_url, Archive(settings.archive)) as source,
    ):
        if connection.execute(_LOCK).fetchone() != (True,):
            raise Conflict("occurrences is being rebuilt already")
        rebuild = _Rebuild(connection, source, progress)
        try:
            rebuild.run(timedelta(days=settings.retention_days))
        except (Indigestible, UnknownEvent, HoleInLog) as error:
            raise Conflict(f"the log cannot be folded: {error}") from error
        finally:
            with suppress(psycopg.Error):  # else the next rebuild clears it away
                rebuild.clear()
    done = IndexRebuilt(rebuild.position, round(monotonic() - started, 1))
    log.info("index rebuilt", position=done.position, seconds=done.seconds)
    return done


class _Rebuild:
    """One rebuild, over a session in autocommit mode that holds the lock."""

    def __init__(
        self, connection: psycopg.Connection[Any], source: PastLog, progress: Progress
    ) -> None:
        self.position = 0
        self._model = OccurrenceIndex()
        self._connection = connection
        self._source = source
        self._progress = progress
        ((self._home,),) = connection.execute(_HOME).fetchall()
        connection.execute(_SESSION)

    def run(self, keep: timedelta) -> None:
        """All of it. Days that retention, which keeps so much, has taken do not come back."""
        self._live_position()
        self.clear()
        self._create()
        self._catch_up()
        before = sql.Literal(utc_now() - keep)
        live = sql.Literal(sql.Identifier(self._home, "occurrences").as_string(self._connection))
        self._do(_FORGET, before=before, live=live)
        while not self._exchanged():
            sleep(RETRY_SECONDS)
            self._catch_up()

    def clear(self) -> None:
        """Drop what this rebuild, or one before it, has left; table by table, as PostgreSQL has
        room for so many locks only."""
        for schema in (NEW, OLD):
            for (table,) in self._connection.execute(_TABLES, (schema,)).fetchall():
                name = sql.Identifier(schema, table)
                self._connection.execute(sql.SQL("DROP TABLE {}").format(name))
            drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE")
            self._connection.execute(drop.format(sql.Identifier(schema)))

    def _create(self) -> None:
        """New tables like the live ones, empty, where all that is not qualified is theirs now."""
        indexes = self._connection.execute(_INDEXES, ("occurrences",)).fetchall()
        with self._connection.transaction():
            self._do(_CREATE)
            for (index,) in indexes:
                self._connection.execute(index)
            self._connection.execute(_CREATE_OTHER)

    def _live_position(self) -> int:
        """Where the live tables stand. Raises Conflict where the new ones cannot follow."""
        found = self._do(_CHECKPOINT).fetchone()
        if found is None or found[0] != self._model.version:
            reason = "nothing is live yet" if found is None else "another Errata keeps it"
            raise Conflict(f"occurrences cannot be rebuilt: {reason}")
        if found[1] < self.position:
            raise Conflict("occurrences was begun anew meanwhile by a worker")
        return int(found[1])

    def _catch_up(self) -> None:
        """Fold up to where the live tables stand, page by page."""
        while self.position < (target := self._live_position()):
            events = self._page(target)
            with self._connection.transaction():
                self._fold(events)
            self._progress(self.position, target)

    def _page(self, until: int) -> list[Recorded[Any]]:
        return self._source.events(self.position, min(PAGE_EVENTS, until - self.position))

    def _fold(self, events: list[Recorded[Any]]) -> None:
        for statement, arguments in self._model.fold(events):
            execute(self._connection, statement, arguments)
        self.position = events[-1].position

    def _exchanged(self) -> bool:
        """The new tables take the live ones' place, once they hold as much; False where somebody
        reads for longer than may be waited for."""
        before = self.position
        try:
            with self._connection.transaction():
                self._do(_LOCK_TABLES)
                live = self._live_position()
                while self.position < live:
                    self._fold(self._page(live))
                self._do("CREATE SCHEMA {old}")
                self._move(self._home, OLD)
                self._move(NEW, self._home)
        except psycopg.errors.LockNotAvailable:
            self.position = before
            return False
        return True

    def _move(self, here: str, there: str) -> None:
        """The tables of one set, their indexes with them, to another schema."""
        parent = sql.Identifier(here, "occurrences").as_string(self._connection)
        tables = self._connection.execute(_SET, (parent,)).fetchall()
        move = sql.SQL("ALTER TABLE {} SET SCHEMA {}")
        moves = [
            move.format(sql.Identifier(here, table), sql.Identifier(there)) for (table,) in tables
        ]
        self._connection.execute(sql.SQL(";").join(moves))

    def _do(self, statement: LiteralString, **values: sql.Composable) -> psycopg.Cursor[Any]:
        """Execute a statement that names schemas."""
        names = {"home": self._home, "new": NEW, "old": OLD}
        schemas: dict[str, sql.Composable] = {k: sql.Identifier(v) for k, v in names.items()}
        name = sql.Literal(self._model.name)
        return self._connection.execute(
            sql.SQL(statement).format(**schemas, **values, name=name), prepare=False
        )
