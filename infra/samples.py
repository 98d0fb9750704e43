"""The host over time: CPU, memory, disk, network and open connections, sampled and kept in Redis.

errata:{samples}:<step>   ZSET  a sample, by its start (Unix time); steps of 10 s (kept 6 hours),
                                5 minutes (7 days) and 1 hour (30 days)

A longer step is worked out again from the shorter one with every sample it gets, so it needs no
memory of its own, and a new leader simply goes on. Sampled is the host that the leading scheduler
runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from time import monotonic, time
from typing import Any, NamedTuple

import msgspec
import psutil
import redis.asyncio as redis

from domain.observation import TIMEFRAMES, HostPoint, HostReport, Timeframe

_RIPE_SECONDS = 0.5
SAMPLE_SECONDS = 10


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """The host over one step from `t` (Unix time): means of `weight` samples, bytes in sum."""

    t: int
    weight: int
    cpu: float
    memory: float
    disk: float
    connections: float | None
    """To the API; None where none of its processes told."""
    bytes_in: int
    bytes_out: int


class _Step(NamedTuple):
    seconds: int
    kept: int


_STEPS = (
    _Step(SAMPLE_SECONDS, TIMEFRAMES["6h"]),
    _Step(300, TIMEFRAMES["7d"]),
    _Step(3_600, TIMEFRAMES["30d"]),
)


class _View(NamedTuple):
    step: _Step
    point_seconds: int


_VIEWS: dict[Timeframe, _View] = {
    "1h": _View(_STEPS[0], 30),
    "6h": _View(_STEPS[0], 180),
    "24h": _View(_STEPS[1], 900),
    "7d": _View(_STEPS[1], 7_200),
    "30d": _View(_STEPS[2], 21_600),
}
"""What each timeframe is read from, and the length of a point of its series."""


class Sampler:
    """Takes samples of this host. `disk` is a folder on the file system to look at."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk if disk.exists() else Path("/")
        self.prime()

    def prime(self) -> None:
        """Begin anew: what the counters say from here on is what the next sample holds."""
        psutil.cpu_percent(None)
        self._network = _network()
        self._primed = monotonic()

    @property
    def ripe(self) -> bool:
        """Whether enough time has gone by for the use of the CPU to mean something."""
        return monotonic() - self._primed >= _RIPE_SECONDS

    def take(self, now: float, connections: int | None) -> Sample:
        """The host since the last time, with the connections of the API. Blocks for some
        milliseconds."""
        before, self._network = self._network, _network()
        return Sample(
            t=int(now // SAMPLE_SECONDS) * SAMPLE_SECONDS,
            weight=1,
            cpu=psutil.cpu_percent(None),
            memory=psutil.virtual_memory().percent,
            disk=psutil.disk_usage(str(self._disk)).percent,
            connections=connections,
            # The counters begin anew with the host, or with an interface that comes and goes.
            bytes_in=max(0, self._network[0] - before[0]),
            bytes_out=max(0, self._network[1] - before[1]),
        )


class Samples:
    """Keeps and reads samples. All calls raise RedisError."""

    def __init__(self, client: redis.Redis, clock: Callable[[], float] = time) -> None:
        self._client = client
        self._clock = clock

    async def keep(self, sample: Sample) -> None:
        """Add a sample, and what the longer steps are with it."""
        same_step = await self._read(_STEPS[0], sample.t, sample.t)
        await self._put(_STEPS[0], combined([*same_step, sample], sample.t))
        for shorter, longer in pairwise(_STEPS):
            start = sample.t // longer.seconds * longer.seconds
            parts = await self._read(shorter, start, start + longer.seconds - 1)
            await self._put(longer, combined(parts, start))

    async def report(self, timeframe: Timeframe) -> HostReport | None:
        """The host over a timeframe that ends now; None where there is no sample of it."""
        step, point_seconds = _VIEWS[timeframe]
        now = self._clock()
        found = await self._read(step, now - TIMEFRAMES[timeframe], now)
        if not found:
            return None
        whole = combined(found, found[0].t)
        return HostReport(
            since=datetime.fromtimestamp(whole.t, UTC),
            cpu=whole.cpu,
            memory=whole.memory,
            disk=whole.disk,
            bytes_in=whole.bytes_in,
            bytes_out=whole.bytes_out,
            connections=whole.connections,
            series=[_point(one) for one in _grouped(found, point_seconds)],
        )

    async def _put(self, step: _Step, sample: Sample) -> None:
        key = _key(step)
        pipeline = self._client.pipeline(transaction=True)
        pipeline.zremrangebyscore(key, sample.t, sample.t)
        pipeline.zadd(key, {msgspec.json.encode(sample): sample.t})
        pipeline.zremrangebyscore(key, "-inf", f"({sample.t - step.kept - step.seconds}")
        await pipeline.execute()

    async def _read(self, step: _Step, first: float, last: float) -> list[Sample]:
        found: Any = await self._client.zrangebyscore(_key(step), first, last)
        return [_decode(one) for one in found]


def combined(samples: Sequence[Sample], start: int) -> Sample:
    """Several samples as one: means by weight, bytes in sum."""
    weight = sum(one.weight for one in samples)
    counted = [(one.connections, one.weight) for one in samples if one.connections is not None]

    def mean(values: Iterable[float]) -> float:
        return sum(v * one.weight for v, one in zip(values, samples, strict=True)) / weight

    return Sample(
        t=start,
        weight=weight,
        cpu=mean(one.cpu for one in samples),
        memory=mean(one.memory for one in samples),
        disk=mean(one.disk for one in samples),
        connections=(
            sum(number * times for number, times in counted) / sum(times for _, times in counted)
            if counted
            else None
        ),
        bytes_in=sum(one.bytes_in for one in samples),
        bytes_out=sum(one.bytes_out for one in samples),
    )


def _grouped(samples: Iterable[Sample], seconds: int) -> list[Sample]:
    groups: dict[int, list[Sample]] = {}
    for one in samples:
        groups.setdefault(one.t // seconds * seconds, []).append(one)
    return [combined(group, start) for start, group in sorted(groups.items())]


def _point(sample: Sample) -> HostPoint:
    return HostPoint(
        t=datetime.fromtimestamp(sample.t, UTC),
        cpu=round(sample.cpu, 1),
        memory=round(sample.memory, 1),
        disk=round(sample.disk, 1),
        bytes_in=sample.bytes_in,
        bytes_out=sample.bytes_out,
    )


def _network() -> tuple[int, int]:
    """Bytes received and sent since the host runs, by all interfaces but the loopback, where a
    byte counts on both sides and never leaves the host."""
    loopback = {name for name, one in psutil.net_if_stats().items() if "loopback" in one.flags}
    counters = psutil.net_io_counters(pernic=True)
    outward = [one for name, one in counters.items() if name not in loopback]
    return sum(one.bytes_recv for one in outward), sum(one.bytes_sent for one in outward)


_decode = msgspec.json.Decoder(Sample).decode


def _key(step: _Step) -> str:
    return f"errata:{{samples}}:{step.seconds}"
