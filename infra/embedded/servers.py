"""The public face: start, attach to and stop the embedded servers of one data folder."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from infra.embedded import postgres as postgres_server
from infra.embedded import redis as redis_server
from infra.embedded.daemon import Daemon
from infra.embedded.errors import EmbeddedError
from infra.embedded.folder import DataFolder, FolderLock, Record
from infra.embedded.postgres import Postgres
from infra.embedded.processes import bound_log
from infra.embedded.redis import Redis

_START_TIMEOUT = 120.0  # seconds: recovery after a crash may have to read 1 GB of log
_STOP_TIMEOUT = 4.0  # seconds
_ANSWERS = {"postgres": postgres_server.answers, "redis": redis_server.answers}

StopMode = Literal["fast", "immediate", "kill"]
_STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


@dataclass(frozen=True)
class Endpoints:
    """Where the servers of a data folder listen: unix sockets that only its user can reach.

    A server that was not asked for has an address too; nobody answers there.
    """

    database_url: str
    """For psycopg: postgresql://postgres@/errata?host=/folder"""
    redis_url: str
    """For redis-py: unix:///folder/redis.sock"""


class EmbeddedServers:
    """The servers that this process runs on one data folder, until stop().

    When the process dies without stop(), Linux tells the servers to stop in order; wherever some
    stay behind, the next start stops them first. Made by start().
    """

    def __init__(
        self, folder: DataFolder, lock: FolderLock, socket_dir: Path, daemons: dict[str, Daemon]
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._socket_dir = socket_dir
        self._daemons = daemons
        self._stopped = False
        self.endpoints = Endpoints(postgres_server.url(socket_dir), redis_server.url(socket_dir))

    @classmethod
    def start(
        cls, data_dir: Path, *, postgres: bool = True, redis: bool = True, durable: bool = True
    ) -> Self:
        """Take the folder, make it when it is new, and return when the servers answer.

        Call it in the main thread: only then do the servers follow this process into a sudden
        death at once. `durable=False` makes a new folder without waiting for the disk, for
        tests; it changes nothing in what the servers do afterwards.

        Raises FolderInUseError, BinariesMissingError, PostgresVersionError, ServerFailedError.
        """
        folder = DataFolder(data_dir)
        try:
            return cls._start_on(folder, postgres=postgres, redis=redis, durable=durable)
        except OSError as error:
            raise EmbeddedError(f"the data folder {folder.path} cannot be used: {error}") from error

    @classmethod
    def _start_on(cls, folder: DataFolder, *, postgres: bool, redis: bool, durable: bool) -> Self:
        folder.create()
        with ExitStack() as undo:
            lock = folder.acquire()
            undo.callback(lock.release)
            folder.withdraw()  # what a crash left
            folder.subfolder(folder.log.name)
            socket_dir = folder.make_socket_dir()
            undo.callback(folder.discard_socket_dir, socket_dir)
            daemons: dict[str, Daemon] = {}
            if postgres:
                daemons["postgres"] = Postgres(folder, socket_dir, durable=durable)
            if redis:
                daemons["redis"] = Redis(folder, socket_dir)
            servers = cls(folder, lock, socket_dir, daemons)
            undo.callback(servers.stop)
            servers._launch()
            undo.pop_all()
        return servers

    def _launch(self) -> None:
        for daemon in self._daemons.values():  # both first, so that they start side by side
            daemon.launch()
        for daemon in self._daemons.values():
            daemon.wait_until_ready(_START_TIMEOUT)
        self._folder.publish(
            Record(
                pid=os.getpid(),
                serving=sorted(self._daemons),
                socket_dir=str(self._socket_dir),
                database_url=self.database_url,
                redis_url=self.redis_url,
            )
        )

    @classmethod
    def attach(
        cls, data_dir: Path, *, postgres: bool = True, redis: bool = True
    ) -> Endpoints | None:
        """Where the servers that another process runs on the folder listen.

        None when no process does, or when one of the servers asked for does not answer.
        """
        folder = DataFolder(data_dir)
        record = folder.record()
        if record is None or not folder.is_held():
            return None
        asked_for = [name for name, asked in (("postgres", postgres), ("redis", redis)) if asked]
        socket_dir = Path(record.socket_dir)
        if not all(name in record.serving and _ANSWERS[name](socket_dir) for name in asked_for):
            return None
        return Endpoints(record.database_url, record.redis_url)

    @property
    def database_url(self) -> str:
        """Where PostgreSQL listens, for psycopg."""
        return self.endpoints.database_url

    @property
    def redis_url(self) -> str:
        """Where Redis listens, for redis-py."""
        return self.endpoints.redis_url

    @property
    def pids(self) -> dict[str, int]:
        """The main process of each server that runs, by "postgres" and "redis"."""
        found = {name: daemon.pid for name, daemon in self._daemons.items()}
        return {name: pid for name, pid in found.items() if pid is not None}

    def stop(self, timeout: float = _STOP_TIMEOUT) -> None:
        """Stop the servers in order, and let others have the folder; a second call does nothing.

        Redis syncs its append-only file, PostgreSQL ends all sessions and writes a checkpoint.
        What takes longer than `timeout` seconds is ended by force: PostgreSQL then recovers at
        its next start and loses nothing.
        """
        if self._stopped:
            return
        deadline = time.monotonic() + timeout
        for daemon in self._daemons.values():
            daemon.ask_to_stop()
        for daemon in self._daemons.values():
            daemon.wait_until_stopped(max(0.0, deadline - time.monotonic()))
        self._folder.withdraw()
        self._folder.discard_socket_dir(self._socket_dir)
        self._lock.release()
        self._stopped = True

    def tend(self) -> list[str]:
        """Restart the servers that died, keep the logs small; returns the names of the restarted.

        For the owner's main loop, every few seconds; without it a killed server stays down.
        """
        restarted = []
        for name, daemon in self._daemons.items():
            bound_log(daemon.log)
            if daemon.pid is None:
                self._restart(name)
                restarted.append(name)
        return restarted

    def start_postgres(self) -> None:
        """Start PostgreSQL again on the same folder and wait until it answers."""
        self._restart("postgres")

    def stop_postgres(self, mode: StopMode = "fast") -> None:
        """Stop PostgreSQL: "fast" in order, "immediate" as in a crash, "kill" with kill -9."""
        self._stop("postgres", mode)

    def restart_postgres(self, mode: StopMode = "fast") -> None:
        """Stop PostgreSQL in the given mode, start it, and wait until it answers."""
        self.stop_postgres(mode)
        self.start_postgres()

    def start_redis(self) -> None:
        """Start Redis again on the same folder and wait until it answers."""
        self._restart("redis")

    def kill_redis(self) -> None:
        """End Redis with kill -9."""
        self._stop("redis", "kill")

    def _restart(self, name: str) -> None:
        daemon = self._daemon(name)
        daemon.launch()
        daemon.wait_until_ready(_START_TIMEOUT)

    def _stop(self, name: str, mode: StopMode) -> None:
        daemon = self._daemon(name)
        if mode == "kill":
            daemon.kill()
        else:
            daemon.signal(_STOP_SIGNALS[mode])
            daemon.wait_until_stopped(_STOP_TIMEOUT)

    def _daemon(self, name: str) -> Daemon:
        if name not in self._daemons:
            raise EmbeddedError(f"{name} was not started on {self._folder.path}")
        return self._daemons[name]


@contextmanager
def embedded_servers(
    data_dir: Path, *, postgres: bool = True, redis: bool = True
) -> Iterator[Endpoints]:
    """The servers of a folder: those that run already, or ours for the life of the with-block."""
    running = EmbeddedServers.attach(data_dir, postgres=postgres, redis=redis)
    if running is not None:
        yield running
        return
    servers = EmbeddedServers.start(data_dir, postgres=postgres, redis=redis)
    try:
        yield servers.endpoints
    finally:
        servers.stop()
