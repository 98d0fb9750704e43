"""A real PostgreSQL and a real Redis that Errata starts, watches and stops by itself.

Read in this order: servers (the public face), daemon (one supervised server), postgres and
redis (what is special about each), folder (what is where), processes and launcher (Unix).
"""

from infra.embedded.errors import (
    BinariesMissingError,
    EmbeddedError,
    FolderInUseError,
    PostgresVersionError,
    ServerFailedError,
)
from infra.embedded.servers import EmbeddedServers, Endpoints, StopMode, embedded_servers

__all__ = [
    "BinariesMissingError",
    "EmbeddedError",
    "EmbeddedServers",
    "Endpoints",
    "FolderInUseError",
    "PostgresVersionError",
    "ServerFailedError",
    "StopMode",
    "embedded_servers",
]
