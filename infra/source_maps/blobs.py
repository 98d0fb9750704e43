"""The texts of source maps in PostgreSQL: each once, under the SHA-256 of its text, deflated."""

from __future__ import annotations

import zlib
from typing import Any, LiteralString

import psycopg

from domain.failures import Unavailable
from domain.source_map_files import PackedMap
from infra.one_connection import OneConnection

_PUT: LiteralString = """
INSERT INTO source_maps_blobs (sha256, body, size) VALUES (decode(%s, 'hex'), %b, %s)
ON CONFLICT (sha256) DO UPDATE SET put_at = now()
"""
_GET: LiteralString = "SELECT body FROM source_maps_blobs WHERE sha256 = decode(%s, 'hex')"


class Blobs:
    """The table. Raises Unavailable("postgres") while it cannot be reached."""

    def __init__(self, database_url: str) -> None:
        self._connection = OneConnection(database_url, "errata source maps")

    async def put(self, packed: PackedMap) -> None:
        """Keep a text. The same once more only makes it young again."""
        await self._row(_PUT, (packed.sha256, packed.body, packed.size))

    async def get(self, sha256: str) -> bytes | None:
        """A text, still deflated; None where it is not kept."""
        row = await self._row(_GET, (sha256,))
        return None if row is None else bytes(row[0])

    async def close(self) -> None:
        """Let the connection go."""
        await self._connection.close()

    async def _row(
        self, statement: LiteralString, arguments: tuple[Any, ...]
    ) -> tuple[Any, ...] | None:
        try:
            return await self._connection.row(statement, arguments)
        except psycopg.OperationalError as error:
            raise Unavailable("postgres", "the source maps cannot be reached") from error


def deflated(text: bytes) -> bytes:
    """A text as it is kept."""
    return zlib.compress(text, 6)


def inflated(body: bytes) -> bytes:
    """The text again."""
    return zlib.decompress(body)
