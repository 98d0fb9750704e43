"""Events to bytes and back, of every version ever written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalog import EVENTS, Upcaster, event_version
from domain.message import Context, Event, Recorded
from infra.event_store import codec
from infra.event_store import statements as sql
from infra.event_store.codec import (
    COPY_END,
    COPY_HEADER,
    Row,
    UnknownEvent,
    copy_row,
    from_row,
    to_row,
)
from tests.reports import NOON, SOMEBODY

GOLDEN = Path(__file__).parents[2] / "domain" / "golden"

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.datetimes(
    datetime(1990, 1, 1),
    datetime(2200, 1, 1),
    timezones=st.just(UTC),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
st.register_type_strategy(datetime, TIMES)
st.register_type_strategy(
    msgspec.Raw, JSON.map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(int, st.integers(0, 2**53))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


def event_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    return st.from_type(kind)


def rows(name: str, data: bytes, metadata: bytes = b"") -> Row:
    return Row(
        7, uuid4(), 1, name, uuid4(), NOON, metadata or codec.encode_metadata(SOMEBODY), data
    )


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_event_survives_byte_for_byte(name: str, data: st.DataObject) -> None:
    event = data.draw(event_of(EVENTS[name]))
    context = Context(data.draw(TEXT), data.draw(TEXT), data.draw(TEXT))
    recorded = Recorded(1, uuid4(), 1, name, uuid4(), NOON, context, event)
    row = to_row(recorded)
    read = from_row(row)
    assert to_row(read) == row
    assert read.context == context


@pytest.mark.parametrize("name", EVENTS)
def test_every_version_ever_written_still_decodes(name: str) -> None:
    """A golden file is the data of one event as the log holds it. It is never changed; a new
    version of the event gets a file beside it."""
    for version in range(1, event_version(name) + 1):
        metadata = codec.encode_metadata(SOMEBODY, version)
        read = from_row(rows(name, golden(name, version), metadata))
        assert type(read.event) is EVENTS[name]


@pytest.mark.parametrize("name", EVENTS)
def test_the_newest_golden_file_is_what_is_written_today(name: str) -> None:
    """Fields with defaults may have joined since; none may be lost or renamed."""
    version = event_version(name)
    data = golden(name, version)
    written = to_row(from_row(rows(name, data, codec.encode_metadata(SOMEBODY, version))))
    assert msgspec.json.decode(written.data) == msgspec.json.decode(data)


@pytest.mark.parametrize("sample", sorted(GOLDEN.glob("*.v*.*.json")), ids=lambda path: path.stem)
def test_further_golden_files_survive_whole(sample: Path) -> None:
    """`<Name>.v<n>.<word>.json` is another event of a version, with other fields in it."""
    name, version, _ = sample.stem.split(".")
    metadata = codec.encode_metadata(SOMEBODY, int(version[1:]))
    written = to_row(from_row(rows(name, sample.read_bytes(), metadata)))
    assert msgspec.json.decode(written.data) == msgspec.json.decode(sample.read_bytes())


def test_metadata_ever_written_still_decodes() -> None:
    written = b'{"actor":"key:1","correlation_id":"request","causation_id":"command"}'
    data = b'{"app":"a","app_name":"A"}'
    assert from_row(rows("AppRegistered", data, written)).context == Context(
        "key:1", "request", "command"
    )
    assert codec.encode_metadata(Context("key:1", "request", "command")) == written


def golden(name: str, version: int) -> bytes:
    return (GOLDEN / f"{name}.v{version}.json").read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "metadata"),
    [
        ("NeverHeardOf", b"{}", b""),
        ("AppRegistered", b"{", b""),
        ("AppRegistered", b'{"app": 1, "app_name": "x"}', b""),
        ("AppRegistered", b'{"app": "x"}', b""),
        ("AppRegistered", b'{"app": "\xff", "app_name": "x"}', b""),
        ("AppRegistered", b'{"app": "x", "app_name": "x"}', b"[]"),
    ],
)
def test_what_cannot_be_read_says_where_it_stands(name: str, data: bytes, metadata: bytes) -> None:
    row = rows(name, data, metadata)
    with pytest.raises(UnknownEvent) as unknown:
        from_row(row)
    assert unknown.value.row.position == 7
    assert str(row.event_id) in str(unknown.value)


def test_old_versions_are_brought_to_todays_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 1 called it title, version 2 label, version 3 app_name."""
    steps: Mapping[str, tuple[Upcaster, ...]] = {
        "AppRegistered": (
            lambda shape: {"app": shape["app"], "label": shape["title"]},
            lambda shape: {"app": shape["app"], "app_name": shape["label"].title()},
        )
    }
    monkeypatch.setattr(codec, "UPCASTERS", steps)
    monkeypatch.setattr(codec, "event_version", lambda name: 1 + len(steps.get(name, ())))
    first = from_row(rows("AppRegistered", b'{"app": "a", "title": "my app"}'))
    second = from_row(
        rows(
            "AppRegistered",
            b'{"app": "a", "label": "my app"}',
            codec.encode_metadata(SOMEBODY, version=2),
        )
    )
    third = from_row(to_row(first))
    assert first.event == second.event == third.event
    assert first.event.app_name == "My App"
    assert third.context == SOMEBODY


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=100), TIMES)
def test_a_copied_row_is_the_row_that_select_gives_back(
    copy_connection: psycopg.Connection[Any], data: bytes, metadata: bytes, at: datetime
) -> None:
    row = Row(1, uuid4(), 3, "Näme", uuid4(), at + timedelta(microseconds=1), metadata, data)
    with copy_connection.cursor().copy(sql.COPY_EVENTS) as copy:
        copy.write(COPY_HEADER + copy_row(row) + COPY_END)
    found = copy_connection.execute("SELECT * FROM events", binary=True).fetchone()
    copy_connection.rollback()
    assert found == tuple(row)


@pytest.fixture(scope="module")
def copy_connection(servers: Any) -> Any:
    with psycopg.connect(servers.database("migrated")) as connection:
        yield connection
