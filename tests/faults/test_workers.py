"""Faults 7, 9 and 10: workers killed, frozen, and working against each other."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from random import Random
from time import sleep

import psycopg
import pytest
import redis

from errata.worker import DecodedLog
from infra.event_store.subscription import Subscription
from projections.projection import POSITIONS, ReadModel
from projections.registry import ALL_READ_MODELS, READ_MODELS
from projections.runner import Runner
from tests.faults import workers
from tests.faults.load import fill, load, stored_ids
from tests.faults.oracle import assert_pure, wait_for_head
from tests.faults.rounds import dice, rounds
from tests.faults.workers import STEPS, Flaw, Step, working
from tests.waiting import PATIENCE


def killed_at_a_step(
    count: int, seed: Random, database_url: str, redis_url: str, step: Step
) -> None:
    """`count` workers, each killed at the same step of some page; then one that finishes."""
    for _ in range(count):
        fill(database_url, seed, 15)
        page_events = seed.randint(1, 8)
        dies_after = seed.randrange(15 // page_events)  # so many whole pages there are
        doomed = workers.start(database_url, redis_url, Flaw(step, dies_after, page_events))
        doomed.join(PATIENCE)
        assert doomed.exitcode == -signal.SIGKILL, f"it never came to {step!r} often enough"
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        assert_pure(database_url, redis_url)


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_any_step_of_a_page_leaves_no_trace(
    database_url: str, redis_url: str, step: Step
) -> None:
    killed_at_a_step(rounds(100, 3), dice(f"kill {step}"), database_url, redis_url, step)


def killed_at_random(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """`count` workers killed at random moments, while clients write."""
    with load(database_url, seed) as clients:
        for _ in range(count):
            with working(database_url, redis_url, Flaw(page_events=seed.randint(1, 30))):
                sleep(seed.uniform(0.02, 0.3))
        with working(database_url, redis_url):
            sleep(0.1)
            clients.stop()
            wait_for_head(database_url, redis_url)
            assert_pure(database_url, redis_url)
    assert set(clients.acknowledged) <= stored_ids(database_url)


def test_a_worker_killed_at_a_random_moment_leaves_no_trace(
    database_url: str, redis_url: str
) -> None:
    killed_at_random(rounds(100, 6), dice("kill at random"), database_url, redis_url)


def frozen_past_its_lease(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """`count` workers frozen at a random moment under load until their leases are others', woken
    when those have moved on. A stale write would leave a read model that is not the pure fold."""
    standby = Flaw(lease_seconds=1)
    with load(database_url, seed, clients=2) as clients:
        worker = workers.start(database_url, redis_url, standby)
        for _ in range(count):
            sleep(seed.uniform(0.05, 0.3))
            workers.freeze(worker)
            successor = workers.start(database_url, redis_url, standby)
            try:
                wait_for_head(database_url, redis_url)
            finally:
                workers.wake(worker)
            sleep(seed.uniform(0.0, 0.1))
            workers.kill(worker)
            worker = successor
        clients.stop()
        wait_for_head(database_url, redis_url)
        assert_pure(database_url, redis_url)
        workers.kill(worker)


def test_a_frozen_worker_writes_nothing_stale_when_it_wakes(
    database_url: str, redis_url: str
) -> None:
    frozen_past_its_lease(rounds(100, 3), dice("frozen"), database_url, redis_url)


class Applied:
    """Every move that any worker announced, as Redis published them."""

    def __init__(self, redis_url: str) -> None:
        self._client = redis.Redis.from_url(redis_url)
        self._channel = self._client.pubsub()  # type: ignore[no-untyped-call]
        self._channel.subscribe(POSITIONS)
        while self._channel.get_message(timeout=5) is None:
            continue

    def by_model(self) -> dict[str, list[int]]:
        """Read model -> the positions it moved to, in order."""
        moves: dict[str, list[int]] = {}
        while (message := self._channel.get_message(timeout=0.2)) is not None:
            if message["type"] == "message":
                for line in message["data"].decode().splitlines():
                    name, position = line.split()
                    moves.setdefault(name, []).append(int(position))
        self._channel.close()
        self._client.close()
        return moves


def leases_change_hands(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """Two workers under load; `count` times the session of one of them is ended, so that its
    leases go to whoever is faster."""
    applied = Applied(redis_url)
    flaw = Flaw(page_events=10)
    with (
        load(database_url, seed, clients=2) as clients,
        working(database_url, redis_url, flaw),
        working(database_url, redis_url, flaw),
    ):
        for _ in range(count):
            sleep(seed.uniform(0.05, 0.2))
            end_a_session(database_url, seed)
        clients.stop()
        wait_for_head(database_url, redis_url)
        assert_pure(database_url, redis_url)
    assert_moved_once(applied.by_model(), ALL_READ_MODELS)


def end_a_session(database_url: str, seed: Random) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        sessions = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'errata worker%' ORDER BY pid"
        ).fetchall()
        if sessions:
            connection.execute("SELECT pg_terminate_backend(%s)", seed.choice(sessions))


def assert_moved_once(moves: dict[str, list[int]], models: Sequence[ReadModel]) -> None:
    """Each read model moved only forwards: no page was written twice."""
    assert len(moves) == len(models)
    for positions in moves.values():
        assert positions == sorted(set(positions))


def test_leases_that_change_hands_apply_nothing_twice(database_url: str, redis_url: str) -> None:
    leases_change_hands(rounds(1_000, 10), dice("leases"), database_url, redis_url)


def runners_without_leases(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """Two runners race for every page of the same read models, with no lease between them: the
    checkpoint alone keeps each page from being applied twice. `count` pages at least."""
    applied = Applied(redis_url)
    fill(database_url, seed, count)

    def race() -> None:
        subscription = Subscription(database_url)
        with redis.Redis.from_url(redis_url) as client:
            runner = Runner(DecodedLog(subscription), client, READ_MODELS, page_events=1)
            while min(position or 0 for position in runner.positions().values()) < head:
                runner.step()
        subscription.close()

    head = len(stored_ids(database_url))
    racers = [threading.Thread(target=race, daemon=True) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(600)
    assert_pure(database_url, redis_url)
    moves = applied.by_model()
    assert_moved_once(moves, READ_MODELS)
    assert all(positions == list(range(1, head + 1)) for positions in moves.values())


def test_two_runners_at_once_apply_nothing_twice(database_url: str, redis_url: str) -> None:
    runners_without_leases(rounds(1_000, 100), dice("race"), database_url, redis_url)
