"""Child processes made by fork: what the parent has imported is shared, so each is small.

A child dies with its parent, even when that is killed with -9 (Linux). It leaves Ctrl-C to the
parent, which stops its children in order, each with SIGTERM.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NoReturn

import psutil  # type: ignore[import-untyped,unused-ignore]
import structlog

log = structlog.get_logger("errata.children")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What people and init systems send to a process that shall stop."""

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # prctl(2)
_POLL_SECONDS = 0.01


class Child:
    """One piece of work in a process of its own; `start` may be called again when it has ended.

    Only for a parent without threads: they do not survive a fork, but the locks they hold do.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.name = name
        self._work = work
        self.pid: int | None = None
        self.started = 0.0

    def start(self) -> None:
        """Fork. The child runs its work and ends; it never returns from here."""
        parent = os.getpid()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # A signal between fork and the child's own handlers would reach the parent's copies.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            self.started = time.monotonic()
            self.pid = os.fork()
            if self.pid == 0:
                self._live(parent)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def ended(self) -> str | None:
        """How the process ended, in words, told once; None while it runs or when none does."""
        if self.pid is None:
            return None
        found, status = os.waitpid(self.pid, os.WNOHANG)
        if found == 0:
            return None
        self.pid = None
        code = os.waitstatus_to_exitcode(status)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process runs: a number is not reused before it was waited for."""
        if self.pid is not None:
            os.kill(self.pid, number)

    def _live(self, parent: int) -> NoReturn:
        code = 1
        try:
            _die_with(parent)
            _name(self.name)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            self._work()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            log.exception("process failed", part=self.name)
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            # Not sys.exit: the with-blocks around the fork are the parent's to leave.
            os._exit(code)


def stop_children(children: Sequence[Child], patience: float) -> None:
    """Ask all to stop, and end by force those that have not after `patience` seconds."""
    for child in children:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + patience
    while _running(children) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for child in _running(children):
        log.warning("did not stop in time, killed", part=child.name, process=child.pid)
        child.signal(signal.SIGKILL)
    while _running(children):
        time.sleep(_POLL_SECONDS)


def _running(children: Iterable[Child]) -> list[Child]:
    return [child for child in children if child.ended() is None and child.pid is not None]


def end_strays(patience: float) -> None:
    """Kill the children, and theirs, that nobody has stopped, and wait until they are gone.

    A signal that interrupts the start of a server may meet the moment in which its process is
    there and its handle is not.
    """
    strays = psutil.Process().children(recursive=True)
    for stray in strays:
        with suppress(psutil.NoSuchProcess):
            stray.kill()
    psutil.wait_procs(strays, patience)


def until_told(
    work: Callable[[threading.Event], None],
    stop_signals: Iterable[signal.Signals] = (signal.SIGTERM,),
) -> None:
    """Run `work(stop)` and set `stop` when a stop signal arrives; raises what `work` raises.

    The work has a thread of its own and signals are waited for, not handled: a handler that sets
    an Event can meet the very lock that the thread it interrupted holds.
    """
    numbers = {signal.SIGTERM, *stop_signals}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    stop = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="work") as aside:
        working = aside.submit(work, stop)
        working.add_done_callback(lambda done: os.kill(os.getpid(), signal.SIGTERM))
        signal.sigwait(numbers)  # somebody's signal, or ours when the work has ended by itself
        stop.set()
    working.result()


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that happens."""
    if sys.platform != "linux":
        return
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def _name(part: str) -> None:
    """Show the part in ps and top, where all children bear their parent's command line."""
    if sys.platform == "linux":
        _prctl(_PR_SET_NAME, f"errata {part}".encode())


def _prctl(option: int, value: int | bytes) -> int:
    code: int = ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    return code
