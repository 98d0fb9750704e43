"""PostgreSQL is there and says nothing, as a frozen machine does. Whoever asks hears so in time; it
heals by itself, and nothing is lost, doubled, or called what it is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from random import Random
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import msgspec
import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest
import redis
from httpx import Response

from api.intake import report_id
from domain.failures import Unavailable
from errata.bootstrap import prepare
from errata.worker import run_worker
from infra.clock import utc_now
from infra.event_store.store import EventStore
from infra.heartbeat import ALIVE
from infra.settings import load_settings
from tests.api.conftest import REPORT, Api, running
from tests.conftest import PARTITION_EVENTS, Servers
from tests.faults.load import Load, event_id, store_thread, stored_ids
from tests.faults.rounds import dice, rounds
from tests.reports import SOMEBODY, check_log, report
from tests.waiting import PATIENCE

SILENT = 0.3
"""Seconds of silence that these event stores bear, instead of some; and as many to connect."""


@contextmanager
def frozen(servers: Servers, *, children: bool = True) -> Iterator[None]:
    """PostgreSQL's processes stand still during a block, or only the one that takes connections."""
    postmaster = psutil.Process(servers.embedded.pids["postgres"])
    postmaster.suspend()  # first, for then there are no new children
    processes = [postmaster, *(postmaster.children(recursive=True) if children else ())]
    try:
        for process in processes[1:]:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def impatient(store: EventStore) -> EventStore:
    appender = store.committer._appender
    appender._answer_timeout = appender._connect_timeout = store.committer._patience = SILENT
    return store


def impatient_store(database_url: str) -> EventStore:
    return impatient(EventStore(database_url, clock=utc_now, partition_events=PARTITION_EVENTS))


def frozen_under_load(count: int, seed: Random, servers: Servers, database_url: str) -> None:
    """`count` times PostgreSQL stands still at a random moment while clients write, each of which
    sends its event again with the same id until it hears yes."""
    with store_thread(database_url) as thread:
        impatient(thread.store)
        clients = Load(thread, seed)
        try:
            for _ in range(count):
                sleep(seed.uniform(0.05, 0.1))
                refused = clients.refused
                with frozen(servers):
                    sleep(4 * SILENT)
                await_more(clients, 20)
                assert clients.refused > refused
        finally:
            clients.stop()
    check_log(database_url)
    assert set(clients.acknowledged) <= stored_ids(database_url)


def await_more(clients: Load, reports: int) -> None:
    wanted = len(clients.acknowledged) + reports
    deadline = monotonic() + PATIENCE
    while len(clients.acknowledged) < wanted:
        assert monotonic() < deadline, "writes stand still"
        sleep(0.005)


def test_frozen_under_load_nothing_is_lost_or_doubled(
    fragile: Servers, fragile_database: str
) -> None:
    frozen_under_load(rounds(50, 3), dice("frozen"), fragile, fragile_database)


