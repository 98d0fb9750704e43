"""The data folder: what is where, who owns it, and who may use it now.

lock             held (flock) by the process that runs the servers; holds its pid
endpoints.json   where the servers listen, while they run
postgres/ redis/ the data; run/ the sockets; log/ what the servers say
"""

import fcntl
import json
import os
import pwd
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from infra.embedded.errors import EmbeddedError, FolderInUseError

# sun_path holds 104 bytes on macOS and 108 on Linux, with a zero byte at the end.
_SOCKET_PATH_LIMIT = 103
_LONGEST_SOCKET = ".s.PGSQL.5432"
_UNFIT_FOR_A_SOCKET = frozenset(
    ",\"'\\\n"
)  # they mean something in libpq's or the servers' settings
_TEMPORARY_PREFIX = "errata-"
_LOCK_PATIENCE = 0.3  # seconds: attach() holds the lock for a moment when nobody else does
_POLL = 0.02  # seconds


@dataclass(frozen=True)
class Account:
    """The account of the operating system that the servers run as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Record:
    """The contents of endpoints.json."""

    pid: int
    serving: list[str]
    socket_dir: str
    database_url: str
    redis_url: str


class DataFolder:
    """One data folder, by path; nothing is touched before a method is called."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.log = self.path / "log"
        self._lock_file = self.path / "lock"
        self._record_file = self.path / "endpoints.json"

    def create(self) -> None:
        """Make the folder, closed to other users, unless it is there.

        A folder that already holds something keeps its mode: it may not be ours alone.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if not any(self.path.iterdir()):
            self.path.chmod(0o700)

    @property
    def account(self) -> Account:
        """Who runs the servers: this user, but never root, whom PostgreSQL refuses.

        For root it is the folder's owner, or `nobody` when that is root as well.
        """
        if os.geteuid() != 0:
            return Account(os.geteuid(), os.getegid())
        owner = self.path.stat().st_uid
        try:
            entry = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
        except KeyError as error:  # initdb needs a name for its account
            raise EmbeddedError(f"no account for the servers: {error.args[0]}") from error
        return Account(entry.pw_uid, entry.pw_gid)

    def subfolder(self, name: str) -> Path:
        """Make the folder `name` in this one, or take it as it is; only the servers may enter."""
        path = self.path / name
        if not path.exists():
            path.mkdir(mode=0o700)
            self.give(path)
        return path

    def write(self, path: Path, text: str) -> None:
        """Replace a file at once, so that a reader sees the old text or the new."""
        draft = path.with_name(path.name + ".new")
        draft.write_text(text)
        draft.chmod(0o600)
        self.give(draft)
        draft.replace(path)

    def give(self, path: Path) -> None:
        """Hand a file or folder to the servers' account."""
        if os.geteuid() == 0:
            os.chown(path, self.account.uid, self.account.gid)

    def acquire(self) -> "FolderLock":
        """Take the folder for this process, until the lock is released or the process ends.

        Raises FolderInUseError when another process, or another object in this one, has it.
        """
        deadline = time.monotonic() + _LOCK_PATIENCE
        while (lock := FolderLock.take(self._lock_file)) is None:
            if time.monotonic() > deadline:
                raise FolderInUseError(self.path, self._holder())
            time.sleep(_POLL)
        self.give(self._lock_file)
        return lock

    def _holder(self) -> int | None:
        text = self._lock_file.read_text().strip()
        return int(text) if text.isdigit() else None

    def is_held(self) -> bool:
        """Whether a process runs its servers here."""
        if not self._lock_file.exists():
            return False
        lock = FolderLock.take(self._lock_file, sign=False)
        if lock is not None:
            lock.release()
        return lock is None

    def make_socket_dir(self) -> Path:
        """The folder for the sockets: run/ here, or a temporary one when that path is unfit."""
        path = str(self.path / "run")
        longest = os.fsencode(f"{path}/{_LONGEST_SOCKET}")
        if len(longest) <= _SOCKET_PATH_LIMIT and not _UNFIT_FOR_A_SOCKET & set(path):
            return self.subfolder("run")
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX))
        self.give(temporary)
        return temporary

    def publish(self, record: Record) -> None:
        """Write endpoints.json."""
        self.write(self._record_file, json.dumps(asdict(record), indent=2) + "\n")

    def record(self) -> Record | None:
        """What endpoints.json says; None when there is none to be read."""
        try:
            return Record(**json.loads(self._record_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def withdraw(self) -> None:
        """Remove endpoints.json, and the temporary socket folder it names."""
        record = self.record()
        if record is not None:
            self.discard_socket_dir(Path(record.socket_dir))
        self._record_file.unlink(missing_ok=True)

    def discard_socket_dir(self, socket_dir: Path) -> None:
        """Remove a temporary socket folder; run/ stays."""
        if socket_dir.name.startswith(_TEMPORARY_PREFIX):
            shutil.rmtree(socket_dir, ignore_errors=True)


class FolderLock:
    """An flock: it ends with the process, so a crash leaves no lock behind."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, sign: bool = True) -> Self | None:
        """The lock, or None when it is taken; `sign` writes our pid into the file."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if sign:
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(descriptor)

    def release(self) -> None:
        """Let others have the folder; a second call does nothing."""
        if self._descriptor >= 0:
            with suppress(OSError):
                # Explicitly: a forked child may hold a copy of the descriptor.
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = -1
