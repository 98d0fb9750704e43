"""Following the log for its rarer events: those that nobody asks for stay in the database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import psycopg

from infra.event_store import statements as sql
from infra.event_store.codec import Row
from infra.event_store.reader import read_head


class SparsePage(NamedTuple):
    """Events up to and including the position `end`, those of some names left out."""

    rows: list[Row]
    end: int


def read_without(
    connection: psycopg.Connection[Any], names: Collection[str], *, after: int, limit: int
) -> SparsePage | None:
    """The next page of at most `limit` positions after one, without the events of these names:
    reports have to be among them, as only those may be large.

    None where the range is not whole in PostgreSQL: it may be in the archive, or damaged, which
    is for the reader of whole pages to find out."""
    until = min(read_head(connection), after + limit)
    if until <= after:
        return SparsePage([], after)
    bounds = {"after": after, "until": until, "names": sorted(names)}
    counted = connection.execute(sql.COUNT_PAGE, bounds).fetchone()
    if counted != (until - after,):
        return None
    cursor = connection.cursor(binary=True)
    rows = cursor.execute(sql.READ_PAGE_WITHOUT, bounds).fetchall()
    return SparsePage([Row(*row) for row in rows], until)
