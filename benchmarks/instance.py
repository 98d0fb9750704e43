"""A whole Errata to measure: `errata up` on a throw-away folder, exactly as people get it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import redis

from benchmarks.result import Options
from benchmarks.traffic import API_KEY
from infra.embedded import EmbeddedServers, Endpoints
from infra.heartbeat import alive_command
from infra.settings import SETTINGS
from projections.error_groups import ErrorGroups

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
_POLL = 0.005
_SERVERS = {"postgres": "postgres", "redis-server": "redis"}
_SHOWN_LOG = 2_000

ROLES = ("api", "worker", "postgres", "redis", "scheduler", "supervisor")
"""What a process of an instance can be."""


class InstanceFailed(Exception):
    """The instance did not start, ended by itself, or did not stop; the end of its log says why."""


class Instance:
    """`errata up` on one folder; it may be started and stopped again on the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._known: dict[int, str] = {}
        self._log = folder / "errata.log"

    def start(self) -> float:
        """Start it; returns the seconds until /health/ready said yes. Raises InstanceFailed."""
        started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "errata", "up", "--port", str(self.port)),
                    *("--data-dir", str(self.folder / "data")),
                ],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for us, and we stop it in order
            )
        self.wait_for("/health/ready")
        return time.monotonic() - started

    def stop(self) -> float:
        """Stop it as a terminal would; returns the seconds until its last process was gone."""
        if self._process is None:
            return 0.0
        found = self._family()  # not by role: its servers may not even have started
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(found, STOP_SECONDS)
        taken = time.monotonic() - started
        for process in left:
            process.kill()
        self._process.wait(STOP_SECONDS)
        self._process = None
        if left:
            raise self._failed(f"{len(left)} processes did not stop in {STOP_SECONDS:.0f} s")
        return taken

    def wait_for(self, path: str) -> None:
        """Ask for `path` until the answer is 200. Raises InstanceFailed."""
        deadline = time.monotonic() + READY_SECONDS
        while self.ask(path) is None:
            if self._process is None or self._process.poll() is not None:
                raise self._failed("it ended")
            if time.monotonic() > deadline:
                raise self._failed(f"no answer to {path} in {READY_SECONDS:.0f} s")
            time.sleep(_POLL)

    def ask(self, path: str) -> bytes | None:
        """The body of an answer 200; None for any other, and where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5.0)
        try:
            connection.request("GET", path, headers={"X-API-Key": API_KEY.decode()})
            answer = connection.getresponse()
            body = answer.read()
            return body if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    @property
    def endpoints(self) -> Endpoints:
        """Where its PostgreSQL and Redis listen."""
        found = EmbeddedServers.attach(self.folder / "data")
        if found is None:
            raise self._failed("its servers do not answer")
        return found

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Its live processes by role."""
        found: dict[str, list[psutil.Process]] = {role: [] for role in ROLES}
        for process, role in self._roles():
            found[role].append(process)
        return found

    def cpu(self) -> dict[str, float]:
        """CPU seconds by role since the start, those of processes that have ended included."""
        return {
            role: sum(cpu_seconds(process) for process in processes)
            for role, processes in self.processes().items()
        }

    def memory(self) -> dict[str, tuple[int, int]]:
        """Bytes by role: the resident set, and its proportional share (PSS: pages that n
        processes share count as a n-th in each)."""
        found = {}
        for role, processes in self.processes().items():
            infos = [process.memory_full_info() for process in processes]
            found[role] = (sum(info.rss for info in infos), sum(info.pss for info in infos))
        return found

    def _roles(self) -> list[tuple[psutil.Process, str]]:
        """Workers and schedulers say in Redis who they are; what else we forked is the API."""
        assert self._process is not None
        # Remembered: what they have said is gone for a moment when Redis is emptied.
        self._known |= {self._process.pid: "supervisor"} | self._said()
        found = []
        for process in self._family():
            server = _server_of(process)
            if server is not None:
                found.append((process, server))
            elif process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, self._known.get(process.pid, "api")))
        return found

    def _family(self) -> list[psutil.Process]:
        """The process we started and all that came from it; empty when it has ended."""
        if self._process is None or self._process.poll() is not None:
            return []
        root = psutil.Process(self._process.pid)
        return [root, *root.children(recursive=True)]

    def _said(self) -> dict[int, str]:
        with redis.Redis.from_url(self.endpoints.redis_url) as client:
            members: list[bytes] = client.execute_command(*alive_command())
        said = (member.decode().split(":") for member in members)
        return {int(parts[-1]): parts[0] for parts in said}

    def _failed(self, what: str) -> InstanceFailed:
        said = self._log.read_text(errors="replace") if self._log.exists() else ""
        return InstanceFailed(f"the instance under measurement: {what}\n{said[-_SHOWN_LOG:]}")


@contextmanager
def throw_away(options: Options) -> Iterator[Instance]:
    """An instance that is not started yet, on a folder that goes with the block."""
    with tempfile.TemporaryDirectory(prefix="errata-", dir=options.data) as folder:
        Path(folder).chmod(0o755)  # run as root, its servers have accounts of their own
        instance = Instance(Path(folder))
        try:
            yield instance
        finally:
            instance.stop()


@contextmanager
def started(options: Options) -> Iterator[Instance]:
    """An instance that answers, and whose worker works."""
    with throw_away(options) as instance:
        instance.start()
        instance.wait_for("/health")
        yield instance


class Watch:
    """The ends of an instance's pipe: the log's head, and how far its lists of errors are."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._database = psycopg.connect(endpoints.database_url, autocommit=True)
        self.redis = redis.Redis.from_url(endpoints.redis_url)
        self._checkpoint = ErrorGroups().keyspace().checkpoint

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *failure: object) -> None:
        self.redis.close()
        self._database.close()

    def head(self) -> int:
        """The position of the last committed event."""
        row = self._database.execute("SELECT position FROM log_head").fetchone()
        assert row is not None
        return int(row[0])

    def visible(self) -> int:
        """The position that lists show."""
        return int(self.redis.get(self._checkpoint) or 0)

    def wait_until_visible(self, position: int, patience: float = 120.0) -> None:
        """Return when lists show `position`. Raises TimeoutError after `patience` seconds."""
        deadline = time.monotonic() + patience
        while self.visible() < position:
            if time.monotonic() > deadline:
                raise TimeoutError(f"lists are at {self.visible()}, not at {position}")
            time.sleep(_POLL)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> Mapping[str, str]:
    """Ours without Errata's settings: what is measured are the defaults."""
    settings = {setting.name for setting in SETTINGS}
    return {name: value for name, value in os.environ.items() if name not in settings}


def _server_of(process: psutil.Process) -> str | None:
    try:
        return _SERVERS.get(process.name())
    except psutil.NoSuchProcess:
        return None


def cpu_seconds(process: psutil.Process) -> float:
    """Its own and those of its children that have ended: each process counts once."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
