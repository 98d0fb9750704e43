"""How long tests wait for what shall come about."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

FULL = os.environ.get("FAULTS") == "full"

PATIENCE = 180.0 if FULL else 30.0
"""Seconds: what has not come about by then does not, however busy the machine is. In the full fault
runs, logs of many rounds are folded anew in the smallest pages."""


def eventually(holds: Callable[[], bool], within: float = PATIENCE) -> bool:
    """Whether something holds, or comes to hold in time."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
