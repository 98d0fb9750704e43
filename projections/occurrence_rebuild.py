"""The tables of the index of occurrences, filled anew beside the live ones, and exchanged for them.

The new tables stand in a schema of their own, where they have the same names as the live ones: what
folds them, and what opens and forgets days, is told apart by the search path only. At the end one
short transaction locks both, folds what has come in meanwhile, and exchanges them.

The live tables' checkpoint is only read: the new ones are built to just where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from time import sleep
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from domain.failures import Conflict
from domain.message import Recorded
from projections.occurrence_index import OccurrenceIndex
from projections.postgres_runner import execute
from projections.projection import Pages

NEW, OLD = "occurrences_new", "occurrences_old"
"""Schemas of the tables that are being filled, and of those that have given way."""

RETRY_SECONDS = 1.0
"""Between two tries to exchange the tables. Whoever reads them for long (`errata verify`) is waited
for in this way: a lock that is waited for makes all other readers wait as well."""

_SESSION = """
SET synchronous_commit = off;
SET idle_session_timeout = '60s';
SET idle_in_transaction_session_timeout = '5s'
"""
"""A process that freezes must neither keep others out for ever nor, for long, hold the tables."""

_HOME = (
    "SELECT nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid"
    " WHERE c.oid = 'occurrences'::regclass"
)
_INDEXES = """
SELECT pg_get_indexdef(indexrelid, 0, true) FROM pg_index
 WHERE indrelid IN ('occurrences'::regclass, 'occurrences_deleted'::regclass)
"""
_CREATE = """
CREATE SCHEMA {new};
CREATE TABLE {new}.occurrences (LIKE {home}.occurrences INCLUDING ALL EXCLUDING INDEXES)
    PARTITION BY RANGE (occurred_at);
CREATE TABLE {new}.occurrences_deleted
    (LIKE {home}.occurrences_deleted INCLUDING ALL EXCLUDING INDEXES);
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
LOCK TABLE {new}.occurrences, {home}.occurrences, {home}.occurrences_deleted
    IN ACCESS EXCLUSIVE MODE
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
_SET = """
SELECT c.relname FROM pg_partition_tree(%s) t JOIN pg_class c ON c.oid = t.relid
UNION ALL SELECT 'occurrences_deleted'
"""

Progress = Callable[[int, int], None]
"""Told position and target now and then. What it raises gives the rebuild up."""


class IndexRebuild:
    """One rebuild, over a session in autocommit mode that keeps all others out. Whoever has lost
    that session can write no more."""

    def __init__(
        self, connection: psycopg.Connection[Any], pages: Pages, progress: Progress
    ) -> None:
        self.position = 0
        self._model = OccurrenceIndex()
        self._connection = connection
        self._pages = pages
        self._progress = progress
        ((self._home,),) = connection.execute(_HOME).fetchall()
        connection.execute(_SESSION)

    def run(self, forgotten_before: datetime) -> None:
        """All of it. Days before a time, which retention has taken, do not come back.

        Raises Conflict where there is nothing live to follow, Indigestible, psycopg.Error."""
        self._live_position()
        self.clear()
        self._create()
        self._catch_up()
        before = sql.Literal(forgotten_before)
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
        indexes = self._connection.execute(_INDEXES).fetchall()
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
            # Where they stand is looked at again after each page: they may have been begun anew.
            events = next(self._pages(self.position, target))
            with self._connection.transaction():
                self._fold(events)
            self._progress(self.position, target)

    def _fold(self, events: Sequence[Recorded[Any]]) -> None:
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
                for events in self._pages(self.position, self._live_position()):
                    self._fold(events)
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
