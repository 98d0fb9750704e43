"""The log's partitions: opened ahead, closed at the head, append-only."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from infra.event_store.store import EventStore
from tests.reports import SOMEBODY, check_log, report


def ask(database_url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


async def write(store: EventStore, count: int) -> None:
    await asyncio.gather(*(store.execute(report(), SOMEBODY) for _ in range(count)))


async def test_closing_at_the_head_keeps_every_row_readable(
    store: EventStore, database_url: str
) -> None:
    for _ in range(4):
        await write(store, 5)
        ask(database_url, "SELECT log_close_partition(1000)")
    await write(store, 5)
    assert len(check_log(database_url)) == 25
    bounds = ask(
        database_url,
        "SELECT first_position, end_position, closed_at IS NOT NULL FROM log_partitions ORDER BY 1",
    )
    closed = [(1, 6, True), (6, 11, True), (11, 16, True), (16, 21, True)]
    assert bounds == [*closed, (21, 1021, False)]


async def test_an_empty_partition_is_not_closed(store: EventStore, database_url: str) -> None:
    assert ask(database_url, "SELECT log_close_partition(1000)") == [(None,)]
    await write(store, 1)
    assert ask(database_url, "SELECT log_close_partition(1000)") == [("events_1",)]
    assert ask(database_url, "SELECT log_close_partition(1000)") == [(None,)]


async def test_writes_go_on_while_partitions_are_closed(
    store: EventStore, database_url: str
) -> None:
    done = False

    async def keep_writing() -> int:
        written = 0
        while not done:
            await store.execute(report(), SOMEBODY)
            written += 1
        return written

    writers = [asyncio.create_task(keep_writing()) for _ in range(4)]
    for _ in range(10):
        await asyncio.sleep(0.02)
        await asyncio.to_thread(ask, database_url, "SELECT log_close_partition(1000)")
    done = True
    written = sum(await asyncio.gather(*writers))
    assert len(check_log(database_url)) == written


async def test_room_is_kept_ahead(store: EventStore, database_url: str) -> None:
    await write(store, 3)
    ask(database_url, "SELECT log_close_partition(10)")
    assert ask(database_url, "SELECT log_keep_room(10)") == [(0,)]
    await write(store, 2)
    assert ask(database_url, "SELECT log_keep_room(10)") == [(1,)]
    assert ask(database_url, "SELECT log_keep_room(10)") == [(0,)]
    last = ask(database_url, "SELECT max(end_position) FROM log_partitions")
    assert last == [(24,)]


@pytest.mark.parametrize("change", ["UPDATE events SET name = 'x'", "DELETE FROM events"])
async def test_the_log_refuses_changes(store: EventStore, database_url: str, change: str) -> None:
    await write(store, 1)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
        ask(database_url, change)


async def test_an_auditor_reads_json(store: EventStore, database_url: str) -> None:
    await write(store, 1)
    found = ask(
        database_url,
        "SELECT data->'occurrence'->>'message', metadata->>'actor' FROM audit_log",
    )
    assert found == [("message of a", "key:test")]


def test_the_log_cannot_be_emptied(database_url: str) -> None:
    """Neither as a whole nor by a partition."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for table in ("events", "events_1"):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
                connection.execute(f"TRUNCATE {table}")
