"""How far lists are behind the log while it grows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.instance import Instance, Watch

_LOOK_SECONDS = 0.05

Look = tuple[float, int, int]
"""A time (monotonic), the log's head, and the position that lists show."""


@contextmanager
def looking(instance: Instance) -> Iterator[list[Look]]:
    """Look again and again within the block; the list fills meanwhile."""
    seen: list[Look] = []
    stop = threading.Event()

    def look() -> None:
        with Watch(instance.endpoints) as watch:
            while not stop.wait(_LOOK_SECONDS):
                head = watch.head()
                seen.append((time.monotonic(), head, watch.visible()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def lags(seen: list[Look]) -> list[float]:
    """For each look, how long ago the head passed what lists show; 0 when they show it all.

    Ascending, in seconds, good to the time between two looks.
    """
    found = []
    passed = 0
    for time_now, head, visible in seen:
        while seen[passed][1] <= visible and seen[passed][0] < time_now:
            passed += 1
        found.append(time_now - seen[passed][0] if visible < head else 0.0)
    return sorted(found)
