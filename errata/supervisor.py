"""Keeps the processes of an instance alive: starts, restarts and stops them, in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import structlog

from errata.children import STOP_SIGNALS, Child, stop_children

log = structlog.get_logger("errata.supervisor")

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
_HEALTHY_SECONDS = 10.0
"""A process that lived this long is restarted without growing the pause."""
_API_PATIENCE = 2.0
"""Seconds for requests that have begun; beyond it they are cut."""
_REST_PATIENCE = 1.0


class StopWanted(BaseException):
    """Somebody wants us to stop while we wait for something."""


class StopSignals:
    """Ctrl-C, SIGTERM and SIGHUP as a wish that is looked at, not as an interruption.

    Once `wanted`, further signals change nothing: a second Ctrl-C does no harm.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._heard = 0.0
        self._raising = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._hear)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within the block a signal raises StopWanted, for calls that wait for long."""
        self._raising = True
        try:
            if self.wanted:
                raise StopWanted
            yield
        finally:
            self._raising = False

    def seconds_since_wanted(self) -> float:
        """How long ago the first signal came; 0 when none has."""
        return time.monotonic() - self._heard if self.wanted else 0.0

    def _hear(self, number: int, frame: FrameType | None) -> None:
        first = not self.wanted
        if first:
            self._heard = time.monotonic()
        self.wanted = True
        if first and self._raising:
            raise StopWanted


class Supervisor:
    """Parents some children. `forget` is told the number of every process that has ended."""

    def __init__(self, children: Sequence[Child], forget: Callable[[int], None]) -> None:
        self._children = children
        self._forget = forget
        self._due: dict[Child, float] = {}
        self._pauses: dict[Child, float] = {}

    def start(self) -> None:
        """Start all, in order."""
        for child in self._children:
            child.start()

    def tend(self) -> list[str]:
        """Restart what has ended, after a pause that grows; returns who ended, and how."""
        ended = []
        for child in self._children:
            pid = child.pid
            how = child.ended()
            if how is not None and pid is not None:
                self._forget(pid)
                self._plan_restart(child, pid, how)
                ended.append(f"{child.name} ended with {how}")
            elif child in self._due and time.monotonic() >= self._due[child]:
                del self._due[child]
                child.start()
        return ended

    def stop(self) -> None:
        """Let the API finish what it has begun, then stop the others."""
        api = [child for child in self._children if child.name == "api"]
        rest = [child for child in self._children if child.name != "api"]
        stop_children(api, _API_PATIENCE)
        stop_children(rest, _REST_PATIENCE)

    def _plan_restart(self, child: Child, pid: int, how: str) -> None:
        now = time.monotonic()
        healthy = now - child.started >= _HEALTHY_SECONDS
        pause = FIRST_PAUSE if healthy else self._pauses.get(child, FIRST_PAUSE)
        self._pauses[child] = min(2 * pause, LONGEST_PAUSE)
        self._due[child] = now + pause
        log.error("process died, restarting", part=child.name, process=pid, how=how, pause=pause)
