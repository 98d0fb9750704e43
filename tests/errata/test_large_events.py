"""Whoever goes through a log of large events holds but a few of them at a time."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
import redis

from errata import folding
from errata.folding import Here, Source
from errata.worker import DecodedLog, Runners, pause_after
from infra.clock import utc_now
from infra.event_store.archive import Archive
from infra.event_store.pages import PAGE_BYTES
from infra.event_store.past import PastLog
from infra.event_store.store import EventStore
from infra.event_store.subscription import Subscription
from projections.error_groups import ErrorGroups
from projections.filling import Request
from projections.registry import ALL_READ_MODELS
from tests.conftest import PARTITION_EVENTS, Servers
from tests.errata.retention_tools import whole_log
from tests.reports import SOMEBODY, report

EVENTS = 160
SIZE = 1 << 20
MOST = 5 * PAGE_BYTES
"""Half of the log: a page as rows, as events and as writes, and the one before while it goes."""

_GROW = """
SET session_replication_role = replica;
UPDATE events SET data = convert_to(
    replace(convert_from(data, 'UTF8'), 'message of a', repeat('x', {size})), 'UTF8')
"""


@pytest.fixture(scope="module")
def source(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A log of large reports of one error."""
    database_url = servers.database("migrated")

    async def fill() -> None:
        store = EventStore(database_url, clock=utc_now, partition_events=PARTITION_EVENTS)
        await store.start()
        for _ in range(EVENTS):
            await store.execute(report(), SOMEBODY)
        await store.stop()

    asyncio.run(fill())
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_GROW.format(size=SIZE).encode())
    return Source(database_url, str(tmp_path_factory.mktemp("archive")))


def peak(work: Callable[[], object]) -> int:
    """Bytes that Python holds at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_worker(source: Source, redis_url: str) -> None:
    def work() -> None:
        with (
            closing(Subscription(source.database_url)) as subscription,
            redis.Redis.from_url(redis_url) as client,
            psycopg.connect(source.database_url, autocommit=True) as connection,
        ):
            runners = Runners(DecodedLog(subscription), client, connection, ALL_READ_MODELS)
            while set(runners.positions().values()) != {EVENTS}:
                runners.step()

    assert peak(work) < MOST


def test_a_page_that_its_bytes_have_filled_is_a_full_one(source: Source) -> None:
    """So a worker does not wait for more before it goes on."""
    with closing(Subscription(source.database_url)) as subscription:
        log = DecodedLog(subscription)
        full, last = log.events(0, 2_000), log.events(EVENTS - 1, 2_000)
        assert len(full) == PAGE_BYTES // SIZE
        assert log.last_page == len(last) == 1
        log.events(len(full), 2_000)
        assert pause_after(log.last_page) == 0


def test_a_folding_process(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writes of all its pages are those of one."""
    request = Request(0, EVENTS, (ErrorGroups().keyspace(),))

    def fold() -> None:
        with closing(Here(source)) as folder:
            folder.ask(request)
            folded = folder.answer()
            assert folded.failure is None
            assert folded.request == request
            assert len(folded.writes) == 1

    assert peak(fold) > MOST
    monkeypatch.setattr(folding, "MOST_BYTES", PAGE_BYTES)
    assert peak(fold) < MOST


def test_a_look_at_the_past(source: Source) -> None:
    def look() -> None:
        with PastLog(source.database_url, Archive(source.archive)) as log:
            seen = sum(len(page) for page in log.pages(0, EVENTS))
            stream = log.stream_pages(report().stream_id, EVENTS)
            assert (seen, sum(len(page) for page in stream)) == (EVENTS, EVENTS)

    assert peak(look) < MOST


def test_all_of_it_at_once_is_more(source: Source) -> None:
    """So the bound of the others says something."""
    assert peak(lambda: whole_log(source.database_url, Archive(source.archive))) > 2 * MOST - SIZE
