"""Starting, finding and ending the servers' processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

from infra.embedded.folder import Account

_LAUNCHER = Path(__file__).with_name("launcher.py")
_LOG_LIMIT = 1 << 20  # bytes
_LEFT_OVER_PATIENCE = 10.0  # seconds: a shutdown checkpoint may be under way
_POLL = 0.01  # seconds


def spawn(
    command: Sequence[str | Path],
    *,
    account: Account,
    cwd: Path,
    log: Path,
    farewell: signal.Signals,
    interactive: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program as `account`, in its own session, writing to the end of `log`.

    `farewell` is what it gets when this process dies without stopping it (Linux only);
    `interactive` gives it a pipe to read from.
    """
    launch = [
        # Isolated and without site-packages: 15 ms, and nobody's environment can change it.
        *(sys.executable, "-I", "-S", str(_LAUNCHER)),
        *(str(_parent_to_die_with()), str(int(farewell)), str(account.uid), str(account.gid)),
        *(str(part) for part in command),
    ]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            launch,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.PIPE if interactive else subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            # A Ctrl-C in the terminal must reach us alone: we stop the servers last.
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _parent_to_die_with() -> int:
    """This process, or 0 when the caller's thread may end before the process does.

    Linux sends the parent-death signal when the *thread* that forked ends.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    return os.getpid() if in_main_thread else 0


def _environment() -> dict[str, str]:
    """A small environment: PGPORT or TZ of the user must not change a server, nor secrets leak."""
    kept = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # the interpreter itself may need them
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **found}


def left_overs(program: str, home: Path) -> list[psutil.Process]:
    """The live processes of this program that work in `home`, whichever run started them.

    Both servers change into their folder, so this recognises ours where a pid file cannot: its
    number may belong to somebody else by now.
    """
    return [process for process in psutil.process_iter() if _works_in(process, program, home)]


def _works_in(process: psutil.Process, program: str, home: Path) -> bool:
    try:
        return process.name() == program and _is_at_home(process, home)
    except psutil.Error:  # gone, or a zombie
        return False


def _is_at_home(process: psutil.Process, home: Path) -> bool:
    try:
        return Path(process.cwd()) == home
    except psutil.AccessDenied:
        # Root in a container may not trace other accounts; what was started with is open to all.
        return any(Path(argument).is_relative_to(home) for argument in process.cmdline())


def end_left_overs(program: str, home: Path, signals: Sequence[signal.Signals]) -> None:
    """Stop what an earlier run left, in order where it can be, and wait until it is gone."""
    for stop_signal in (*signals, signal.SIGKILL):
        found = left_overs(program, home)
        pids = {process.pid for process in found}
        if not found:
            return
        for process in found:
            _signal_unless_child(process, pids, stop_signal)
        _wait_until_gone(found, _LEFT_OVER_PATIENCE)


def _signal_unless_child(
    process: psutil.Process, pids: set[int], stop_signal: signal.Signals
) -> None:
    """Servers tell their children themselves, except when it comes to killing."""
    try:
        if stop_signal is signal.SIGKILL or process.ppid() not in pids:
            process.send_signal(stop_signal)
    except psutil.NoSuchProcess:
        return


def _wait_until_gone(processes: list[psutil.Process], patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and any(map(_is_alive, processes)):
        time.sleep(_POLL)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def bound_log(log: Path) -> None:
    """Keep a log below 1 MiB: move what it holds to one older file.

    Copied and cut, not renamed: the server keeps writing, at the end, to the file it has open.
    """
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        older = log.with_suffix(".older.log")
        older.write_bytes(_read_end(log, _LOG_LIMIT))
        older.chmod(0o600)
        os.truncate(log, 0)


def log_end(log: Path, start: int = 0, lines: int = 4) -> str:
    """The last lines written after the first `start` bytes, as one line."""
    if not log.exists():
        return ""
    written = _read_end(log, min(log.stat().st_size - start, _LOG_LIMIT))
    said = [line.strip() for line in written.decode(errors="replace").splitlines() if line.strip()]
    return " | ".join(said[-lines:])


def _read_end(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(-size, os.SEEK_END)
        return file.read()
