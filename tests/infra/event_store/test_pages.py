"""Pages end where they are full: by events, or by bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from infra.event_store.codec import Row
from infra.event_store.pages import in_pages, weight
from infra.event_store.reader import HoleInLog, read_page
from infra.event_store.store import EventStore
from tests.reports import SOMEBODY, report


async def write(store: EventStore, *sizes: int) -> None:
    """An event for each size, of so many bytes and some more."""
    for size in sizes:
        await store.execute(report(message="x" * size), SOMEBODY)


def positions(pages: list[list[Row]]) -> list[list[int]]:
    return [[row.position for row in page] for page in pages]


def pages_of(connection: psycopg.Connection, most_bytes: int, limit: int = 100) -> list[list[Row]]:
    """The whole log."""
    found: list[list[Row]] = []
    after = 0
    while page := read_page(connection, after=after, limit=limit, page_bytes=most_bytes):
        found.append(page)
        after = page[-1].position
    return found


async def test_a_page_ends_with_the_event_that_fills_it(
    store: EventStore, database_url: str
) -> None:
    await write(store, 0, 0, 9_000, 0, 9_000, 9_000)
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert positions(pages_of(connection, 9_000)) == [[1, 2, 3], [4, 5], [6]]
        assert positions(pages_of(connection, 9_000, limit=2)) == [[1, 2], [3], [4, 5], [6]]
        assert positions(pages_of(connection, 1)) == [[1], [2], [3], [4], [5], [6]]


async def test_pages_of_one_log_are_the_same_from_the_log_and_from_its_rows(
    store: EventStore, database_url: str
) -> None:
    await write(store, *range(0, 3_000, 100))
    with psycopg.connect(database_url, autocommit=True) as connection:
        (whole,) = pages_of(connection, 1 << 30)
        for most_events, most_bytes in ((100, 5_000), (4, 1 << 30), (3, 6_000)):
            expected = list(in_pages(whole, most_events, most_bytes))
            assert pages_of(connection, most_bytes, most_events) == expected
            assert [row for page in expected for row in page] == whole


async def test_a_hole_is_seen_before_and_behind_the_end_of_a_full_page(
    store: EventStore, database_url: str
) -> None:
    await write(store, 9_000, 9_000, 0, 0)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM events WHERE position = 4")
        assert positions([read_page(connection, after=0, limit=10, page_bytes=9_000)]) == [[1]]
        with pytest.raises(HoleInLog, match="lacks position 4"):
            read_page(connection, after=2, limit=10, page_bytes=9_000)
        connection.execute("DELETE FROM events WHERE position = 2")
        with pytest.raises(HoleInLog, match="lacks position 2"):
            read_page(connection, after=0, limit=10, page_bytes=18_000)


def test_weight_is_metadata_and_data() -> None:
    row = Row(1, UUID(int=1), 1, "Any", UUID(int=2), datetime(2026, 1, 1, tzinfo=UTC), b"12", b"3")
    assert weight([row, row]) == 6
