"""Verifies the index of occurrences in PostgreSQL: folds the log into a temporary table of the same
name, which statements find before the live one, and compares the two in SQL.

All of it is one transaction that sees the database as it was at its beginning, so the live table
stands still for it, at the position of its checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import psycopg

from errata.folding import Source
from infra.event_store.archive import Archive
from infra.event_store.past import PastLog
from projections.findings import Finding
from projections.postgres_runner import execute
from projections.projection import PostgresReadModel
from projections.runner import PAGE_EVENTS

_LIVE = "CREATE TEMPORARY VIEW live AS SELECT * FROM occurrences"
_FOLDED = "CREATE TEMPORARY TABLE occurrences (LIKE occurrences) ON COMMIT DROP"
_LOCK = "LOCK TABLE occurrences IN ACCESS SHARE MODE"
_CHECKPOINT = "SELECT position FROM read_model_checkpoints WHERE name = %s AND version = %s"
_OLDEST_DAY = """
SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD'))::timestamp AT TIME ZONE 'UTC'
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'occurrences'::regclass AND c.relname ~ '^occurrences_[0-9]{8}$'
"""
# Retention forgets the oldest days: nobody misses those before the first that is there.
_FORGET = """
DELETE FROM occurrences
 WHERE occurred_at < %(oldest)s
   AND position NOT IN (SELECT position FROM live WHERE occurred_at < %(oldest)s)
"""
_DIFFERENT = """
CREATE TEMPORARY TABLE different ON COMMIT DROP AS
SELECT true AS is_live, * FROM (TABLE live EXCEPT ALL TABLE occurrences) AS unexpected
UNION ALL
SELECT false, * FROM (TABLE occurrences EXCEPT ALL TABLE live) AS missing
"""
_COUNTS = "SELECT (SELECT count(*) FROM occurrences), count(DISTINCT position) FROM different"
_FIRST = """
SELECT position, error_id, min((to_jsonb(d) - 'is_live')::text) FILTER (WHERE is_live),
       min((to_jsonb(d) - 'is_live')::text) FILTER (WHERE NOT is_live)
  FROM different AS d GROUP BY position, error_id ORDER BY position LIMIT %s
"""


class IndexCompared(NamedTuple):
    """The position of the comparison, the rows there should be, how many occurrences differ, and
    the first of them."""

    position: int
    rows: int
    different: int
    findings: list[Finding]


def verify_index(
    source: Source, model: PostgresReadModel, progress: Callable[[int, int], None], most: int
) -> IndexCompared:
    """Compare the index with the log. `progress` is told position and target.

    Raises psycopg.Error, HoleInLog, ArchiveDamaged, UnknownEvent."""
    with (
        psycopg.connect(
            source.database_url, autocommit=True, application_name="errata verify"
        ) as connection,
        PastLog(source.database_url, Archive(source.archive)) as log,
        connection.transaction(),
    ):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # Before anything is seen: a rebuild must not exchange the table for one seen half.
        connection.execute(_LOCK)
        found = connection.execute(_CHECKPOINT, (model.name, model.version)).fetchone()
        target = int(found[0]) if found else 0
        ((oldest,),) = connection.execute(_OLDEST_DAY).fetchall()
        connection.execute(_LIVE)
        connection.execute(_FOLDED)
        position = 0
        while position < target:
            events = log.events(position, min(PAGE_EVENTS, target - position))
            for statement, arguments in model.fold(events):
                if not statement.startswith("SELECT"):  # a temporary table has no partitions
                    execute(connection, statement, arguments)
            position = events[-1].position
            progress(position, target)
        connection.execute(_FORGET, {"oldest": oldest})
        connection.execute(_DIFFERENT)
        ((rows, different),) = connection.execute(_COUNTS).fetchall()
        first = connection.execute(_FIRST, (most,)).fetchall()
    return IndexCompared(target, rows, different, [_finding(*row) for row in first])


def _finding(position: int, error_id: Any, found: str | None, expected: str | None) -> Finding:
    return Finding(
        key="occurrences",
        field=f"position {position}",
        found=found,
        expected=expected,
        stream_id=error_id,
        since=position,
        last_event=None,
    )
