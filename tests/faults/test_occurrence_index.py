"""Fault 7 for the read model in PostgreSQL: workers killed at random moments, two at a time."""

from __future__ import annotations

import time
from random import Random
from time import sleep

import psycopg

from domain.error_group import ErrorDeleted, ErrorReported
from tests.faults import workers
from tests.faults.load import fill
from tests.faults.oracle import events_of, head_of
from tests.faults.rounds import dice, rounds
from tests.faults.workers import Flaw, working


def killed_at_random(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """`count` pairs of workers that race and are killed; then one that finishes."""
    for _ in range(count):
        fill(database_url, seed, 40)
        pair = [workers.start(database_url, redis_url, Flaw(page_events=7)) for _ in range(2)]
        sleep(seed.uniform(0.0, 0.3))
        for process in pair:
            workers.kill(process)
    with working(database_url, redis_url):
        wait_for_index(database_url)
    assert indexed(database_url) == expected(database_url)


def wait_for_index(database_url: str, within: float = 30.0) -> None:
    head = head_of(database_url)
    deadline = time.monotonic() + within
    with psycopg.connect(database_url, autocommit=True) as connection:
        while True:
            row = connection.execute("SELECT position FROM read_model_checkpoints").fetchone()
            if row is not None and row[0] >= head:
                return
            assert time.monotonic() < deadline, f"the index is at {row}, the log at {head}"
            sleep(0.01)


def indexed(database_url: str) -> list[int]:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT position FROM occurrences ORDER BY position").fetchall()
    return [position for (position,) in found]


def expected(database_url: str) -> list[int]:
    """The reports whose error was not deleted since."""
    events = events_of(database_url)
    deleted = {one.stream_id: one.position for one in events if isinstance(one.event, ErrorDeleted)}
    return [
        one.position
        for one in events
        if isinstance(one.event, ErrorReported) and one.position > deleted.get(one.stream_id, 0)
    ]


def test_an_index_whose_workers_are_killed_is_written_exactly_once(
    database_url: str, redis_url: str
) -> None:
    killed_at_random(rounds(100, 4), dice("index"), database_url, redis_url)
