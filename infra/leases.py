"""Rights that one process at a time has, such as to carry out a rebuild: PostgreSQL advisory locks.

A lease lives as long as the session in which it was taken. A process that dies loses its session;
one that freezes loses it when the server ends a session that has been idle for too long.
"""

from __future__ import annotations

from typing import Any

import psycopg

LEASE_IDLE_SECONDS = 10

_TRY = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_IDLE = "SELECT set_config('idle_session_timeout', %s, false)"


def take_lease(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether the session of this connection has the lease now: nobody else had it."""
    return connection.execute(_TRY, (name,)).fetchone() == (True,)


class LeaseSession:
    """A session for leases. It listens to nothing: the server cannot end one that is busy telling
    a frozen process the news. All calls raise psycopg.OperationalError when the session, and every
    lease with it, was lost."""

    def __init__(
        self, database_url: str, application: str, idle_seconds: float = LEASE_IDLE_SECONDS
    ) -> None:
        """`application` is what the server shows of it."""
        self.connection: psycopg.Connection[Any] = psycopg.connect(
            database_url, autocommit=True, application_name=application, connect_timeout=3
        )
        self.connection.execute(_IDLE, (f"{idle_seconds}s",))

    def take(self, name: str) -> bool:
        """Whether nobody else has it."""
        return take_lease(self.connection, name)

    def keep(self) -> None:
        """Show that somebody is there."""
        self.connection.execute("SELECT 1")

    def close(self) -> None:
        """Give all leases back."""
        self.connection.close()
