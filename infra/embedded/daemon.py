"""One supervised server process: launch, wait until it answers, stop, end for certain."""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from infra.embedded import processes
from infra.embedded.errors import ServerFailedError
from infra.embedded.folder import DataFolder

_POLL = 0.01  # seconds between two looks at a server that starts
_LAST_RESORT_PATIENCE = 1.0  # seconds for each signal after the polite one


class Daemon(ABC):
    """A server with its data in one folder. At most one process of it runs at a time."""

    name: ClassVar[str]
    """What people call it."""
    program: ClassVar[str]
    """The name of its process."""
    stop_signals: ClassVar[tuple[signal.Signals, ...]]
    """From polite to rude; SIGKILL follows by itself."""

    def __init__(self, folder: DataFolder, home: Path, socket_dir: Path) -> None:
        self.folder = folder
        self.home = home
        self.socket_dir = socket_dir
        self.log = folder.log / f"{self.program}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    @abstractmethod
    def pid_file(self) -> Path:
        """The file that the server removes when it stops in order."""

    @property
    @abstractmethod
    def stale_files(self) -> Sequence[Path]:
        """What a crash leaves in the server's way."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder when it is new, and write the settings."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """The program and its arguments."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the launched process answers queries."""

    @property
    def pid(self) -> int | None:
        """The process while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def launch(self) -> None:
        """Start the process and return at once; nothing happens when it runs already."""
        if self.pid is not None:
            return
        self._clear_left_overs()
        self.prepare()
        self._process = self._spawn(self.command(), cwd=self.home)

    def _spawn(
        self, command: Sequence[str | Path], *, cwd: Path, interactive: bool = False
    ) -> subprocess.Popen[bytes]:
        processes.bound_log(self.log)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        return processes.spawn(
            command,
            account=self.folder.account,
            cwd=cwd,
            log=self.log,
            farewell=self.stop_signals[0],
            interactive=interactive,
        )

    def _clear_left_overs(self) -> None:
        """After a crash: no process of the last run, and nothing that names a stranger."""
        if self.pid_file.exists():  # an orderly stop removes it; looking at all processes costs
            processes.end_left_overs(self.program, self.home, self.stop_signals)
        for stale in self.stale_files:
            stale.unlink(missing_ok=True)

    def wait_until_ready(self, timeout: float) -> None:
        """Return once the server answers; recovery after a crash is part of the wait.

        Raises ServerFailedError when the process ends, or after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self.pid is None:
                raise self.failed("did not start")
            if time.monotonic() > deadline:
                raise self.failed(f"did not answer within {timeout:g} s")
            time.sleep(_POLL)

    def failed(self, what: str) -> ServerFailedError:
        """The error to raise, with the end of what the server logged since its launch."""
        return ServerFailedError(self.name, what, processes.log_end(self.log, self._log_start))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server's main process, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def ask_to_stop(self) -> None:
        """Begin the orderly stop and return at once."""
        self.signal(self.stop_signals[0])

    def wait_until_stopped(self, timeout: float) -> None:
        """Wait for the orderly stop; after `timeout` seconds end the server by force."""
        if self._process is None:
            return
        if not self._ended_within(timeout):
            self._end_by_force(self._process)
        self._process = None
        self._clear_left_overs()  # a server that crashed before may have orphans

    def _end_by_force(self, process: subprocess.Popen[bytes]) -> None:
        for rude in self.stop_signals[1:]:
            process.send_signal(rude)
            if self._ended_within(_LAST_RESORT_PATIENCE):
                return
        self.kill()

    def kill(self) -> None:
        """End the server at once, its children too: kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            processes.end_left_overs(self.program, self.home, ())

    def _ended_within(self, timeout: float) -> bool:
        if self._process is None:
            return True
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True
