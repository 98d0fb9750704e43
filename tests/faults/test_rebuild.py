"""Fault 11: rebuilds, rollbacks and cancellations under load, their worker killed at each phase.

A reader writes reports of its own, keeps count of them, and compares after each one what is read
with its own fold. It must never be wrong, and never be refused."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from random import Random
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import msgspec
import structlog

from domain.error_group import group_id
from domain.failures import Conflict
from errata import builder, worker
from infra.clock import utc_now
from infra.event_store.store import EventStore
from infra.redis import connect_async
from infra.settings import load_settings
from projections.error_groups import ErrorFilter, ErrorGroups, ErrorQueries
from projections.live import Live
from projections.positions import Positions
from projections.rebuilds import Rebuild, Site, State
from projections.registry import READ_MODELS
from projections.stats import Stats, StatsQueries
from tests.faults.load import StoreThread, fill, insist, load, store_thread
from tests.faults.oracle import wait_for_head
from tests.faults.rounds import dice, rounds
from tests.faults.workers import PROCESSES, kill
from tests.rebuilding import (
    assert_live_is_pure,
    cancel,
    request,
    roll_back,
    standing,
    versions_there,
    when,
)
from tests.reports import report

APP = "reader"
SLOW_MACHINE = 10.0
"""Seconds that a read waits at most. The API waits 2, plenty where one test runs at a time."""
MODELS = (ErrorGroups(), Stats())

PHASES: tuple[State, ...] = (
    "waiting",
    "filling",
    "catching up",
    "comparing",
    "swapping",
    "done",
    "cancelled",
)
"""The worker dies just before, or just after, it has said so."""


class Doom(msgspec.Struct, frozen=True):
    """A worker dies at a phase of a rebuild; or else somebody kills it after so many seconds."""

    phase: State
    before: bool
    at: int


def start(database_url: str, redis_url: str, doom: Doom | None = None) -> BaseProcess:
    """A running worker process."""
    process = PROCESSES.Process(target=_work, args=(database_url, redis_url, doom), daemon=True)
    process.start()
    return process


def start_follower(database_url: str, redis_url: str) -> BaseProcess:
    """A worker that holds the leases, and leaves rebuilds to others."""
    process = PROCESSES.Process(target=_follow, args=(database_url, redis_url), daemon=True)
    process.start()
    return process


def _follow(database_url: str, redis_url: str) -> None:
    vars(worker)["run_rebuilds"] = lambda settings, stop, read_models: None
    _work(database_url, redis_url, None)


def _work(database_url: str, redis_url: str, doom: Doom | None) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    builder.NEAR_EVENTS = 20
    builder.DROP_AFTER_SECONDS = 1.0
    if doom is not None:
        _plan(doom)
    settings = msgspec.structs.replace(
        load_settings({}), database_url=database_url, redis_url=redis_url
    )
    worker.run_worker(settings, threading.Event())


def _plan(doom: Doom) -> None:
    save = Site.save
    left = doom.at

    def doomed(self: Site, rebuild: Rebuild, **how: Any) -> Rebuild:
        nonlocal left
        here = rebuild.state == doom.phase
        left -= here
        if here and doom.before and left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        saved = save(self, rebuild, **how)
        if here and left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return saved

    Site.save = doomed  # type: ignore[method-assign]


class Reader:
    """Writes reports of an application that nobody else reports on, and reads them back."""

    def __init__(self, thread: StoreThread, redis_url: str, seed: Random) -> None:
        self._store: EventStore = thread.store
        self._redis_url = redis_url
        self._dice = seed
        self._counts: Counter[UUID] = Counter()
        self._stop = False
        self.reads = 0
        self._running = asyncio.run_coroutine_threadsafe(self._read(), thread.loop)

    def check(self) -> None:
        """Raises what has gone wrong so far."""
        if self._running.done():
            self._running.result()

    def stop(self) -> None:
        """End it; raises what has gone wrong."""
        self._stop = True
        self._running.result(30)

    async def _read(self) -> None:
        client = connect_async(self._redis_url)
        positions = Positions(client, [one.keyspace() for one in MODELS], self._store.head)
        await positions.start()
        live = Live(client, positions)
        errors, stats = live(ErrorQueries, ErrorGroups), live(StatsQueries, Stats)
        try:
            while not self._stop:
                error = await self._write()
                head = await self._store.head()
                for model in MODELS:
                    assert await positions.wait(model.name, head, SLOW_MACHINE), positions.space(
                        model.name
                    )
                    assert positions.rebuilding(model.name) is None
                await self._compare(errors, stats, error)
                self.reads += 1
                await asyncio.sleep(0.002)
        finally:
            await positions.stop()
            await client.aclose()

    async def _write(self) -> UUID:
        name = f"fault {self._dice.randrange(20)}"
        stored, _ = await insist(self._store, report(name, app=APP))
        assert stored
        error = group_id(APP, name)
        self._counts[error] += 1
        return error

    async def _compare(self, errors: ErrorQueries, stats: StatsQueries, error: UUID) -> None:
        document = await errors.one(error)
        assert document is not None, "an error is missing"
        assert msgspec.json.decode(document)["count"] == self._counts[error]
        page = await errors.list(ErrorFilter(app=APP))
        assert page.total == len(self._counts)
        numbers = await stats.numbers(APP, utc_now())
        assert (numbers.errors, numbers.occurrences) == (page.total, self._counts.total())


@contextmanager
def reading(database_url: str, redis_url: str, seed: Random) -> Iterator[Reader]:
    """A reader for the life of a block."""
    with store_thread(database_url) as thread:
        reader = Reader(thread, redis_url, seed)
        try:
            yield reader
        finally:
            reader.stop()


def rebuilt_under_load(count: int, seed: Random, database_url: str, redis_url: str) -> None:
    """`count` times something is asked for, and the worker that does it is killed."""
    fill(database_url, seed, 300)
    follower = start_follower(database_url, redis_url)
    wait_for_head(database_url, redis_url)
    outcomes: Counter[str] = Counter()
    with (
        load(database_url, seed, clients=1),
        reading(database_url, redis_url, seed) as reader,
    ):
        for number in range(count):
            phase = PHASES[number % len(PHASES)]
            doom = Doom(phase, seed.random() < 0.5, seed.randrange(2))
            at_random = phase == "waiting"
            doomed = start(database_url, redis_url, None if at_random else doom)
            rebuild = something(seed, redis_url, wanted=phase)
            await_death(doomed, seed.uniform(0.0, 1.0) if at_random else 1.5)
            heir = start(database_url, redis_url)
            ended = when(redis_url, rebuild)
            outcomes[ended.state] += 1
            assert ended.state in ("done", "cancelled"), ended
            assert_nothing_else_there(redis_url)
            reader.check()
            kill(heir)
    assert reader.reads > count
    assert_live_is_pure(database_url, redis_url)
    kill(follower)
    assert outcomes["done"]


def something(seed: Random, redis_url: str, *, wanted: State) -> Rebuild:
    """A rebuild or a rollback that was asked for; and a wish to cancel it, now and then."""
    kept = standing(redis_url).kept
    can_go_back = all(model.name in kept for model in MODELS)  # not before the first is done
    if wanted != "cancelled" and can_go_back and seed.random() < 0.5:
        return roll_back(redis_url, MODELS)
    rebuild = request(redis_url, seed.choice([MODELS, READ_MODELS]))
    if wanted == "cancelled":
        sleep(seed.uniform(0.0, 0.3))
        try:
            cancel(redis_url, rebuild)
        except Conflict:
            assert when(redis_url, rebuild).state == "done"
    return rebuild


def await_death(process: BaseProcess, patience: float) -> None:
    """Return when it has killed itself, or after a while do it."""
    deadline = monotonic() + patience
    while process.is_alive() and monotonic() < deadline:
        sleep(0.01)
    kill(process)


def assert_nothing_else_there(redis_url: str) -> None:
    """Of each read model there are the live version and the kept one; half built ones are gone."""
    now = standing(redis_url)
    for model in READ_MODELS:
        kept = now.kept.get(model.name)
        known = {now.active[model.name]} | ({kept.version} if kept else set())
        assert versions_there(redis_url, model.name) <= known, (model.name, now)


def test_rebuilds_are_never_seen_however_they_are_killed(database_url: str, redis_url: str) -> None:
    rebuilt_under_load(rounds(100, 7), dice("rebuilds"), database_url, redis_url)
