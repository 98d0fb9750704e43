"""How long tests wait for what shall come about."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds: what has not come about by then does not, however busy the machine is."""


def promised(seconds: float) -> float:
    """What is promised within so many seconds on a machine that has time for it. The fault runs
    hold it to the letter; tests that run beside each other on few cores get longer."""
    return seconds if os.environ.get("FAULTS") == "full" else 5 * seconds


def eventually(holds: Callable[[], bool], within: float = PATIENCE) -> bool:
    """Whether something holds, or comes to hold in time."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
