"""Exported files: they prove themselves whole, and equal to the log; a log is made of one."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest

from domain.api_key import IssueApiKey, RevokeApiKey
from domain.history import SUBJECTS, Wanted, names_wanted
from domain.permissions import ALL_PERMISSIONS
from infra import history
from infra.audit_check import Checked, NotProved, check, compare_with_log, log_rows
from infra.audit_file import Format, row_digest
from infra.event_store.archive import Archive
from infra.event_store.scan import LogScan
from infra.event_store.store import EventStore
from infra.history import Export, events_export, history_export, until_broken_off
from tests.errata.retention_tools import MONTHS, Months, retain, whole_log
from tests.reports import NOON, SOMEBODY, report

PRETTY = msgspec.Raw(b'{\n  "user": "ann",\r\n  "note": "a \\n b"\n}')
FORMS: tuple[Format, ...] = ("ndjson", "csv")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


@pytest.fixture
async def filled(store: EventStore, database_url: str) -> str:
    """A log with reports, one of them with line breaks in its JSON, and a key."""
    for name in ("a", "b", "a"):
        await store.execute(report(name, context=PRETTY), SOMEBODY)
    key = IssueApiKey(
        key_id=uuid4(),
        key_name="CI",
        key_hash="the hash of a key",
        key_preview="sk_****1234",
        app="*",
        permissions=("read",),
        granted_by=ALL_PERMISSIONS,
        issued_at=NOON,
    )
    await store.execute(key, SOMEBODY)
    await store.execute(RevokeApiKey(key_id=key.key_id), SOMEBODY)
    return database_url


def bytes_of(export: Export) -> bytes:
    return b"".join(export.chunks())


def exported(
    database_url: str, archive: Archive, form: Format, wanted: Wanted | None = None, **how: Any
) -> bytes:
    with LogScan(database_url, archive) as log:
        return bytes_of(events_export(log, wanted or Wanted(), form, **how))


def checked(content: bytes) -> Checked:
    return check(io.BytesIO(content))


def compared(content: bytes, database_url: str, archive: Archive) -> Checked:
    found = checked(content)
    with LogScan(database_url, archive) as log:
        compare_with_log(io.BytesIO(content), found, log)
    return found


@pytest.mark.parametrize("form", FORMS)
async def test_a_file_proves_itself_and_equals_the_log(
    filled: str, archive: Archive, form: Format
) -> None:
    kinds = Wanted(names=names_wanted("api_key", None))
    for wanted, events in ((Wanted(), 5), (kinds, 2), (Wanted(after=1, before=4), 2)):
        content = exported(filled, archive, form, wanted)
        assert compared(content, filled, archive).trailer.events == events


@pytest.mark.parametrize("form", FORMS)
async def test_a_history_proves_itself_too(filled: str, archive: Archive, form: Format) -> None:
    (stream,) = {row.stream_id for row in whole_log(filled, archive) if row.position == 1}
    with LogScan(filled, archive) as log:
        content = bytes_of(history_export(log, SUBJECTS["error"](str(stream)), form))
    assert compared(content, filled, archive).trailer.events == 2


async def test_the_chain_is_that_of_the_log_whatever_the_format(
    filled: str, archive: Archive
) -> None:
    made = [exported(filled, archive, form) for form in FORMS]
    made.append(exported(filled, archive, "ndjson", verbatim=True))
    chains = {checked(content).trailer.chain for content in made}
    assert len(chains) == 1
    assert len({checked(content).trailer.sha256 for content in made}) == 3


Change = Callable[[bytes], bytes]
CHANGES: dict[str, Change] = {
    "a byte": lambda text: text.replace(b"message of b", b"message of c"),
    "an actor": lambda text: text.replace(b"key:test", b"key:nest", 1),
    "a line less": lambda text: b"".join(_lines(text)[:2] + _lines(text)[3:]),
    "two lines changed places": lambda text: b"".join(
        [_lines(text)[0], _lines(text)[2], _lines(text)[1], *_lines(text)[3:]]
    ),
    "no last line": lambda text: b"".join(_lines(text)[:-1]),
    "cut": lambda text: text[: len(text) * 2 // 3],
    "nothing": lambda text: b"",
    "something else": lambda text: b"{}\n",
}


def _lines(text: bytes) -> list[bytes]:
    return text.splitlines(keepends=True)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("form", FORMS)
async def test_a_change_is_noticed(
    filled: str, archive: Archive, form: Format, change: str
) -> None:
    content = exported(filled, archive, form)
    with pytest.raises(NotProved):
        checked(CHANGES[change](content))


async def test_a_file_whose_sums_were_made_anew_differs_from_the_log(
    filled: str, archive: Archive, store: EventStore
) -> None:
    with psycopg.connect(filled, autocommit=True) as connection:
        before = exported(filled, archive, "ndjson")
        connection.execute("ALTER TABLE events_1 DISABLE TRIGGER ALL")
        connection.execute(
            "UPDATE events_1 SET data = convert_to(replace(convert_from(data, 'UTF8'),"
            " 'message of b', 'message of c'), 'UTF8') WHERE position = 2"
        )
    after = checked(exported(filled, archive, "ndjson"))
    assert after.trailer.chain != checked(before).trailer.chain
    with pytest.raises(NotProved, match="line 3 differs from the log"):
        compared(before, filled, archive)


async def test_secrets_are_in_verbatim_files_alone(filled: str, archive: Archive) -> None:
    assert b"the hash of a key" in exported(filled, archive, "ndjson", verbatim=True)
    for form in FORMS:
        assert b"the hash of a key" not in exported(filled, archive, form)


async def test_archives_and_partitions_are_one_log(database_url: str, archive: Archive) -> None:
    await Months(database_url).write(*MONTHS)
    whole = exported(database_url, archive, "ndjson")
    assert len(retain(database_url, archive, MONTHS[2])) == 2
    assert exported(database_url, archive, "ndjson") == whole
    compared(whole, database_url, archive)


async def test_a_log_is_made_of_verbatim_files_only(filled: str, archive: Archive) -> None:
    rows = list(log_rows(io.BytesIO(exported(filled, archive, "ndjson", verbatim=True))))
    assert rows == whole_log(filled, archive)
    assert len({row_digest(row) for row in rows}) == len(rows)
    part = exported(filled, archive, "ndjson", Wanted(after=1), verbatim=True)
    for content in (part, exported(filled, archive, "ndjson")):
        with pytest.raises(NotProved, match="a whole one only"):
            next(log_rows(io.BytesIO(content)))


async def test_a_file_that_cannot_be_finished_says_so(
    filled: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CHUNK_EVENTS", 2)
    with LogScan(filled, archive) as log:
        chunks = until_broken_off(events_export(log, Wanted(), "ndjson"))
        content = next(chunks) + next(chunks)
        with psycopg.connect(filled, autocommit=True) as connection:
            connection.execute("ALTER TABLE events_1 DISABLE TRIGGER ALL")
            connection.execute("DELETE FROM events_1 WHERE position = 4")
        content += b"".join(chunks)
    with pytest.raises(NotProved, match="lacks position 4"):
        checked(content)
