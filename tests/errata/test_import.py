"""Import: files of either shape, once, however often they are imported."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from domain.app import RegisterApp
from domain.scrubbing import Scrubber
from errata import cli, importing
from errata.importing import BadLine, Import, Line, Progress, Reading, lines_of, registered_apps
from infra.event_store.codec import from_row
from infra.event_store.reader import read_page
from infra.event_store.store import EventStore
from tests.faults.api_process import url_of
from tests.reports import NOON, SOMEBODY

FILES = Path(__file__).parent / "imports"


@pytest.fixture
async def ready(store: EventStore) -> AsyncIterator[EventStore]:
    """A store with two applications in it: two events."""
    for app in ("default", "test-app"):
        await store.execute(RegisterApp(app=app, app_name=app), SOMEBODY)
    yield store


async def imported(
    store: EventStore, content: bytes, app: str | None = None
) -> tuple[Progress, list[BadLine]]:
    bad: list[BadLine] = []
    reading = Reading(app, await registered_apps(store), Scrubber(()), lambda: NOON)
    work = Import(store, reading, bad.append, lambda progress: None)
    return await work.run(lines_of(io.BytesIO(content))), bad


def events_in(database_url: str) -> list[Any]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return [from_row(row).event for row in read_page(connection, after=2, limit=10_000)]


@pytest.mark.parametrize(("name", "lines"), [("reports", 4), ("events", 2)])
async def test_a_file_imported_twice_is_stored_once(
    ready: EventStore, name: str, lines: int
) -> None:
    content = (FILES / f"{name}.jsonl").read_bytes()
    first, _ = await imported(ready, content)
    again, _ = await imported(ready, content)
    assert (first.stored, first.known, first.bad) == (lines, 0, 0)
    assert (again.stored, again.known, again.bad) == (0, lines, 0)
    assert first.size == len(content)


async def test_lines_of_either_shape_become_the_reports_that_the_api_makes_of_them(
    ready: EventStore, database_url: str
) -> None:
    await imported(ready, (FILES / "reports.jsonl").read_bytes())
    await imported(ready, (FILES / "events.jsonl").read_bytes())
    events = events_in(database_url)
    assert [(one.app, one.count, one.occurrence.source) for one in events] == [
        ("default", 1, "backend"),
        ("default", 2, "backend"),
        ("default", 1, "frontend"),
        ("default", 2, "frontend"),
        ("test-app", 1, "web"),
        ("test-app", 2, "ios"),
    ]
    assert events[4].occurrence.code == "PAYMENT_FAILED"


async def test_a_broken_off_import_goes_on_where_it_ended(ready: EventStore) -> None:
    content = (FILES / "reports.jsonl").read_bytes()
    await imported(ready, b"".join(content.splitlines(keepends=True)[:2]))
    rest, _ = await imported(ready, content)
    assert (rest.stored, rest.known) == (2, 2)


async def test_bad_lines_are_named_with_their_fields_and_the_others_stored(
    ready: EventStore,
) -> None:
    done, bad = await imported(ready, (FILES / "mixed.jsonl").read_bytes())
    assert (done.stored, done.bad) == (2, 7)
    assert [line.number for line in bad] == [2, 3, 4, 5, 6, 7, 8]
    reasons = [line.reason for line in bad]
    assert "message: is required" in reasons[0]
    assert "level: must be one of" in reasons[0]
    assert "not JSON" in reasons[1]
    assert "JSON object" in reasons[2]
    assert reasons[3] == "id: must be a UUID"
    assert reasons[4] == "appId: 'nobody' is not a registered application"
    assert reasons[5] == "app: 'nobody' is not a registered application"
    assert "not JSON" in reasons[6]


async def test_one_application_may_be_chosen_for_all_lines(
    ready: EventStore, database_url: str
) -> None:
    lines = (
        b'{"message": "a", "source": "backend", "app": "default"}\n'
        b'{"message": "b", "platform": "web", "timestamp": "2026-01-01T12:00:00Z"}\n'
    )
    done, _ = await imported(ready, lines, app="test-app")
    assert done.stored == 2
    assert {event.app for event in events_in(database_url)} == {"test-app"}


async def test_more_lines_than_a_batch_are_all_stored(
    ready: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_LINES", 3)
    line = b'{"message": "again", "source": "backend"}'
    done, _ = await imported(ready, b"\n".join([line] * 10))
    assert done.stored == 10


def test_a_line_that_is_too_long_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_LINE", 10)
    found = list(lines_of(io.BytesIO(b"short\n" + b"x" * 35 + b"\n0123456789\nend")))
    assert found == [
        Line(1, 6, b"short\n"),
        Line(2, 36, None),
        Line(3, 11, b"0123456789\n"),
        Line(4, 3, b"end"),
    ]


@pytest.fixture
def settings(
    ready: EventStore, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setenv("DATABASE_URL", url_of(database_url))
    monkeypatch.setenv("REDIS_URL", redis_url)
    yield


def test_the_command_says_what_it_did(settings: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["import", str(FILES / "events.jsonl"), "--json"]) == 0
    answer = msgspec.json.decode(capsys.readouterr().out)
    assert answer == {"stored": 2, "known": 0, "bad": 0}


def test_bad_lines_are_exit_code_1(settings: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["import", str(FILES / "mixed.jsonl")]) == 1
    said = capsys.readouterr().err
    assert "line 2: message: is required" in said
    assert "Stored 2, known before 0, bad lines 7." in said


def test_an_unknown_application_is_refused(
    settings: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["import", "--app", "nobody", str(FILES / "events.jsonl")]) == 1
    assert "no application 'nobody'" in capsys.readouterr().err
