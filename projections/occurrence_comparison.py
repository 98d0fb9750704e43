"""Compares the index of occurrences with the log: what the log folds to goes into temporary tables
of the same names, which statements find before the live ones, and they are compared in SQL.

All of it is one transaction that sees the database as it was at its beginning, so the live tables
stand still for it, at the position of their checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from projections.findings import Finding
from projections.postgres_runner import execute
from projections.projection import Pages, PostgresReadModel

_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_LOCK = "LOCK TABLE occurrences, occurrences_deleted IN ACCESS SHARE MODE"
_WHOLE: LiteralString = (
    "SELECT *, NULL::bigint AS deletion FROM occurrences UNION ALL TABLE occurrences_deleted"
)
_LIVE: LiteralString = f"CREATE TEMPORARY VIEW live AS {_WHOLE}"
_FOLDED: LiteralString = f"""
CREATE TEMPORARY TABLE occurrences (LIKE occurrences) ON COMMIT DROP;
CREATE TEMPORARY TABLE occurrences_deleted (LIKE occurrences_deleted) ON COMMIT DROP;
CREATE TEMPORARY VIEW folded AS {_WHOLE}
"""
_CHECKPOINT = "SELECT position FROM read_model_checkpoints WHERE name = %s AND version = %s"
_OLDEST_DAY = """
SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD'))::timestamp AT TIME ZONE 'UTC'
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'occurrences'::regclass AND c.relname ~ '^occurrences_[0-9]{8}$'
"""
# Retention forgets the oldest days: nobody misses those before the first that is there.
_FORGET = """
DELETE FROM {}
 WHERE occurred_at < %(oldest)s
   AND position NOT IN (SELECT position FROM live WHERE occurred_at < %(oldest)s)
"""
_DIFFERENT = """
CREATE TEMPORARY TABLE different ON COMMIT DROP AS
SELECT true AS is_live, * FROM (TABLE live EXCEPT ALL TABLE folded) AS unexpected
UNION ALL
SELECT false, * FROM (TABLE folded EXCEPT ALL TABLE live) AS missing
"""
_COUNTS = "SELECT (SELECT count(*) FROM folded), count(DISTINCT position) FROM different"
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


def compare_index(
    connection: psycopg.Connection[Any],
    model: PostgresReadModel,
    pages: Pages,
    progress: Callable[[int, int], None],
    most: int,
) -> IndexCompared:
    """Compare the index with the log; at most `most` findings. `progress` is told position and
    target. The connection must be in autocommit mode. Raises psycopg.Error."""
    with connection.transaction():
        connection.execute(_ONE_MOMENT)
        # Before anything is seen: a rebuild must not exchange the tables for ones seen half.
        connection.execute(_LOCK)
        found = connection.execute(_CHECKPOINT, (model.name, model.version)).fetchone()
        target = int(found[0]) if found else 0
        ((oldest,),) = connection.execute(_OLDEST_DAY).fetchall()
        connection.execute(_LIVE)
        connection.execute(_FOLDED)
        for events in pages(0, target):
            for statement, arguments in model.fold(events):
                if not statement.startswith("SELECT"):  # a temporary table has no partitions
                    execute(connection, statement, arguments)
            progress(events[-1].position, target)
        for table in ("occurrences", "occurrences_deleted"):
            forget = sql.SQL(_FORGET).format(sql.Identifier(table))
            connection.execute(forget, {"oldest": oldest})
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
