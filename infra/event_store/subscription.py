"""Following the log: wait for news, read the next page."""

from __future__ import annotations

from typing import Any

import psycopg

from infra.event_store.archive import Archive, ArchivedLog
from infra.event_store.codec import Row
from infra.event_store.reader import read_head, read_page

POLL_SECONDS = 0.5
"""How often the log is looked at without having been told: a lost notification costs this much."""


class Subscription:
    """One follower's connection to the log. Broken connections surface as psycopg errors; make a
    new subscription then. Wakes on NOTIFY, and every POLL_SECONDS in case one was lost.

    What has left PostgreSQL is read from `archive`; without one, that is a hole in the log."""

    def __init__(self, database_url: str, archive: Archive | None = None) -> None:
        self._archived = ArchivedLog(archive) if archive else None
        self._connection = psycopg.connect(
            database_url, autocommit=True, application_name="errata worker", connect_timeout=3
        )
        self._connection.execute("LISTEN errata_log")

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection, for reading and for leases that live as long as it does."""
        return self._connection

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()

    def wait(self, timeout: float = POLL_SECONDS) -> None:
        """Return at the next notification, or after `timeout` seconds."""
        for _ in self._connection.notifies(timeout=timeout, stop_after=1):
            return

    def page(self, after: int, limit: int) -> list[Row]:
        """The next rows after a position; empty at the head. See `read_page`."""
        return read_page(self._connection, after=after, limit=limit, archived=self._archived)

    def head(self) -> int:
        """The position of the last committed event."""
        return read_head(self._connection)
