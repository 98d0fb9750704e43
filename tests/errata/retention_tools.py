"""Logs of several months, archived; and processes that die while they archive."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import psycopg
import redis

from domain.app import RegisterApp
from errata.worker import DecodedLog, Runners
from infra.event_store.archive import Archive
from infra.event_store.codec import Row
from infra.event_store.store import EventStore
from infra.event_store.subscription import Subscription
from infra.retention import Retention, connect
from projections.registry import ALL_READ_MODELS, READ_MODELS
from tests.faults.load import any_command, event_id, insist
from tests.faults.oracle import Contents, contents
from tests.faults.workers import PROCESSES
from tests.reports import SOMEBODY, report

MONTHS = tuple(datetime(2026, month, 10, tzinfo=UTC) for month in (1, 2, 3))
AFTER = datetime(2026, 4, 10, tzinfo=UTC)
SIZE = 1_000


class Months:
    """Writes events as of any month, and closes the log's partition at its end."""

    def __init__(self, database_url: str, seed: int = 4) -> None:
        self._url = database_url
        self._dice = Random(seed)
        self.now = MONTHS[0]

    async def write(self, *moments: datetime, events: int = 40) -> None:
        """About `events` events at each moment, each in a partition of its own."""
        store = EventStore(self._url, clock=lambda: self.now, partition_events=SIZE)
        await store.start()
        for self.now in moments:
            commands = [any_command(self._dice, 10) for _ in range(events // 2)]
            commands += [self._coded(number) for number in range(events // 2)]
            name = f"app-{self.now:%m}"
            await store.execute(RegisterApp(app=name, app_name=name), SOMEBODY)
            await asyncio.gather(*(insist(store, command) for command in commands))
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute("SELECT log_close_partition(%s)", (SIZE,))
        await store.stop()

    def _coded(self, number: int) -> Any:
        return report(
            f"coded {number % 3}",
            event_id=event_id(self._dice),
            code=f"E{number % 3}",
            user_id=f"u{number}",
            timestamp=self.now,
        )


class Built(NamedTuple):
    """All read models, built from nothing."""

    in_redis: dict[str, Contents]
    occurrences: list[tuple[Any, ...]]


def rebuilt(database_url: str, redis_url: str, archive: Archive) -> Built:
    """Every registered read model, built from the whole log."""
    subscription = Subscription(database_url, archive)
    with (
        redis.Redis.from_url(redis_url) as client,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        client.flushall()
        connection.execute("DELETE FROM read_model_checkpoints")
        connection.execute("TRUNCATE occurrences")
        runners = Runners(DecodedLog(subscription), client, connection, ALL_READ_MODELS)
        head = subscription.head()
        while set(runners.positions().values()) != {head}:
            runners.step()
        found = {model.name: contents(client, model) for model in READ_MODELS}
        rows = connection.execute("SELECT * FROM occurrences ORDER BY position").fetchall()
    subscription.close()
    return Built(found, rows)


def whole_log(database_url: str, archive: Archive) -> list[Row]:
    """All rows, from wherever they are."""
    subscription = Subscription(database_url, archive)
    rows: list[Row] = []
    while page := subscription.page(len(rows), 7):
        rows += page
    subscription.close()
    return rows


def retain(database_url: str, archive: Archive, before: datetime) -> list[str]:
    """Run retention; the names of the partitions that left."""
    with connect(database_url) as session:
        archived = Retention(session, archive).run(before)
    return [one.partition.name for one in archived]


# -- dying on the way ----------------------------------------------------------------------------

DEATHS = (
    "before replace 1",
    "after replace 1",
    "before replace 2",
    "after replace 2",
    "before compare 1",
    "after compare 1",
    "before drop 1",
    "after drop 1",
    "before drop 2",
)
"""When, at what, and the how manieth time. The first `replace` names the rows' file, the second
its manifest."""


def retain_and_die(database_url: str, folder: Path, before: datetime, death: str) -> None:
    """Run retention in a process that is killed (kill -9) on the way."""
    arguments = (database_url, str(folder), before, death)
    process = PROCESSES.Process(target=_retain_and_die, args=arguments)
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL


def _retain_and_die(database_url: str, folder: str, before: datetime, death: str) -> None:
    when, what, count = death.split()
    owner: Any = os if what == "replace" else Retention
    setattr(owner, what, _deadly(getattr(owner, what), when, int(count)))
    retain(database_url, Archive(folder), before)


def _deadly(method: Callable[..., Any], when: str, count: int) -> Callable[..., Any]:
    left = count

    def surrounded(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = method(*arguments)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return surrounded
