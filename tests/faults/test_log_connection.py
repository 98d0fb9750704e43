"""Fault 4: the connection is cut around COMMIT. Nothing is lost, doubled, or wrongly refused."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import psycopg
import pytest

from domain.failures import Unavailable
from infra.clock import utc_now
from infra.event_store import append
from infra.event_store.store import EventStore
from tests.conftest import PARTITION_EVENTS
from tests.faults.load import event_id
from tests.faults.proxy import CUT_POINTS, Cut, CutPoint, Proxy
from tests.faults.rounds import dice, rounds
from tests.reports import SOMEBODY, check_log, report

CLIENTS = 4


def store_behind(proxy: Proxy) -> EventStore:
    return EventStore(
        proxy.database_url, clock=utc_now, partition_events=PARTITION_EVENTS, batch_limit=3
    )


async def cut_around_commit(count: int, seed: Random, database_url: str, point: CutPoint) -> None:
    """`count` cuts while some clients write at once. The database is away for less than the
    committer's patience, so no client may hear of it; a retry with the same id adds nothing."""
    written = set()
    with Proxy(database_url) as proxy:
        store = store_behind(proxy)
        await store.start()
        for _ in range(count):
            ids = [event_id(seed) for _ in range(seed.randint(1, CLIENTS))]
            commands = [report(f"error {seed.randrange(5)}", event_id=one) for one in ids]
            proxy.arm(Cut(point, seed.randrange(8), seed.choice([0.0, 0.0, 0.0, 0.1])))
            firsts = await asyncio.gather(*(store.execute(c, SOMEBODY) for c in commands))
            assert [first.events[0].event_id for first in firsts] == ids
            retry = await store.execute(seed.choice(commands), SOMEBODY)
            assert retry.events == ()
            assert retry.known is not None
            written.update(ids)
        await store.stop()
        assert proxy.cuts >= count // 2
    assert {row[4] for row in check_log(database_url)} == written
    assert len(check_log(database_url)) == len(written)


@pytest.mark.parametrize("point", CUT_POINTS)
async def test_a_cut_neither_loses_nor_doubles_nor_is_noticed(
    database_url: str, point: CutPoint
) -> None:
    await cut_around_commit(rounds(1_000, 40), dice(f"cut {point}"), database_url, point)


@pytest.mark.parametrize("point", ["before", "after", "reply"])
async def test_away_for_longer_than_the_patience_is_an_honest_answer(
    database_url: str, point: CutPoint
) -> None:
    """The client hears that the outcome is unknown; its retry stores the event, once."""
    command = report("a", event_id=event_id(dice("away")))
    with Proxy(database_url) as proxy:
        store = store_behind(proxy)
        store.committer._patience = 0.3
        await store.start()
        proxy.arm(Cut(point, away=0.6))
        with pytest.raises(Unavailable, match="unknown"):
            await store.execute(command, SOMEBODY)
        await asyncio.sleep(0.4)
        again = await store.execute(command, SOMEBODY)
        assert (again.known is None) == (point == "before")
        await store.stop()
    assert [row[4] for row in check_log(database_url)] == [command.event_id]


async def test_a_writer_that_froze_with_the_lock_tries_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends its transaction so that others can write; nothing was stored, so the
    batch is simply tried again."""
    monkeypatch.setattr(append, "IDLE_IN_TRANSACTION", "100ms")
    frozen = asyncio.Event()

    async def freeze(*arguments: Any) -> Any:
        batch = await load(*arguments)
        if not frozen.is_set():
            frozen.set()
            await asyncio.sleep(0.5)
        return batch

    store = EventStore(database_url, clock=utc_now, partition_events=PARTITION_EVENTS)
    appender = store.committer._appender
    load = appender._load
    monkeypatch.setattr(appender, "_load", freeze)
    await store.start()
    frozen_write = asyncio.create_task(store.execute(report("a"), SOMEBODY))
    await frozen.wait()
    with psycopg.connect(database_url) as other:
        other.execute("SET lock_timeout = '2s'")
        other.execute("SELECT position FROM log_head FOR UPDATE")  # free again before it wakes
    assert (await frozen_write).position == 1
    await store.stop()
    assert len(check_log(database_url)) == 1
