"""Looks at the parts of Errata itself, and the board where the latest look at each is kept.

A probe never raises: what goes wrong is what it found. Its answer is "unknown" where it cannot
tell, because something else is in the way; only "unhealthy" counts against a service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from time import perf_counter
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg
import redis.asyncio as redis
from redis.exceptions import RedisError

from domain.observation import Look, Status
from domain.service import CACHE, DATABASE, EVENT_LOG, SCHEDULER, read_model_service
from infra.heartbeat import alive_command
from infra.one_connection import OneConnection

PATIENCE = 2.0
"""Seconds that a probe waits for an answer."""

BOARD = "errata:probes"
"""Redis hash: service -> the latest Look, a JSON object."""

_AWAY = (psycopg.Error, RedisError, OSError, TimeoutError)

_CONNECTIONS = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int, current_setting('server_version'),
       pg_database_size(current_database())
"""
_LOG = """
SELECT h.position, h.recorded_at,
       (SELECT count(*) FROM log_partitions),
       (SELECT max(end_position) - 1 - h.position FROM log_partitions)
  FROM log_head h
"""
_LEADERS = """
SELECT count(*) FROM pg_locks
 WHERE locktype = 'advisory' AND granted AND objsubid = 1
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (classid::bigint << 32) | objid::bigint = hashtextextended('errata:scheduler', 0)
"""


class Finding(NamedTuple):
    """What a probe found."""

    status: Status
    details: dict[str, Any]
    reason: str | None = None


class ReadModelKeys(NamedTuple):
    """Where a read model keeps its position, and why it stands still if it does."""

    checkpoint: str
    stopped: str


Where = Callable[[str], Awaitable[ReadModelKeys]]
"""Finds a read model by its name: another version of it may be the live one by now. Raises
RedisError."""


class Board:
    """The latest look at each service. All calls raise RedisError."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    async def post(self, look: Look) -> None:
        """Replace the look at a service."""
        await self._client.hset(BOARD, look.service, msgspec.json.encode(look).decode())

    async def keep_only(self, services: Iterable[str]) -> None:
        """Take down what belongs to no service any more."""
        known = {name.encode() for name in services}
        gone = [name for name in await self._client.hkeys(BOARD) if name not in known]
        if gone:
            await self._client.hdel(BOARD, *gone)

    async def looks(self) -> dict[str, Look]:
        """The latest look at every service."""
        found = await self._client.hgetall(BOARD)
        looks = [msgspec.json.decode(value, type=Look) for value in found.values()]
        return {look.service: look for look in looks}


class Probes:
    """The probes of one process."""

    def __init__(
        self,
        connection: OneConnection,
        client: redis.Redis,
        read_models: Iterable[str],
        where: Where,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._database_connection = connection
        self._client = client
        self._patience = patience
        self._read_models = {read_model_service(name): name for name in read_models}
        self._where = where
        self._positions: dict[str, int] = {}

    @property
    def frequent(self) -> tuple[str, ...]:
        """The servers: what everything depends on, and cheap to ask."""
        return (DATABASE, CACHE)

    @property
    def others(self) -> tuple[str, ...]:
        """All other parts."""
        return (EVENT_LOG, SCHEDULER, *self._read_models)

    async def look(self, service: str, now: Callable[[], datetime]) -> Look:
        """Look at one part."""
        started = perf_counter()
        at = now()
        try:
            async with asyncio.timeout(self._patience):
                found = await self._probe(service)
        except TimeoutError:
            found = Finding("unhealthy", {}, f"no answer within {self._patience:g} s")
        except _AWAY as error:
            found = Finding("unhealthy", {}, _words(error))
        return Look(
            service=service,
            status=found.status,
            at=at,
            milliseconds=round((perf_counter() - started) * 1000, 3),
            reason=found.reason,
            details=found.details,
        )

    def _probe(self, service: str) -> Awaitable[Finding]:
        if service in self._read_models:
            return self._read_model(service, self._read_models[service])
        probe = {
            DATABASE: self._database,
            CACHE: self._cache,
            EVENT_LOG: self._event_log,
            SCHEDULER: self._scheduler,
        }[service]
        return probe()

    async def _database(self) -> Finding:
        connections, most, version, size = await self._row(_CONNECTIONS)
        details = {
            "connections": connections,
            "max_connections": most,
            "version": version,
            "size_bytes": size,
        }
        return Finding("healthy", details)

    async def _cache(self) -> Finding:
        info: dict[str, Any] = await self._client.info()
        details = {
            "connections": info.get("connected_clients"),
            "max_connections": info.get("maxclients"),
            "memory_bytes": info.get("used_memory"),
            "max_memory_bytes": info.get("maxmemory") or None,
            "version": info.get("redis_version"),
        }
        return Finding("healthy", details)

    async def _event_log(self) -> Finding:
        position, recorded_at, partitions, room = await self._row(_LOG)
        details = {
            "position": position,
            "last_recorded_at": recorded_at if position else None,
            "partitions": partitions,
            "room_events": room,
        }
        if not room:
            return Finding("unhealthy", details, "there is no partition for the next event")
        return Finding("healthy", details)

    async def _scheduler(self) -> Finding:
        try:
            (leaders,) = await self._row(_LEADERS)
            members: list[bytes] = await self._client.execute_command(*alive_command())  # type: ignore[no-untyped-call]
        except _AWAY as error:
            return Finding("unknown", {}, _words(error))
        running = [one.decode() for one in members if one.startswith(b"scheduler:")]
        details = {"leaders": leaders, "running": len(running), "processes": sorted(running)}
        if not leaders:
            return Finding("unhealthy", details, "no scheduler leads")
        return Finding("healthy", details)

    async def _read_model(self, service: str, name: str) -> Finding:
        try:
            (head, *_) = await self._row(_LOG)
            checkpoint, stopped, alive = await self._standing(await self._where(name))
        except _AWAY as error:
            return Finding("unknown", {}, _words(error))
        position = -1 if checkpoint is None else int(checkpoint)
        before = self._positions.get(service)
        self._positions[service] = position
        details = {"position": max(position, 0), "lag_events": max(0, head - max(position, 0))}
        if stopped is not None:
            return Finding("unhealthy", details, f"stopped: {_reason(stopped)}")
        if not any(one.startswith(b"worker:") for one in alive):
            return Finding("unhealthy", details, "no worker is running")
        if position < head and before == position:
            return Finding("unhealthy", details, "it is behind the log and does not move on")
        return Finding("healthy", details)

    async def _standing(self, keys: ReadModelKeys) -> Sequence[Any]:
        # On a Redis Cluster these keys lie apart, so this is no transaction.
        pipeline = self._client.pipeline(transaction=False)
        pipeline.get(keys.checkpoint)
        pipeline.get(keys.stopped)
        pipeline.execute_command(*alive_command())
        return await pipeline.execute()

    async def _row(self, statement: LiteralString) -> tuple[Any, ...]:
        row = await self._database_connection.row(statement)
        assert row is not None
        return row


def _words(error: Exception) -> str:
    """What went wrong; a server's own words if it had some, and never an address of it."""
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return said or f"it cannot be reached ({type(error).__name__})"


def _reason(stopped: bytes) -> str:
    found: dict[str, Any] = msgspec.json.decode(stopped)
    return str(found.get("reason", ""))
