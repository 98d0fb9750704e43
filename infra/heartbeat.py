"""Signs of life of workers and schedulers, kept in Redis: who is there, and since when not."""

from __future__ import annotations

import os
import socket
from time import time
from typing import Any

ALIVE = "errata:alive"
"""Sorted set: "<part>:<host>:<pid>" -> Unix time of its last sign of life."""

FRESH_SECONDS = 10.0
"""A part that was silent for longer counts as gone."""

_FORGET_SECONDS = 3_600.0


def beat_commands(part: str) -> list[tuple[Any, ...]]:
    """The commands that record a sign of life of this process as `part` ("worker", ...)."""
    now = time()
    return [
        ("ZADD", ALIVE, now, _member(part)),
        ("ZREMRANGEBYSCORE", ALIVE, 0, now - _FORGET_SECONDS),
    ]


def farewell_command(part: str) -> tuple[Any, ...]:
    """The command by which this process stops counting as alive at once."""
    return ("ZREM", ALIVE, _member(part))


def alive_command() -> tuple[Any, ...]:
    """The command that lists whose sign of life is fresh: members such as b"worker:host:12"."""
    return ("ZRANGEBYSCORE", ALIVE, time() - FRESH_SECONDS, "+inf")


def _member(part: str) -> str:
    return f"{part}:{socket.gethostname()}:{os.getpid()}"
