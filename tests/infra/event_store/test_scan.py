"""Going through the log for some of its events: the same as looking at each, from either end."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest

from domain.alert_rule import CreateAlertRule
from domain.history import Wanted, names_wanted
from domain.message import Context
from domain.rule_settings import RuleWish
from infra.event_store import past, scan
from infra.event_store.archive import Archive
from infra.event_store.codec import Row, from_row
from infra.event_store.past import StreamLacks
from infra.event_store.reader import HoleInLog
from infra.event_store.scan import LogScan, lets_through
from infra.event_store.store import EventStore
from tests.errata.retention_tools import MONTHS, Months, retain, whole_log
from tests.reports import report

ANN = Context('member:"ann"', "request-1", "command-1")
BOB = Context("member:bob", "request-2", "command-2")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


async def fill(database_url: str, archive: Archive, *, archived: bool) -> list[Row]:
    """Three months of events, of two people and two applications beside; the whole log."""
    months = Months(database_url)
    await months.write(*MONTHS[:2])
    store = EventStore(database_url, clock=lambda: MONTHS[2], partition_events=1_000)
    await store.start()
    for number in range(6):
        context = ANN if number % 2 else BOB
        await store.execute(report("a", app="shop"), context)
        nested = msgspec.Raw(b'{"app":"shop"}')
        await store.execute(report("b", app="default", context=nested), context)
        wish = RuleWish(name="r", condition="error_count > 5 in 5m", app="default")
        await store.execute(CreateAlertRule(rule_id=uuid4(), wish=wish), context)
    await store.stop()
    if archived:
        assert len(retain(database_url, archive, MONTHS[2])) == 2
    return whole_log(database_url, archive)


QUESTIONS: dict[str, Wanted] = {
    "everything": Wanted(),
    "a kind": Wanted(names=names_wanted("app", None)),
    "a name": Wanted(names=names_wanted(None, "ErrorResolved")),
    "nothing": Wanted(names=names_wanted("app", "ErrorResolved")),
    "an actor": Wanted(actor=ANN.actor),
    "a request": Wanted(correlation_id=BOB.correlation_id),
    "an application": Wanted(app="shop"),
    "one whose name is left out": Wanted(app="default"),
    "both": Wanted(app="shop", actor=BOB.actor),
}


def positions(rows: list[Row]) -> list[int]:
    return [row.position for row in rows]


@pytest.mark.parametrize("archived", [False, True])
async def test_what_is_found_is_what_looking_at_each_event_finds(
    database_url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch, archived: bool
) -> None:
    whole = await fill(database_url, archive, archived=archived)
    head = whole[-1].position
    stream = Wanted(stream_id=whole[5].stream_id)
    monkeypatch.setattr(scan, "WINDOW_EVENTS", 11)
    with LogScan(database_url, archive) as log:
        for name, wanted in {**QUESTIONS, "a stream": stream}.items():
            expected = positions([row for row in whole if lets_through(wanted, row)])
            assert (name == "nothing") is (not expected), name
            assert forwards(log, wanted, head) == expected, name
            assert backwards(log, wanted, head) == expected[::-1], name


def forwards(log: LogScan, wanted: Wanted, head: int) -> list[int]:
    found: list[int] = []
    after = 0
    while after < head:
        page = log.forward(wanted, after, head, 7)
        found += positions(page.rows)
        assert page.reached > after
        after = page.reached
    return found


def backwards(log: LogScan, wanted: Wanted, head: int) -> list[int]:
    found: list[int] = []
    before = head + 1
    while before > 1:
        page = log.back(wanted, before, 0, 7)
        found += positions(page.rows)
        assert page.reached < before
        before = page.reached
    return found


async def test_a_page_ends_with_the_event_that_fills_it(
    store: EventStore, database_url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        await store.execute(report(), ANN)
    monkeypatch.setattr(scan, "PAGE_BYTES", 700)
    with LogScan(database_url, archive) as log:
        page = log.forward(Wanted(), 0, 10, 10)
        assert 1 <= len(page.rows) < 10
        assert page.reached == page.rows[-1].position
        assert forwards(log, Wanted(), 10) == list(range(1, 11))
        assert backwards(log, Wanted(), 10) == list(range(10, 0, -1))


async def test_a_hole_is_never_passed_over(
    store: EventStore, database_url: str, archive: Archive
) -> None:
    for _ in range(5):
        await store.execute(report(), ANN)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        connection.execute("ALTER TABLE events_1 DISABLE TRIGGER ALL")
        connection.execute("DELETE FROM events WHERE position = 3")
    with LogScan(database_url, archive) as log, pytest.raises(HoleInLog, match="position 3"):
        forwards(log, Wanted(), 5)


async def test_a_time_becomes_a_position_in_archives_too(
    database_url: str, archive: Archive
) -> None:
    whole = await fill(database_url, archive, archived=True)
    with LogScan(database_url, archive) as log:
        for month in MONTHS:
            last = max(row.position for row in whole if row.recorded_at <= month)
            assert log.position_at(month) == last


def test_an_event_that_nobody_can_read_belongs_to_no_application() -> None:
    row: Any = Row(1, uuid4(), 1, "Unheard", uuid4(), MONTHS[0], b"{}", b"{}")
    assert lets_through(Wanted(), row)
    assert not lets_through(Wanted(app="shop"), row)
    with pytest.raises(Exception, match="no such event name"):
        from_row(row._replace(metadata=b'{"actor":"","correlation_id":"","causation_id":""}'))


@pytest.mark.parametrize("archived", [False, True])
async def test_a_stream_is_read_whole_in_pages_of_any_size(
    database_url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch, archived: bool
) -> None:
    whole = await fill(database_url, archive, archived=archived)
    left = max(row.position for row in whole if row.recorded_at < MONTHS[2])
    monkeypatch.setattr(past, "STREAM_EVENTS", 3)
    monkeypatch.setattr(past, "STREAM_BYTES", 900)
    with LogScan(database_url, archive) as log:
        for stream_id in {row.stream_id for row in whole}:
            rows = [row for row in whole if row.stream_id == stream_id]
            read = log.stream(stream_id, whole[-1].position)
            assert [one.position for one in read] == positions(rows)
            cut = log.stream(stream_id, rows[0].position)
            assert [one.position for one in cut] == [rows[0].position]
            size = sum(len(row.data) for row in rows)
            here = rows[0].position > left or not archived
            assert log.weight(stream_id, len(rows)) == (size if here else None)


async def test_a_stream_that_lacks_events_is_a_hole(
    store: EventStore, database_url: str, archive: Archive
) -> None:
    for _ in range(3):
        await store.execute(report(), ANN)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE events_1 DISABLE TRIGGER ALL")
        connection.execute("DELETE FROM events_1 WHERE position = 2")
    with LogScan(database_url, archive) as log, pytest.raises(StreamLacks, match="version 2"):
        list(log.stream(report().stream_id, 3))
