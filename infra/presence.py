"""That Errata runs, said in PostgreSQL every few seconds: where nothing was said, it did not run.

(`infra.heartbeat` tells through Redis which processes are there right now; this outlives them.)
"""

from __future__ import annotations

from datetime import datetime

from infra.one_connection import OneConnection

PART = "scheduler"

_LAST = "SELECT at FROM heartbeats WHERE part = %s"
_BEAT = """
INSERT INTO heartbeats (part, at) VALUES (%s, %s)
    ON CONFLICT (part) DO UPDATE SET at = greatest(heartbeats.at, excluded.at)
"""


class Presence:
    """Reads and writes the sign of life. All calls raise psycopg.Error."""

    def __init__(self, connection: OneConnection) -> None:
        self._connection = connection

    async def last(self) -> datetime | None:
        """When Errata was last known to run; None before it first did."""
        row = await self._connection.row(_LAST, (PART,))
        return None if row is None else row[0]

    async def beat(self, now: datetime) -> None:
        """Say that it runs now."""
        await self._connection.row(_BEAT, (PART, now))
