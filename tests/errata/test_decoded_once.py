"""A worker reads and decodes each event once, for all read models together."""

from __future__ import annotations

import asyncio
from contextlib import closing

import psycopg
import pytest
import redis

from errata import worker
from errata.worker import DecodedLog, Runners
from infra.clock import utc_now
from infra.event_store.codec import Row
from infra.event_store.store import EventStore
from infra.event_store.subscription import Subscription
from projections.registry import ALL_READ_MODELS
from tests.conftest import PARTITION_EVENTS
from tests.reports import SOMEBODY, report

PAGE, EVENTS = 10, 60


class ShortPages(Subscription):
    """Full pages of ten events, counting what it reads."""

    read = 0

    def page(self, after: int, limit: int) -> list[Row]:
        rows = super().page(after, min(limit, PAGE))
        self.read += len(rows)
        return rows


def test_full_pages_are_not_read_again_for_the_rows_in_postgresql(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PAGE_EVENTS", PAGE)
    monkeypatch.setattr(worker, "KEPT_EVENTS", PAGE)
    asyncio.run(fill(database_url))
    with (
        closing(ShortPages(database_url)) as subscription,
        redis.Redis.from_url(redis_url) as client,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        runners = Runners(DecodedLog(subscription), client, connection, ALL_READ_MODELS)
        while set(runners.positions().values()) != {EVENTS}:
            runners.step()
        assert subscription.read == EVENTS


async def fill(database_url: str) -> None:
    """A log of reports."""
    store = EventStore(database_url, clock=utc_now, partition_events=PARTITION_EVENTS)
    await store.start()
    await asyncio.gather(*(store.execute(report(), SOMEBODY) for _ in range(EVENTS)))
    await store.stop()
