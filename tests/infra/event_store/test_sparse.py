"""A page without the events of some names."""

from __future__ import annotations

import psycopg

from domain.app import RegisterApp
from infra.event_store.sparse import SparsePage, read_without
from infra.event_store.store import EventStore
from tests.reports import SOMEBODY, report

NAMES = frozenset({"ErrorReported"})


async def test_a_page_ends_where_a_whole_one_would(store: EventStore, database_url: str) -> None:
    for number in range(6):
        await store.execute(report(f"error {number}"), SOMEBODY)
        if number % 2:
            app = RegisterApp(app=f"app-{number}", app_name="An application")
            await store.execute(app, SOMEBODY)
    with psycopg.connect(database_url, autocommit=True) as connection:
        first = read_without(connection, NAMES, after=0, limit=4)
        last = read_without(connection, NAMES, after=4, limit=100)
        after = read_without(connection, NAMES, after=9, limit=100)
    assert first is not None and last is not None
    assert ([row.position for row in first.rows], first.end) == ([3], 4)
    assert ([row.name for row in last.rows], last.end) == (["AppRegistered"] * 2, 9)
    assert after == SparsePage([], 9)


async def test_a_range_that_is_not_whole_is_not_read(store: EventStore, database_url: str) -> None:
    for number in range(4):
        await store.execute(report(f"error {number}"), SOMEBODY)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE log_head SET position = 5")
        assert read_without(connection, NAMES, after=0, limit=100) is None
        assert read_without(connection, NAMES, after=0, limit=4) == SparsePage([], 4)
