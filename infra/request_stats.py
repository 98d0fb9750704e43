"""How many requests the API answers, how fast, and how many fail: of all its processes together.

Each process counts in memory and adds what it has counted to Redis every two seconds; while Redis
is away it goes on counting. Three grains are kept, a hash for each start of one:

errata:{requests}:10:<start>     n, ms, failed of 10 seconds, for a quarter of an hour
errata:{requests}:60:<start>     n of a minute, for seven hours
errata:{requests}:3600:<start>   n of an hour, for 32 days
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from time import time
from typing import NamedTuple

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

from domain.observation import RequestCounts

log = structlog.get_logger("errata.requests")

FLUSH_SECONDS = 2.0
RECENT_SECONDS = 300

# The braces keep all counts on one slot of a Redis Cluster, so that a flush is one transaction.
_PREFIX = "errata:{requests}"
_OURSELVES = ("/health", "/metrics", "/docs")
"""Routes that probes, scrapers and readers ask for: no work of the API."""


class _Grain(NamedTuple):
    seconds: int
    kept: int


_FINE = _Grain(10, 900)
_MIDDLE = _Grain(60, 7 * 3_600)
_COARSE = _Grain(3_600, 32 * 86_400)
_MINUTES_UP_TO = 6 * 3_600


class _Count:
    __slots__ = ("failed", "milliseconds", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.milliseconds = 0.0
        self.failed = 0

    def add(self, other: _Count) -> None:
        """Take another count in."""
        self.requests += other.requests
        self.milliseconds += other.milliseconds
        self.failed += other.failed


class RequestStats:
    """Counts this process's requests, and reads those of all. `start` and `stop` with the API."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        clock: Callable[[], float] = time,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._client = client
        self._clock = clock
        self._flush_seconds = flush_seconds
        self._counts: defaultdict[int, _Count] = defaultdict(_Count)
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request; `route` is the path template."""
        if route.startswith(_OURSELVES):
            return
        count = self._counts[_start(self._clock(), _FINE)]
        count.requests += 1
        count.milliseconds += seconds * 1000
        count.failed += status >= 500

    async def start(self) -> None:
        """Begin to tell Redis."""
        self._task = asyncio.create_task(self._run(), name="request stats")

    async def stop(self) -> None:
        """Tell Redis the rest, if it is there."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        with contextlib.suppress(RedisError, OSError):
            await self.flush()

    async def flush(self) -> None:
        """Add what was counted since the last time. Raises RedisError; then it is kept."""
        counts, self._counts = self._counts, defaultdict(_Count)
        if not counts:
            return
        pipeline = self._client.pipeline(transaction=True)
        for start, count in counts.items():
            key = _key(_FINE, start)
            pipeline.hincrbyfloat(key, "ms", count.milliseconds)
            pipeline.hincrby(key, "failed", count.failed)
            for grain in (_FINE, _MIDDLE, _COARSE):
                key = _key(grain, _start(start, grain))
                pipeline.hincrby(key, "n", count.requests)
                pipeline.expire(key, grain.kept)
        try:
            await pipeline.execute()
        except (RedisError, OSError):
            for start, count in counts.items():
                self._counts[start].add(count)
            raise

    async def recent(self) -> RequestCounts:
        """The requests of the last five minutes, up to two seconds late. Raises RedisError."""
        now = self._clock()
        first = _start(now - RECENT_SECONDS, _FINE) + _FINE.seconds
        starts = range(first, int(now) + 1, _FINE.seconds)
        pipeline = self._client.pipeline(transaction=False)
        for start in starts:
            pipeline.hmget(_key(_FINE, start), ["n", "ms", "failed"])
        total = _Count()
        for requests, milliseconds, failed in await pipeline.execute():
            total.requests += int(requests or 0)
            total.milliseconds += float(milliseconds or 0)
            total.failed += int(failed or 0)
        return RequestCounts(now - first, total.requests, total.milliseconds, total.failed)

    async def since(self, begin: float) -> RequestCounts:
        """How many requests there were since a Unix time, counted from the beginning of the
        minute that holds it, or of the hour where it is longer ago. Raises RedisError."""
        now = self._clock()
        grain = _MIDDLE if now - begin <= _MINUTES_UP_TO else _COARSE
        first = _start(begin, grain)
        pipeline = self._client.pipeline(transaction=False)
        for start in range(first, int(now) + 1, grain.seconds):
            pipeline.hget(_key(grain, start), "n")
        requests = sum(int(value or 0) for value in await pipeline.execute())
        return RequestCounts(now - first, requests, 0.0, 0)

    async def _run(self) -> None:
        away = False
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._flush_seconds)
            try:
                await self.flush()
                away = False
            except (RedisError, OSError) as error:
                if not away:
                    log.warning("Redis is away", reason=" ".join(str(error).split())[:300])
                away = True


def _start(moment: float, grain: _Grain) -> int:
    """The start of the grain that holds a moment."""
    return int(moment // grain.seconds) * grain.seconds


def _key(grain: _Grain, start: int) -> str:
    return f"{_PREFIX}:{grain.seconds}:{start}"
