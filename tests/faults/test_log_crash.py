"""Faults 5 and 6: the API process killed, PostgreSQL stopped as in a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from random import Random
from time import sleep
from uuid import UUID

from infra.clock import utc_now
from infra.event_store.store import EventStore
from tests.conftest import PARTITION_EVENTS, Servers
from tests.faults.api_process import Api, Reporters, reporting
from tests.faults.load import GIVE_UP_SECONDS, event_id, insist, stored_ids
from tests.faults.rounds import dice, rounds
from tests.faults.workers import PROCESSES, working
from tests.reports import check_log, report
from tests.waiting import PATIENCE


@contextmanager
def api(database_url: str, redis_url: str) -> Iterator[Api]:
    """The API, and a worker: a retry of what is stored is answered from a read model."""
    running = Api(database_url, redis_url)
    try:
        with working(database_url, redis_url):
            yield running
    finally:
        running.close()


def assert_kept(clients: Reporters, database_url: str) -> None:
    """All that was acknowledged is stored, once, and no answer was a bug."""
    check_log(database_url)
    acknowledged = clients.acknowledged
    assert set(acknowledged) <= stored_ids(database_url)
    assert len(set(acknowledged)) == len(acknowledged)
    assert clients.answers.keys() <= {201, 503}


def api_killed(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """`count` times kill -9 of the API at a random moment under load."""
    with api(database_url, redis_url) as server, reporting(server.port, seed) as clients:
        for _ in range(count):
            clients.await_more(seed.randint(1, 50))
            sleep(seed.uniform(0.0, 0.01))
            server.kill()
        clients.await_more(10)
    assert clients.cuts > 0
    assert_kept(clients, database_url)


def test_what_a_killed_api_acknowledged_is_stored(database_url: str, redis_url: str) -> None:
    api_killed(rounds(200, 5), dice("api killed"), database_url, redis_url)


def writer_killed(count: int, seed: Random, database_url: str) -> None:
    """`count` times kill -9 of a process that writes without a pause and tells each event id once
    it was acknowledged."""
    acknowledged: set[UUID] = set()
    for _ in range(count):
        told, telling = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(
            target=write_and_tell, args=(database_url, seed.random(), telling), daemon=True
        )
        process.start()
        telling.close()
        assert told.poll(GIVE_UP_SECONDS), "the writer never had anything acknowledged"
        acknowledged.add(UUID(bytes=told.recv_bytes()))
        sleep(seed.uniform(0.0, 0.2))
        process.kill()
        process.join(10)
        with suppress(EOFError, OSError):  # a message may be cut by the death of who wrote it
            while told.poll(GIVE_UP_SECONDS):
                acknowledged.add(UUID(bytes=told.recv_bytes()))
    assert len(acknowledged) > count
    assert acknowledged <= {row[4] for row in check_log(database_url)}


def write_and_tell(database_url: str, seed: float, telling: Connection) -> None:
    """Four clients, for ever."""
    dice = Random(seed)

    async def client(store: EventStore) -> None:
        while True:
            command = report(f"error {dice.randrange(9)}", event_id=event_id(dice))
            await insist(store, command)
            assert command.event_id is not None
            telling.send_bytes(command.event_id.bytes)

    async def write() -> None:
        store = EventStore(database_url, clock=utc_now, partition_events=PARTITION_EVENTS)
        await store.start()
        await asyncio.gather(*(client(store) for _ in range(4)))

    asyncio.run(write())


def test_what_a_killed_writer_acknowledged_is_stored(database_url: str) -> None:
    writer_killed(rounds(200, 10), dice("writer killed"), database_url)


def postgres_stopped(
    count: int, seed: Random, fragile: Servers, database_url: str, redis_url: str
) -> None:
    """`count` times PostgreSQL is stopped at once under load, fsync on, and started again soon or
    after a while; every second time the API has to say 503 before it recovers by itself."""
    with api(database_url, redis_url) as server, reporting(server.port, seed) as clients:
        for number in range(count):
            clients.await_more(seed.randint(1, 200))
            refused = clients.answers[503]
            fragile.embedded.stop_postgres("immediate")
            if number % 2:
                sleep(3.0)
                assert clients.answers[503] > refused
            fragile.embedded.start_postgres()
            clients.await_more(10, within=PATIENCE)
    assert clients.cuts == 0
    assert_kept(clients, database_url)


def test_what_was_acknowledged_survives_a_crash_of_postgres(
    fragile: Servers, fragile_database: str, fragile_redis: str
) -> None:
    count = rounds(50, 2)
    postgres_stopped(count, dice("postgres"), fragile, fragile_database, fragile_redis)
