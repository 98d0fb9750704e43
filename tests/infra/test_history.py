"""Histories and the trail as pages: bounded in what they look at, and right all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domain.error_group import ResolveError
from domain.failures import NotFound, Unavailable
from domain.history import SUBJECTS, Entry, Subject, Wanted, names_wanted
from infra import history
from infra.event_store import scan
from infra.event_store.archive import Archive
from infra.event_store.scan import LogScan
from infra.event_store.store import EventStore
from infra.history import History, history_export, history_page, trail_page
from tests.errata.retention_tools import MONTHS, Months, retain, whole_log
from tests.reports import SOMEBODY, report


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


async def reported(store: EventStore, times: int) -> Subject:
    """An error with so many reports."""
    for _ in range(times):
        await store.execute(report(), SOMEBODY)
    return SUBJECTS["error"](str(report().stream_id))


def counts(entries: list[Entry]) -> list[tuple[Any, Any]]:
    return [
        (change.before, change.after)
        for entry in entries
        for change in entry.changes or ()
        if change.field == "count"
    ]


async def test_changes_are_left_out_where_too_much_would_be_folded(
    store: EventStore, database_url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = await reported(store, 6)
    with LogScan(database_url, archive) as log:
        page = history_page(log, subject, None, 2, folded=5)
        assert [entry.changes for entry in page.entries] == [None, None]
        page = history_page(log, subject, page.next_before, 2, folded=5)
        assert counts(page.entries) == [(3, 4), (2, 3)]
        monkeypatch.setattr(history, "FOLDED_FOR_TRAIL", 5)
        trail = trail_page(log, Wanted(), None, 10, backwards=True)
        assert [one.entry.changes for one in trail.entries] == [None] * 6


async def test_short_streams_are_folded_first(
    store: EventStore, database_url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reported(store, 6)
    await store.execute(report("other"), SOMEBODY)
    monkeypatch.setattr(history, "FOLDED_FOR_TRAIL", 3)
    with LogScan(database_url, archive) as log:
        trail = trail_page(log, Wanted(), None, 2, backwards=True)
    assert [one.entry.changes is None for one in trail.entries] == [False, True]


async def test_a_page_of_the_trail_ends_when_it_takes_long(
    store: EventStore, database_url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = await reported(store, 9)
    await store.execute(ResolveError(error_id=subject.stream_id), SOMEBODY)
    monkeypatch.setattr(scan, "WINDOW_EVENTS", 2)
    monkeypatch.setattr(history, "PATIENCE", 0.0)
    wanted = Wanted(names=names_wanted(None, "ErrorResolved"))
    with LogScan(database_url, archive) as log:
        # A patience of nothing is no page at all, and still the next one goes on from there.
        page = trail_page(log, wanted, None, 5, backwards=False)
        assert (page.entries, page.reached) == ([], 0)
        monkeypatch.setattr(history, "PATIENCE", 10.0)
        page = trail_page(log, wanted, page.reached, 5, backwards=False)
        assert [one.entry.recorded.position for one in page.entries] == [10]
        assert page.reached is None


async def test_a_history_goes_back_into_the_archives(database_url: str, archive: Archive) -> None:
    await Months(database_url).write(*MONTHS)
    retain(database_url, archive, MONTHS[2])
    rows = whole_log(database_url, archive)
    stream = max(
        {row.stream_id for row in rows}, key=lambda one: sum(r.stream_id == one for r in rows)
    )
    expected = [row.position for row in rows if row.stream_id == stream]
    subject = Subject("error_group", stream)
    with LogScan(database_url, archive) as log:
        page = history_page(log, subject, None, 1_000)
        assert [entry.recorded.position for entry in page.entries] == expected[::-1]
        assert all(
            entry.changes for entry in page.entries if entry.recorded.name == "ErrorReported"
        )
        newest = trail_page(log, Wanted(stream_id=stream), None, 1_000, backwards=True)
        assert [one.entry.recorded.position for one in newest.entries] == expected[::-1]


async def test_a_thing_of_another_kind_has_no_history(
    store: EventStore, database_url: str, archive: Archive
) -> None:
    error = await reported(store, 2)
    other = Subject("api_key", error.stream_id)
    with LogScan(database_url, archive) as log:
        assert history_page(log, other, None, 10).entries == []
        with pytest.raises(NotFound):
            history_export(log, other, "ndjson")


async def test_a_log_that_is_away_is_unavailable(archive: Archive) -> None:
    away = History("postgresql://nobody@127.0.0.1:1/errata", archive)
    with pytest.raises(Unavailable) as failed:
        await away.trail(Wanted(), None, 10, backwards=True)
    assert failed.value.part == "postgres"
    with pytest.raises(Unavailable):
        await anext(away.file(Wanted(), "ndjson"))
