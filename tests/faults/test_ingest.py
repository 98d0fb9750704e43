"""Faults 4 and 5 on the route of batches: a batch is stored whole and once, or not at all."""

from __future__ import annotations

import asyncio
from random import Random
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from api.intake import report_id
from errata.bootstrap import prepare
from infra.settings import load_settings
from tests.api.conftest import running
from tests.api.ingest_tools import KEY, batch, event
from tests.faults.api_process import Api, Reporter, reporting
from tests.faults.load import RETRY_SECONDS, event_id, stored_ids
from tests.faults.proxy import CUT_POINTS, Cut, CutPoint, Proxy
from tests.faults.rounds import dice, rounds
from tests.reports import check_log
from tests.waiting import PATIENCE

CLIENTS = 4
MOST = 120
"""Events in a batch: some go into the log by INSERT, others by COPY."""


def some_events(seed: Random, app: str = "test-app") -> list[dict[str, Any]]:
    """A batch's events, now and then one of them twice."""
    events = [
        event(id=str(event_id(seed)), code=f"code/{seed.randrange(5)}", appId=app)
        for _ in range(seed.choice([1, 2, 30, MOST]))
    ]
    return [*events, events[0]] if seed.random() < 0.2 else events


def ids_of(events: list[dict[str, Any]], app: str = "test-app") -> set[UUID]:
    """The ids under which the log holds them."""
    return {report_id(app, one["id"]) for one in events}


async def cut_around_commit(
    count: int, seed: Random, database_url: str, redis_url: str, point: CutPoint
) -> None:
    """`count` cuts while some clients send batches at once. The database is away for less than
    the committer's patience, so no client may hear of it; a batch sent again adds nothing."""
    settings = replace(load_settings({}, redis_url=redis_url), database_url=database_url)
    await prepare(settings)
    written = stored_ids(database_url)
    with Proxy(database_url) as proxy:
        async with running(replace(settings, database_url=proxy.database_url)) as api:

            async def send(events: list[dict[str, Any]]) -> int:
                answer = await api.post("/api/v1/ingest", json=batch(*events), headers=KEY)
                return answer.status_code

            for _ in range(count):
                batches = [some_events(seed) for _ in range(seed.randint(1, CLIENTS))]
                proxy.arm(Cut(point, seed.randrange(8), seed.choice([0.0, 0.0, 0.0, 0.1])))
                statuses = await asyncio.gather(*map(send, batches))
                assert set(statuses) == {200}
                assert await send(seed.choice(batches)) == 200
                written.update(*map(ids_of, batches))
        assert proxy.cuts >= count // 2
    rows = check_log(database_url)
    assert {row[4] for row in rows} == written
    assert len(rows) == len(written)


@pytest.mark.parametrize("point", CUT_POINTS)
async def test_a_cut_neither_loses_nor_doubles_nor_is_noticed(
    database_url: str, redis_url: str, point: CutPoint
) -> None:
    seed = dice(f"ingest cut {point}")
    await cut_around_commit(rounds(1_000, 15), seed, database_url, redis_url, point)


class BatchSender(Reporter):
    """A client that sends batches, each until it is acknowledged."""

    def __init__(self, port: int, seed: Random) -> None:
        self.batches: list[set[UUID]] = []
        super().__init__(port, seed)

    def _run(self) -> None:
        while not self._stop:
            events = some_events(self._seed, "default")
            self.batches.append(ids_of(events, "default"))
            give_up = monotonic() + PATIENCE
            while self._send("/api/v1/ingest", batch(*events)) != 200:
                if monotonic() > give_up:
                    return
                sleep(RETRY_SECONDS)
            self.acknowledged.extend(self.batches[-1])


def api_killed(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """`count` times kill -9 of the API at a random moment under batches."""
    server = Api(database_url, redis_url)
    try:
        with reporting(server.port, seed, kind=BatchSender) as clients:
            for _ in range(count):
                clients.await_more(seed.randint(1, 4 * MOST))
                sleep(seed.uniform(0.0, 0.02))
                server.kill()
            clients.await_more(10)
    finally:
        server.close()
    check_log(database_url)
    stored = stored_ids(database_url)
    assert clients.cuts > 0
    assert set(clients.acknowledged) <= stored
    assert clients.answers.keys() <= {200, 503}
    for sender in clients:
        assert isinstance(sender, BatchSender)
        assert all(ids <= stored or ids.isdisjoint(stored) for ids in sender.batches)


def test_what_a_killed_api_acknowledged_is_stored_and_batches_are_whole(
    database_url: str, redis_url: str
) -> None:
    api_killed(rounds(200, 5), dice("ingest killed"), database_url, redis_url)
