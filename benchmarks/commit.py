"""The committer alone: in the event loop, or in a thread of its own, and how handed over.

Three ways of carrying the same reports, made up beforehand, from callers to the same Appender:

- in the loop: the Committer as it is, a task beside the callers;
- a thread, a future each: the Committer in a second loop, every report handed over by itself;
- a thread, batches: a second loop that gets all that waits at once, and answers all at once.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

import msgspec
import uvloop

from benchmarks import load
from benchmarks.commands import CALLER, report_command
from benchmarks.result import Options, Result, Row
from benchmarks.servers import PARTITION_EVENTS, empty_log, new_store
from benchmarks.traffic import GROUPS
from domain.error_group import ReportError
from infra.clock import utc_now
from infra.event_store.append import Appender
from infra.event_store.batch import Unit

_CALLERS = 64
_FEW = 16
"""As many reports as a commit has when the API takes the rest of two cores."""
_WARM_UP = 2_000

Execute = Callable[[ReportError], Awaitable[object]]


class Commits:
    """What the commits of one variant were like: reports in each, and seconds."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.seconds: list[float] = []

    def saw(self, events: int, seconds: float) -> None:
        """Take note of one."""
        self.sizes.append(events)
        self.seconds.append(seconds)


Variant = Callable[[str, Commits], AbstractAsyncContextManager[Execute]]


class Case(NamedTuple):
    """One variant and how many callers it has, each waiting for its answer."""

    name: str
    variant: Variant
    callers: int


class Measured(msgspec.Struct, frozen=True):
    """Reports a second, CPU microseconds a report of this process, and the commits."""

    rate: float
    cpu: float
    commits: Commits


def run(options: Options) -> Result:
    """Each variant on the same PostgreSQL, one after the other."""
    size = 5_000 if options.quick else 20_000
    commands = [report_command(number) for number in range(size)]
    gc.freeze()  # made up beforehand: the collector need not look at them
    rows: list[Row] = []
    try:
        with empty_log(options) as database_url:
            for case in CASES:
                measured = uvloop.run(_measure(case, database_url, commands))
                rows += _rows(case, measured)
    finally:
        gc.unfreeze()
    title = f"{size:,} reports of {GROUPS} errors, no API, no worker"
    return Result(title, rows)


def _rows(case: Case, measured: Measured) -> list[Row]:
    sizes, seconds = measured.commits.sizes, sorted(measured.commits.seconds)
    return [
        Row(case.name, measured.rate, "reports/s", note=f"{case.callers} callers"),
        Row("  CPU of this process", measured.cpu, "us/report", note="PostgreSQL's is its own"),
        Row("  in one commit", statistics.mean(sizes), "reports", note=f"{len(sizes):,} commits"),
        Row("  commit p50", load.percentile(seconds, 50) * 1e3, "ms"),
        Row("  commit p99", load.percentile(seconds, 99) * 1e3, "ms"),
    ]


async def _measure(case: Case, url: str, commands: Sequence[ReportError]) -> Measured:
    async with case.variant(url, Commits()) as execute:
        await _drive(execute, case.callers, commands[:_WARM_UP])
    commits = Commits()
    async with case.variant(url, commits) as execute:
        cpu, started = time.process_time(), time.perf_counter()
        await _drive(execute, case.callers, commands)
        taken = time.perf_counter() - started
        cpu = time.process_time() - cpu
    return Measured(len(commands) / taken, cpu / len(commands) * 1e6, commits)


async def _drive(execute: Execute, callers: int, commands: Sequence[ReportError]) -> None:
    left = iter(commands)

    async def caller() -> None:
        for command in left:
            await execute(command)

    await asyncio.gather(*(caller() for _ in range(callers)))


# -- variants ------------------------------------------------------------------------------------


@asynccontextmanager
async def in_the_loop(url: str, commits: Commits) -> AsyncIterator[Execute]:
    """As Errata does it."""
    store = new_store(url, commits.saw)
    await store.start()
    yield lambda command: store.execute(command, CALLER)
    await store.stop()


@asynccontextmanager
async def thread_future_each(url: str, commits: Commits) -> AsyncIterator[Execute]:
    """The same committer in another loop; each report and each answer crosses over alone."""
    with _Loop() as other:
        store = new_store(url, commits.saw)
        await other.call(store.start())

        async def execute(command: ReportError) -> object:
            return await other.call(store.execute(command, CALLER))

        yield execute
        await other.call(store.stop())


@asynccontextmanager
async def thread_batches(url: str, commits: Commits) -> AsyncIterator[Execute]:
    """Another loop that takes all reports that wait, and gives all answers of a commit, at once."""
    with _Loop() as other:
        handover = _Handover(url, commits)
        working = asyncio.ensure_future(other.call(handover.work()))
        yield handover.execute
        handover.stop()
        await working


CASES = (
    Case("in the loop", in_the_loop, _CALLERS),
    Case("in the loop, small commits", in_the_loop, _FEW),
    Case("a thread, a future each", thread_future_each, _CALLERS),
    Case("a thread, batches", thread_batches, _CALLERS),
)


class _Handover:
    """Units from the callers' loop to the committing thread, and back when they are committed."""

    def __init__(self, url: str, commits: Commits) -> None:
        self._url = url
        self._commits = commits
        self._callers = asyncio.get_running_loop()
        self._waiting: deque[Unit] = deque()
        self._news = threading.Event()
        self._closing = False

    async def execute(self, command: ReportError) -> object:
        """Called in the callers' loop."""
        unit = Unit((command,), CALLER, self._callers.create_future())
        self._waiting.append(unit)
        if len(self._waiting) == 1:  # one wake-up for all who come in the same turn
            self._callers.call_soon(self._news.set)
        return (await unit.waiter)[0]

    def stop(self) -> None:
        """End when nothing waits any more."""
        self._closing = True
        self._news.set()

    async def work(self) -> None:
        """Runs in the thread. Waiting blocks its loop, which has nothing else to do."""
        appender = Appender(
            self._url,
            refold=_never,
            clock=utc_now,
            partition_events=PARTITION_EVENTS,
        )
        while not self._closing:
            self._news.wait()
            self._news.clear()
            while self._waiting:
                units = [self._waiting.popleft() for _ in range(len(self._waiting))]
                started = time.monotonic()
                await appender.append(units)
                self._commits.saw(len(units), time.monotonic() - started)
                self._callers.call_soon_threadsafe(_settle, units)
        await appender.close()


def _settle(units: Sequence[Unit]) -> None:
    for unit in units:
        unit.settle()


def _never(*arguments: object) -> object:
    raise AssertionError(f"nothing here is of another schema: {arguments}")


class _Loop:
    """An event loop in a thread of its own, for the life of a block."""

    def __enter__(self) -> _Loop:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Awaitable[object]) -> Awaitable[object]:
        """Run a coroutine there, wait for it here."""
        assert asyncio.iscoroutine(work)
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