async def test_frozen_on_the_way_to_the_disk_is_an_honest_answer_to_all_who_wait(
    fragile: Servers, fragile_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch on its way hears that nobody knows, the queue behind it that nothing was stored;
    sent again with the same id, each is stored once."""
    store = impatient_store(fragile_database)
    store.committer._batch_limit = 2
    await store.start()
    await store.execute(report("before"), SOMEBODY)
    seed = dice("frozen on the way")
    commands = [report("a", event_id=event_id(seed)) for _ in range(7)]
    freeze = frozen(fragile)
    decided = store.committer._appender._load

    async def then_freeze(*arguments: Any) -> Any:
        batch = await decided(*arguments)
        freeze.__enter__()
        return batch

    monkeypatch.setattr(store.committer._appender, "_load", then_freeze)
    began = monotonic()
    try:
        heard = await asyncio.gather(
            *(store.execute(one, SOMEBODY) for one in commands), return_exceptions=True
        )
    finally:
        freeze.__exit__(None, None, None)
    assert monotonic() - began < 15 * SILENT
    assert all(isinstance(one, Unavailable) and one.part == "postgres" for one in heard)
    assert ["unknown" in str(one) for one in heard] == [True] * 2 + [False] * 5
    assert all("nothing was stored" in str(one) for one in heard[2:])
    monkeypatch.undo()
    for command in commands:
        await until_stored(store, command)
    await store.stop()
    ids = [row[4] for row in check_log(fragile_database)]
    assert sorted(ids[1:]) == sorted(one.event_id for one in commands if one.event_id)


async def until_stored(store: EventStore, command: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(Unavailable):
                await store.execute(command, SOMEBODY)
                return
            await asyncio.sleep(0.02)


async def test_where_no_connection_comes_about_nothing_is_stored_and_it_is_said(
    fragile: Servers, fragile_database: str
) -> None:
    """Who has a connection goes on; who has none hears so and not later than promised."""
    connected, new = (impatient_store(fragile_database) for _ in range(2))
    for store in (connected, new):
        await store.start()
    await connected.execute(report(), SOMEBODY)
    with frozen(fragile, children=False):
        began = monotonic()
        with pytest.raises(Unavailable, match="nothing was stored"):
            await new.execute(report(), SOMEBODY)
        assert monotonic() - began < 2 * SILENT
        assert (await connected.execute(report(), SOMEBODY)).position == 2
    await until_stored(new, report())
    for store in (connected, new):
        await store.stop()


@asynccontextmanager
async def whole(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """The API with a worker beside it."""
    settings = msgspec.structs.replace(
        load_settings({}, redis_url=redis_url), database_url=database_url
    )
    await prepare(settings)
    stop = threading.Event()
    worker = threading.Thread(target=run_worker, args=(settings, stop), daemon=True)
    worker.start()
    try:
        async with running(settings) as api:
            yield api
    finally:
        stop.set()
        await asyncio.to_thread(worker.join, PATIENCE)


async def test_the_api_says_in_time_that_postgres_is_silent_and_no_more_than_that(
    fragile: Servers, fragile_database: str, fragile_redis: str
) -> None:
    async with whole(fragile_database, fragile_redis) as api:
        impatient(api.container.store._store)  # type: ignore[attr-defined]
        error = (await api.report())["id"]
        await answers(lambda: api.get("/health"), 200)
        mine = {**REPORT, "event_id": str(uuid4())}
        with frozen(fragile):
            with redis.Redis.from_url(fragile_redis) as client:
                client.delete(ALIVE)  # as it is when workers have waited for long
            began = monotonic()
            health, ready, live = await asyncio.gather(
                *(api.get(f"/health{path}") for path in ("", "/ready", "/live"))
            )
            assert monotonic() - began < 2.0
            assert (health.status_code, ready.status_code, live.status_code) == (503, 503, 200)
            parts = {"postgres": "down", "redis": "up", "projections": "unknown"}
            assert health.json()["services"] == parts
            said = [
                "PostgreSQL does not answer",
                "whether the workers move on is unknown meanwhile",
            ]
            assert health.json()["reasons"] == said
            began = monotonic()
            refused = await asyncio.gather(
                api.post("/api/errors", json=mine),
                api.post("/api/errors", json=mine),
                api.get(f"/api/errors/{error}/occurrences"),
                api.get(f"/api/errors/{error}/history"),
            )
            assert monotonic() - began < 4.0
            found = [(one.status_code, one.json()["code"]) for one in refused]
            assert found == [(503, "postgres_unavailable")] * 4
            assert all(int(one.headers["Retry-After"]) > 0 for one in refused)
        await answers(lambda: api.post("/api/errors", json=mine), 201)
        await answers(lambda: api.get("/health"), 200)
        await answers(lambda: api.get(f"/api/errors/{error}/history"), 200)
        stored = [row[4] for row in check_log(fragile_database)]
    assert stored.count(report_id("default", mine["event_id"])) == 1


async def answers(ask: Callable[[], Awaitable[Response]], status: int) -> None:
    """It comes to this answer by itself."""
    deadline = monotonic() + PATIENCE
    while (answer := await ask()).status_code != status:
        assert monotonic() < deadline, answer.text
        await asyncio.sleep(0.05)
