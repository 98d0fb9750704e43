"""A state that changes costs its table no new index entries."""

from __future__ import annotations

import psycopg

from infra.event_store.store import EventStore
from tests.reports import SOMEBODY, report


async def test_a_stream_changes_within_its_page(store: EventStore, database_url: str) -> None:
    await store.execute(report(), SOMEBODY)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE streams SET version = version + 1, state = state || ' '")
        updated = connection.execute(
            "SELECT pg_stat_get_xact_tuples_hot_updated('streams'::regclass)"
        ).fetchone()
        connection.rollback()
    assert updated == (1,)
