"""Read models built anew beside the live ones: how fast, where the time goes, how it grows."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import redis

from benchmarks.commands import group_command, report_command
from benchmarks.instance import cpu_seconds
from benchmarks.result import Ceiling, Options, Result, Row, at_least, at_most
from benchmarks.servers import PARTITION_EVENTS, fill
from benchmarks.traffic import GROUPS
from domain.message import Recorded
from errata.folding import Beside, Source
from infra.embedded import EmbeddedServers
from infra.event_store.codec import from_row
from infra.event_store.migrations import migrate
from infra.event_store.subscription import Subscription
from projections.filling import Folded, Request, fold_page
from projections.filling import fill as refill
from projections.projection import RedisReadModel
from projections.registry import READ_MODELS
from projections.runner import PAGE_EVENTS

FEW_CORES = 2
NOTEWORTHY = 0.5
"""Microseconds an event: read models that cost less are told together."""

_ROLES = {"postgres": "PostgreSQL", "redis-server": "Redis"}


class Filled(NamedTuple):
    """One filling of all read models: seconds, and CPU seconds by role."""

    events: int
    seconds: float
    cpu: Counter[str]

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of CPU an event, of all processes together."""
        return self.cpu.total() / self.events * 1e6


class Alone(NamedTuple):
    """One read model by itself: CPU seconds of the fold, of sending, and of Redis."""

    fold: float
    send: float
    redis: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.fold + self.send + self.redis


def run(options: Options) -> Result:
    """Fill a log, build all read models; ten times the log, again; then each by itself."""
    small, large = (5_000, 50_000) if options.quick else (100_000, 1_000_000)
    with _servers(options) as (url, redis_url):
        fill(url, report_command, range(small))
        first = _filled(url, redis_url, small)
        fill(url, report_command, range(small, large))
        second = _filled(url, redis_url, large)
        known = _decoded(url, small)
        by_model = {model.name: _alone(redis_url, model, known) for model in READ_MODELS}
        reading, decoding = _read(url, small, decode=False), _read(url, small, decode=True)
    with _servers(options) as (url, redis_url):
        fill(url, group_command, range(small))
        fresh = _filled(url, redis_url, small)
        new = _decoded(url, small)
        lists = _alone(redis_url, READ_MODELS[0], new)
    rows = [
        *_rows(first),
        *_rows(second, ceiling=Ceiling(small / reading, "reading the log, a process")),
        Row("growth, ten times the events", second.cost / first.cost, "x", at_most(1.2)),
        Row("reading, one process", reading / small * 1e6, "us/event", note="CPU"),
        Row("  and decoding", decoding / small * 1e6, "us/event", note="CPU"),
        *_rows_by_model(by_model, small),
        *_rows(fresh, what="all of them first reports"),
        _row("  error_groups alone", lists, small),
    ]
    return Result(f"all read models in Redis, {GROUPS} errors, {os.cpu_count()} cores", rows)


@contextmanager
def _servers(options: Options) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="errata-", dir=options.data) as folder:
        Path(folder).chmod(0o755)  # run as root, the servers have accounts of their own
        servers = EmbeddedServers.start(Path(folder) / "data")
        try:
            migrate(servers.database_url, partition_events=PARTITION_EVENTS)
            yield servers.database_url, servers.redis_url
        finally:
            servers.stop()


def _filled(url: str, redis_url: str, events: int) -> Filled:
    """Build all read models at once, with as many folding processes as the goal has cores."""
    with ExitStack() as undo:
        client = undo.enter_context(redis.Redis.from_url(redis_url))
        client.flushall()
        source = Source(url, "")
        folders = [undo.enter_context(closing(Beside(source))) for _ in range(FEW_CORES)]
        keyspaces = [model.keyspace() for model in READ_MODELS]
        refill(client, keyspaces, 1, folders)  # so that both have started
        before, begun = _cpu(), time.perf_counter()
        failure = refill(client, keyspaces, events, folders)
        seconds = time.perf_counter() - begun
        assert failure is None, failure
        return Filled(events, seconds, _cpu() - before)


def _cpu() -> Counter[str]:
    """CPU seconds of this process and of those below it, by role."""
    own = psutil.Process()
    spent = Counter({"writing": cpu_seconds(own)})
    for process in own.children(recursive=True):
        spent[_ROLES.get(process.name(), "folding")] += cpu_seconds(process)
    return spent


def _decoded(url: str, events: int) -> list[Recorded[Any]]:
    with closing(Subscription(url)) as log:
        rows = [log.page(start, PAGE_EVENTS) for start in range(0, events, PAGE_EVENTS)]
    return [from_row(row) for page in rows for row in page][:events]


def _read(url: str, events: int, *, decode: bool) -> float:
    """CPU seconds of this process for reading a log."""
    begun = time.process_time()
    with closing(Subscription(url)) as log:
        for start in range(0, events, PAGE_EVENTS):
            page = log.page(start, PAGE_EVENTS)
            if decode:
                for row in page:
                    from_row(row)
    return time.process_time() - begun


class _Ready:
    """A folder of events that are decoded already; counts the CPU seconds of the fold."""

    def __init__(self, model: RedisReadModel, events: Sequence[Recorded[Any]]) -> None:
        self._model = model
        self._events = events
        self._asked: list[Request] = []
        self.seconds = 0.0

    def ask(self, request: Request) -> None:
        """Note a page."""
        self._asked.append(request)

    def answer(self) -> Folded:
        """Fold it."""
        request = self._asked.pop(0)
        begun = time.process_time()
        folded = fold_page([self._model], request, self._events[request.start : request.end])
        self.seconds += time.process_time() - begun
        return folded


def _alone(redis_url: str, model: RedisReadModel, events: Sequence[Recorded[Any]]) -> Alone:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        ready = _Ready(model, events)
        redis_before, begun = _redis_cpu(client), time.process_time()
        refill(client, [model.keyspace()], len(events), [ready])
        own = time.process_time() - begun
        return Alone(ready.seconds, own - ready.seconds, _redis_cpu(client) - redis_before)


def _redis_cpu(client: redis.Redis) -> float:
    spent: Any = client.info("cpu")
    return float(spent["used_cpu_user"] + spent["used_cpu_sys"])


def _rows(found: Filled, *, ceiling: Ceiling | None = None, what: str = "") -> list[Row]:
    name = f"{found.events:,} events" + (f", {what}" if what else "")
    cores = FEW_CORES / found.cost * 1e6
    note = f"{FEW_CORES} cores could do {cores:,.0f} with what it costs"
    return [
        Row(name, found.rate, "events/s", at_least(50_000) if ceiling else None, note, ceiling),
        *(
            Row(f"  CPU of {role}", seconds / found.events * 1e6, "us/event")
            for role, seconds in sorted(found.cpu.items(), key=lambda one: -one[1])
        ),
    ]


def _rows_by_model(by_model: dict[str, Alone], events: int) -> Iterator[Row]:
    small: list[str] = []
    rest = Alone(0.0, 0.0, 0.0)
    for name, alone in by_model.items():
        if alone.total / events * 1e6 < NOTEWORTHY:
            small.append(name)
            rest = Alone(*(a + b for a, b in zip(rest, alone, strict=True)))
        else:
            yield _row(f"{name} alone", alone, events)
    if small:
        yield _row(f"{len(small)} more together", rest, events)


def _row(name: str, alone: Alone, events: int) -> Row:
    parts = zip(Alone._fields, alone, strict=True)
    note = "us of CPU: " + ", ".join(f"{part} {cost / events * 1e6:.2f}" for part, cost in parts)
    return Row(name, events / alone.total, "events/s", note=note)
