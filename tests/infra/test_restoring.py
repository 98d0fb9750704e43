"""A log made of an exported one: equal in every row, and in every read model."""

from __future__ import annotations

import io
from pathlib import Path

import psycopg
import pytest

from domain.app import RegisterApp
from domain.failures import Conflict
from domain.history import Wanted
from infra import restoring
from infra.audit_check import NotProved
from infra.event_store.archive import Archive
from infra.event_store.scan import LogScan
from infra.event_store.store import EventStore
from infra.history import events_export
from infra.restoring import Restored, restore
from tests.conftest import Servers
from tests.errata.retention_tools import MONTHS, Months, rebuilt, retain, whole_log
from tests.reports import SOMEBODY, check_log, report

SIZE = 1_000


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


@pytest.fixture
def empty(servers: Servers) -> str:
    """Another instance's database."""
    return servers.database("migrated")


async def exported(database_url: str, archive: Archive) -> bytes:
    """A log of three months, the first two archived, as a verbatim file."""
    await Months(database_url).write(*MONTHS)
    retain(database_url, archive, MONTHS[2])
    with LogScan(database_url, archive) as log:
        return b"".join(events_export(log, Wanted(), "ndjson", verbatim=True).chunks())


def restored(database_url: str, content: bytes) -> Restored:
    return restore(database_url, io.BytesIO(content), partition_events=SIZE)


def streams(database_url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT * FROM streams ORDER BY stream_id").fetchall()


async def test_an_imported_log_is_the_exported_one(
    database_url: str, redis_url: str, archive: Archive, empty: str
) -> None:
    content = await exported(database_url, archive)
    rows = whole_log(database_url, archive)
    assert restored(empty, content) == Restored(stored=len(rows))
    assert whole_log(empty, archive) == rows
    assert streams(empty) == streams(database_url)
    assert rebuilt(empty, redis_url, archive) == rebuilt(database_url, redis_url, archive)


async def test_life_goes_on_after_an_import(
    database_url: str, archive: Archive, empty: str
) -> None:
    content = await exported(database_url, archive)
    restored(empty, content)
    store = EventStore(empty, clock=lambda: MONTHS[2], partition_events=SIZE)
    await store.start()
    first = await store.execute(report("new"), SOMEBODY)
    again = await store.execute(report("new"), SOMEBODY)
    await store.stop()
    assert (first.state.count, again.state.count) == (1, 2)
    check_log(empty)


async def test_an_import_that_was_broken_off_goes_on(
    database_url: str, archive: Archive, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = await exported(database_url, archive)
    monkeypatch.setattr(restoring, "BATCH_EVENTS", 7)
    cut = b"".join(content.splitlines(keepends=True)[:30])
    with pytest.raises(NotProved):
        restored(empty, cut)
    with psycopg.connect(empty) as connection:
        (head,) = connection.execute("SELECT position FROM log_head").fetchone() or (0,)
    assert head == 28
    rows = whole_log(database_url, archive)
    assert restored(empty, content) == Restored(stored=len(rows) - head, known=head)
    assert restored(empty, content) == Restored(known=len(rows))
    assert whole_log(empty, archive) == rows


async def test_a_log_that_holds_something_else_is_left_alone(
    database_url: str, archive: Archive, empty: str
) -> None:
    content = await exported(database_url, archive)
    store = EventStore(empty, clock=lambda: MONTHS[2], partition_events=SIZE)
    await store.start()
    await store.execute(RegisterApp(app="default", app_name="Default"), SOMEBODY)
    await store.stop()
    with pytest.raises(Conflict, match="an empty one only"):
        restored(empty, content)
    assert len(whole_log(empty, archive)) == 1
