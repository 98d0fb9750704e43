"""Reading the log: pages without holes, streams newest first."""

from __future__ import annotations

import asyncio
import socket
import threading

import psycopg
import pytest

from domain.error_group import group_id
from domain.failures import Unavailable
from infra.clock import utc_now
from infra.event_store.reader import HoleInLog, read_page
from infra.event_store.store import EventStore, KeyStates
from tests.reports import SOMEBODY, report


async def write(store: EventStore, count: int) -> None:
    await asyncio.gather(*(store.execute(report(), SOMEBODY) for _ in range(count)))


async def test_a_hole_is_reported_and_never_skipped(store: EventStore, database_url: str) -> None:
    await write(store, 6)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for lost, seen in ((3, 4), (6, None)):
            connection.execute("DELETE FROM events WHERE position = %s", (lost,))
            with pytest.raises(HoleInLog, match=f"lacks position {lost} .found {seen}"):
                read_page(connection, after=lost - 1, limit=10)


async def test_pages_follow_each_other_up_to_the_head(store: EventStore, database_url: str) -> None:
    await write(store, 7)
    with psycopg.connect(database_url, autocommit=True) as connection:
        pages = [read_page(connection, after=after, limit=3) for after in (0, 3, 6, 7)]
    assert [[row.position for row in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], []]


async def test_a_stream_is_read_newest_first_below_a_version(store: EventStore) -> None:
    await write(store, 5)
    stream = group_id("default", "a")
    newest = await store.stream_back(stream, None, 2)
    older = await store.stream_back(stream, newest[-1].stream_version, 10)
    assert [one.stream_version for one in (*newest, *older)] == [5, 4, 3, 2, 1]


async def test_the_keys_version_grows_with_keys_only(store: EventStore) -> None:
    keys = KeyStates(store.reader)
    await write(store, 2)
    assert (await keys.version(), await keys.load()) == (0, [])


async def test_no_database_is_said_to_be_unavailable() -> None:
    nowhere = "host=/nonexistent dbname=none connect_timeout=1"
    store = EventStore(nowhere, clock=utc_now, partition_events=10)
    await store.start()
    for call in (store.head(), store.execute(report(), SOMEBODY)):
        with pytest.raises(Unavailable) as refused:
            await call
        assert refused.value.part == "postgres"
    await store.stop()


def test_stopping_ends_the_event_loop_while_the_database_is_silent() -> None:
    """A store that is just connecting leaves no task behind that would outlive its loop."""

    async def live(port: int) -> None:
        silent = f"host=127.0.0.1 port={port} dbname=none"
        store = EventStore(silent, clock=utc_now, partition_events=10)
        await store.start()
        await asyncio.sleep(0.2)
        await store.stop()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        life = threading.Thread(target=lambda: asyncio.run(live(port)), daemon=True)
        life.start()
        life.join(10)
        assert not life.is_alive()
