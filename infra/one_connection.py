"""One connection to PostgreSQL for small, rare statements that must not wait for a pool."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, LiteralString

import psycopg

from infra.silence import Silent, hung_up_after

ANSWER_SECONDS = 5.0
"""How long a statement may take before the server counts as silent."""


class OneConnection:
    """Opened when it is needed, and again after it broke. One statement at a time, each a
    transaction of its own, and one that may run twice: that a connection kept from before is dead
    only shows by the statement that fails on it. `name` is what the server shows of it."""

    def __init__(self, database_url: str, name: str) -> None:
        self._url = database_url
        self._name = name
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def row(
        self, statement: LiteralString, arguments: tuple[Any, ...] = ()
    ) -> tuple[Any, ...] | None:
        """The first row that a statement answers, if any. Raises psycopg.Error."""
        async with self._one_at_a_time:
            kept = self._connection is not None
            try:
                return await self._first_row(statement, arguments)
            except psycopg.OperationalError as error:
                if not kept or isinstance(error, Silent):
                    raise
            return await self._first_row(statement, arguments)

    async def _first_row(
        self, statement: LiteralString, arguments: tuple[Any, ...]
    ) -> tuple[Any, ...] | None:
        try:
            if self._connection is None:
                self._connection = await psycopg.AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    connect_timeout=2,
                    application_name=self._name,
                )
            with hung_up_after(ANSWER_SECONDS, self._connection):
                cursor = await self._connection.execute(statement, arguments)
                row = await cursor.fetchone() if cursor.description else None
        except BaseException:
            # Whatever state it is in, or however long an answer would still take.
            await self.close()
            raise
        return None if row is None else tuple(row)

    async def close(self) -> None:
        """Let it go; the next statement opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()
