"""Brings a database to the newest schema: numbered SQL files, each applied once, in order.

Any number of processes may call `migrate` at once: an advisory lock lets one work and the others
find it done. Each file runs in a transaction of its own together with its row in
`schema_migrations`, so a kill in the middle leaves either all of it or nothing.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import LiteralString

import msgspec
import psycopg

_LOCK = "SELECT pg_advisory_lock(hashtextextended('errata:migrations', 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('errata:migrations', 0))"
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    int         PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_LOG = "SELECT to_regclass('log_head')"
MINIMUM_SERVER = 150000


class Migration(msgspec.Struct, frozen=True):
    """One numbered file."""

    version: int
    name: str
    sql: LiteralString


class SchemaTooNew(Exception):
    """The database was migrated by a newer Errata than this one."""


def available() -> list[Migration]:
    """All migrations of this version of Errata, oldest first."""
    found = []
    for file in (files(__package__) / "migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name)
        if match:
            sql = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), match[2], sql))
    return sorted(found, key=lambda migration: migration.version)


async def has_log(database_url: str) -> bool:
    """Whether a database holds an Errata. Raises psycopg.OperationalError where it is away."""
    connection = await psycopg.AsyncConnection.connect(database_url, connect_timeout=2)
    async with connection:
        found = await (await connection.execute(_LOG)).fetchone()
    return found != (None,)


def migrate(database_url: str, *, partition_events: int) -> list[Migration]:
    """Apply what is missing and keep room in the log; returns what was applied.

    Raises SchemaTooNew for a database from the future, psycopg.Error when the server refuses.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        if connection.info.server_version < MINIMUM_SERVER:
            raise psycopg.NotSupportedError("Errata needs PostgreSQL 15 or newer")
        connection.execute(_LOCK)
        try:
            applied = _apply_missing(connection)
            connection.execute("SELECT log_keep_room(%s)", (partition_events,))
        finally:
            connection.execute(_UNLOCK)
        return applied


def _apply_missing(connection: psycopg.Connection) -> list[Migration]:
    connection.execute(_TABLE)
    rows = connection.execute("SELECT version FROM schema_migrations").fetchall()
    done = {version for (version,) in rows}
    migrations = available()
    unknown = done - {migration.version for migration in migrations}
    if unknown:
        raise SchemaTooNew(f"the database has migration {max(unknown)}, which is unknown here")
    missing = [migration for migration in migrations if migration.version not in done]
    for migration in missing:
        with connection.transaction():
            connection.execute(migration.sql)
            connection.execute(
                "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)",
                (migration.version, migration.name),
            )
    return missing
