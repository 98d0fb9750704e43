"""The index of occurrences as it was: as of any position it answers what it did when the log ended
there, whatever has been reported and deleted since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest
from hypothesis import given, settings

from domain.error_group import DeleteError, ErrorDeleted, ErrorReported, group_id
from projections.occurrence_index import (
    IndexPage,
    OccurrenceFilter,
    OccurrenceIndex,
    OccurrenceIndexQueries,
    Place,
)
from tests.projections.helpers import START, Log, report
from tests.projections.occurrence_logs import APPS, CUTS, alive, logs, pages, quick
from tests.projections.test_occurrence_index import ERROR, LONG_AGO, asked, expected, fold, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from domain.message import Recorded

MODEL = OccurrenceIndex()
EVERYTHING = OccurrenceFilter(app=APPS[0], since=LONG_AGO)

Connection = psycopg.Connection[Any]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as one:
        yield one


def emptied(connection: Connection) -> None:
    connection.execute(MODEL.emptied_by)


def as_of(
    connection: Connection, events: Sequence[Recorded[Any]], at: int
) -> OccurrenceIndexQueries:
    """The index as of a position of this log."""
    now = events[at - 1].recorded_at if at else datetime(1970, 1, 1, tzinfo=UTC)
    return asked(connection).as_of(at, now)


def found_in(prefix: Sequence[Recorded[Any]], wanted: OccurrenceFilter) -> list[Place]:
    """What a plain search finds in a log, newest first."""
    there = [
        Place(one.event.occurrence.timestamp, one.position)
        for one in alive(prefix)
        if one.event.app == wanted.app
        and (wanted.until is None or one.event.occurrence.timestamp < wanted.until)
        and wanted.code in (None, one.event.occurrence.code)
        and wanted.user_id in (None, one.event.occurrence.user_id)
    ]
    return sorted(there, reverse=True)


async def walked(queries: OccurrenceIndexQueries, wanted: OccurrenceFilter) -> list[Place]:
    """A whole list in pages of three, each by its cursor; as many as it says that there are."""
    found: list[Place] = []
    more = True
    while more:
        after = found[-1] if found else None
        page = await queries.page(wanted, after=after, offset=0, limit=3)
        found += page.places
        more = page.more
        assert len(page.places) == 3 or not more
    return found


@settings(parent=quick, max_examples=12)
@given(events=logs(), cuts=CUTS)
async def test_as_of_every_position_is_the_fold_of_the_prefix(
    connection: Connection, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    emptied(connection)
    for page in pages(events, cuts):
        fold(connection, page)
    some = OccurrenceFilter(app=APPS[0], since=LONG_AGO, until=START, user_id="u1")
    for at in range(len(events) + 1):
        queries, prefix = as_of(connection, events, at), events[:at]
        whole = await queries.page(EVERYTHING, after=None, offset=0, limit=100)
        assert whole == IndexPage(found_in(prefix, EVERYTHING), False)
        coded = OccurrenceFilter(app=APPS[1], since=LONG_AGO, code="net/failed")
        for wanted in (coded, some):
            assert await walked(queries, wanted) == found_in(prefix, wanted)


@settings(parent=quick, max_examples=12)
@given(events=logs(), cuts=CUTS)
def test_rows_of_deleted_errors_know_their_deletion_whatever_the_pages(
    connection: Connection, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    emptied(connection)
    for page in pages(events, cuts):
        fold(connection, page)
    assert rows(connection) == expected(events)
    deletions = [one for one in events if isinstance(one.event, ErrorDeleted)]
    gone = [
        (one.position, next(end.position for end in deletions if _ends(end, one)))
        for one in events
        if isinstance(one.event, ErrorReported) and any(_ends(end, one) for end in deletions)
    ]
    statement = "SELECT position, deletion FROM occurrences_deleted ORDER BY position"
    assert connection.execute(statement).fetchall() == gone


def _ends(deletion: Recorded[Any], report: Recorded[Any]) -> bool:
    return deletion.stream_id == report.stream_id and deletion.position > report.position


async def test_an_occurrence_is_held_from_its_report_to_its_deletion(
    connection: Connection,
) -> None:
    log = Log()
    log.execute(report("b"))
    log.execute(report())
    log.execute(DeleteError(error_id=ERROR))
    log.execute(report())
    fold(connection, log.events)
    place = Place(START, 2)
    held = [await as_of(connection, log.events, at).holds("default", place) for at in range(5)]
    assert held == [False, False, True, False, False]


async def test_codes_and_users_are_counted_as_of_a_position(connection: Connection) -> None:
    log = Log()
    for n in range(3):
        log.execute(report("a" if n else "b", code=f"c{n}", user_id="u"))
    log.execute(DeleteError(error_id=group_id("default", "a")))
    fold(connection, log.events)
    until = START + timedelta(hours=1)
    counts = [
        await as_of(connection, log.events, at).distinct("default", START, until) for at in range(5)
    ]
    assert counts == [(0, 0), (1, 1), (2, 1), (3, 1), (1, 1)]


def test_days_that_are_forgotten_take_the_occurrences_of_deleted_errors_along(
    connection: Connection,
) -> None:
    log = Log()
    for days in (0, 1, 1, 2):
        log.execute(report(after=days * 86_400))
    log.execute(DeleteError(error_id=ERROR))
    fold(connection, log.events)
    connection.execute("SELECT occurrences_forget(%s)", (START + timedelta(days=1),))
    left = connection.execute("SELECT position FROM occurrences_deleted ORDER BY 1").fetchall()
    assert left == [(2,), (3,), (4,)]


async def test_both_tables_are_read_in_the_order_of_the_list(connection: Connection) -> None:
    """Or else a page would cost as much as all that lies behind it."""
    fold(connection, Log().execute(report()))
    connection.execute("SET enable_seqscan = off")
    connection.execute("SET enable_sort = off")
    plan: list[str] = []

    async def explained(statement: LiteralString, arguments: dict[str, Any]) -> list[Any]:
        found = connection.execute("EXPLAIN " + statement, arguments).fetchall()
        plan.extend(line for (line,) in found)
        return []

    queries = OccurrenceIndexQueries(explained).as_of(1, START)
    await queries.page(EVERYTHING, after=None, offset=0, limit=3)
    assert any("Merge Append" in line for line in plan)
    assert not [line for line in plan if "Seq Scan" in line or "Sort  (" in line]
