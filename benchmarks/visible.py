"""From "yes" to "there it is": how long after its 201 a report can be read, at 1,000 a second.

The worker announces each position that lists have reached, and a request that waits for one goes
on with the announcement. So the time of a report is that of the first announcement which covers
its X-Event-Position, less that of its 201's arrival at the client; 0 when it came before.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from benchmarks import load
from benchmarks.instance import Instance, Watch, started
from benchmarks.result import Options, Result, Row, at_most
from benchmarks.traffic import report_request
from projections.error_groups import ErrorGroups
from projections.projection import POSITIONS

RATE = 1_000
CONNECTIONS = 64
_WARM_UP = 1_000
_LISTEN_SECONDS = 0.1
_NAME = f"{ErrorGroups.name}.v{ErrorGroups.version} ".encode()

Announcement = tuple[int, float]
"""A position, and when it was announced (monotonic)."""


def run(options: Options) -> Result:
    """Send at a fixed rate, listen to the announcements, compare."""
    seconds = 4.0 if options.quick else 15.0
    with started(options) as instance, Watch(instance.endpoints) as watch:
        load.run(_plan(instance, 10.0, count=_WARM_UP))
        watch.wait_until_visible(watch.head())
        with _listening(instance) as announced:
            outcome = load.run(_plan(instance, seconds, first=_WARM_UP))
            watch.wait_until_visible(watch.head())
            time.sleep(2 * _LISTEN_SECONDS)
    times = delays(outcome, announced)
    rows = [
        Row("visible after 201, p50", _ms(times, 50), "ms", at_most(15)),
        Row("visible after 201, p99", _ms(times, 99), "ms", at_most(100)),
        Row("visible after 201, max", _ms(times, 100), "ms"),
        Row("answered", outcome.rate, "/s", note=f"asked for: {RATE:,}"),
        Row("not answered 201", outcome.failures(201), "", at_most(0)),
        Row("201 after it was due, p50", outcome.milliseconds(50), "ms"),
        Row("201 after it was due, p99", outcome.milliseconds(99), "ms"),
        Row("announcements", len(announced) / outcome.seconds, "/s", note="pages of the worker"),
        Row("CPU of the generator", outcome.cpu_microseconds, "us/report"),
    ]
    return Result(f"{RATE:,} reports/s for {seconds:.0f} s, until lists show them", rows)


def delays(outcome: load.Outcome, announced: list[Announcement]) -> list[float]:
    """Seconds from each 201 until its position was announced, ascending."""
    positions = [position for position, _ in announced]
    found = []
    for answered_at, position in zip(outcome.answered_at, outcome.positions, strict=True):
        first = bisect_left(positions, position)
        if position and first < len(announced):
            found.append(max(announced[first][1] - answered_at, 0.0))
    return sorted(found)


def _ms(seconds: list[float], percent: float) -> float | None:
    return load.percentile(seconds, percent) * 1e3 if seconds else None


def _plan(instance: Instance, seconds: float, first: int = 0, count: int = 1_000_000) -> load.Plan:
    return load.Plan(
        port=instance.port,
        requests=report_request,
        connections=CONNECTIONS,
        seconds=seconds,
        rate=RATE,
        first=first,
        count=count,
        positions=True,
    )


@contextmanager
def _listening(instance: Instance) -> Iterator[list[Announcement]]:
    """Hear all announcements within the block, in ascending order of positions."""
    heard: list[Announcement] = []
    stop, ready = threading.Event(), threading.Event()

    def listen() -> None:
        with (
            redis.Redis.from_url(instance.endpoints.redis_url) as client,
            client.pubsub() as channel,
        ):
            channel.subscribe(POSITIONS)
            while not stop.is_set():
                message = channel.get_message(timeout=_LISTEN_SECONDS)
                now = time.monotonic()
                if message is not None and message["type"] == "subscribe":
                    ready.set()
                elif message is not None:
                    lines = message["data"].splitlines()
                    heard.extend(
                        (int(line[len(_NAME) :]), now) for line in lines if line.startswith(_NAME)
                    )

    listening = threading.Thread(target=listen)
    listening.start()
    try:
        if not ready.wait(10):
            raise TimeoutError("Redis does not let us listen")
        yield heard
    finally:
        stop.set()
        listening.join()
