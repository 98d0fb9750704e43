"""How an instance is, as `errata status` shows it; asked of PostgreSQL and Redis themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import psycopg
import redis
from redis.exceptions import RedisError

from errata.alerting.memory import NAME, notifications_waiting
from infra.clock import utc_now
from infra.event_store.past import head_and_time, recorded_at
from infra.event_store.reader import HoleInLog
from infra.heartbeat import alive_command
from infra.process_managers import ProcessManagers
from infra.redis import connect
from infra.settings import Settings
from projections.projection import CLEARING, Keyspace
from projections.registry import ALL_READ_MODELS
from projections.runner import Stopped, stopped_key
from projections.versions import live_spaces

UP, DOWN = "up", "down"
_FAR_BEHIND = 2_000  # events: a page, which is what a worker folds in one go


class ReadModel(msgspec.Struct, frozen=True):
    """Where a read model stands. `lag_seconds` is the age of the first event not folded yet.

    `state` is "up to date", "behind" (a page of events or less), "catching up", "being emptied"
    or "stopped", then with the reason.
    """

    name: str
    version: int
    position: int | None
    lag_events: int | None
    lag_seconds: float | None
    state: str
    stopped: Stopped | None = None


class Alerting(msgspec.Struct, frozen=True):
    """Where alerting stands, as it said last (every few seconds): how far it has acted, how many
    notifications wait to be sent, and the problem that it stands still at, if any."""

    position: int
    lag_events: int
    notifications_waiting: int
    problem: str | None


class Process(msgspec.Struct, frozen=True):
    """A worker or scheduler that has given a sign of life in the last seconds."""

    part: str
    host: str
    pid: int


class Condition(msgspec.Struct, frozen=True):
    """One look at an instance. What cannot be known, because a service is away, is None."""

    services: dict[str, str]
    reasons: list[str]
    head: int | None
    recorded_at: datetime | None
    read_models: list[ReadModel]
    processes: list[Process] | None
    alerting: Alerting | None = None

    @property
    def away(self) -> bool:
        """Whether a service is down."""
        return DOWN in self.services.values()

    @property
    def stands_still(self) -> bool:
        """Whether a read model has stopped at an event."""
        return any(model.stopped for model in self.read_models)


def look(settings: Settings) -> Condition:
    """Ask PostgreSQL and Redis; either may be away."""
    reasons: list[str] = []
    connection = _connect(settings, reasons)
    head = recorded_at = alerting = None
    processes = None
    models: list[ReadModel] = []
    services = {"postgres": DOWN, "redis": DOWN}
    client = connect(settings.redis_url_or_fail())
    try:
        if connection is not None:
            services["postgres"] = UP
            head, recorded_at = head_and_time(connection)
            alerting = _alerting(connection, head)
        processes = _processes(client)
        spaces = live_spaces(client, ALL_READ_MODELS)
        models = [_read_model(client, connection, space, head) for space in spaces]
        services["redis"] = UP
    except (RedisError, OSError) as error:
        reasons.append(f"Redis: {_line(error)}")
    finally:
        client.close()
        if connection is not None:
            connection.close()
    return Condition(services, reasons, head, recorded_at, models, processes, alerting)


def _connect(settings: Settings, reasons: list[str]) -> psycopg.Connection[Any] | None:
    url = settings.database_url_or_fail()
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=2)
    except psycopg.OperationalError as error:
        reasons.append(f"PostgreSQL: {_line(error)}")
        return None


def _alerting(connection: psycopg.Connection[Any], head: int) -> Alerting:
    saved, problem = ProcessManagers(connection, NAME).look()
    waiting = notifications_waiting(saved)
    return Alerting(saved.position, max(0, head - saved.position), waiting, problem)


def _processes(client: redis.Redis) -> list[Process]:
    found: list[bytes] = client.execute_command(*alive_command())  # type: ignore[no-untyped-call]
    processes = []
    for member in found:
        part, host, pid = member.decode().split(":")
        processes.append(Process(part, host, int(pid)))
    return sorted(processes, key=lambda process: (process.part, process.host, process.pid))


def _read_model(
    client: redis.Redis,
    connection: psycopg.Connection[Any] | None,
    space: Keyspace,
    head: int | None,
) -> ReadModel:
    checkpoint: Any = client.get(space.checkpoint)
    reason: Any = client.get(stopped_key(space))
    stopped = None if reason is None else msgspec.json.decode(reason, type=Stopped)
    position = int(checkpoint or 0)
    if position == CLEARING:
        return ReadModel(space.name, space.version, None, head, None, "being emptied", stopped)
    lag = None if head is None else max(0, head - position)
    seconds = _age(connection, position) if lag and connection is not None else None
    state = "stopped" if stopped else _state(lag)
    return ReadModel(space.name, space.version, position, lag, seconds, state, stopped)


def _age(connection: psycopg.Connection[Any], position: int) -> float | None:
    try:
        recorded = recorded_at(connection, position + 1)
    except HoleInLog:  # it may have been archived
        return None
    return round((utc_now() - recorded).total_seconds(), 3)


def _state(lag: int | None) -> str:
    if lag is None:
        return "unknown"
    if lag == 0:
        return "up to date"
    return "behind" if lag <= _FAR_BEHIND else "catching up"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
