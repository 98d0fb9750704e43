"""One look at the parts of an instance, for /health: quick whatever state they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

import msgspec
import redis.asyncio as async_redis
from redis.exceptions import RedisError

from api.container import Health
from domain.failures import Unavailable
from infra.event_store.store import EventStore
from infra.heartbeat import FRESH_SECONDS, alive_command
from infra.process_managers import ALERTING_PROBLEM
from projections.positions import Positions
from projections.runner import Stopped, stopped_key

T = TypeVar("T")

HEALTH_SECONDS = 1.0
"""How long /health waits for a part before it calls it down."""

_AWAY = (Unavailable, RedisError, OSError, TimeoutError)


class _Workers(NamedTuple):
    """The read models that stand still, each with its reason, and whether any worker lives."""

    stopped: list[str]
    alive: bool


async def look(store: EventStore, client: async_redis.Redis, positions: Positions) -> Health:
    """One look at PostgreSQL, Redis and the workers, at all of them at once."""
    alerting, workers = await asyncio.gather(
        _asked(_alerting(store)), _asked(_workers(client, positions))
    )
    away = []
    if alerting is None:
        away.append("PostgreSQL does not answer")
    if workers is None:
        away.append("Redis does not answer")
    projections, reasons = _projections(alerting, workers)
    return Health(
        postgres="down" if alerting is None else "up",
        redis="down" if workers is None else "up",
        projections=projections,
        reasons=(*away, *reasons),
    )


def _projections(alerting: list[str] | None, workers: _Workers | None) -> tuple[str, list[str]]:
    """Whether what follows the log moves on, and if not, why."""
    if workers is None:
        return "down", alerting or []  # the read models are in Redis
    reasons = [*(alerting or []), *workers.stopped]
    if alerting is not None and not workers.alive:
        reasons.append(f"no worker has given a sign of life for {FRESH_SECONDS:g} s")
    if reasons:
        return "down", reasons
    if alerting is None:
        # A worker that waits for PostgreSQL gives no sign of life.
        return "unknown", ["whether the workers move on is unknown meanwhile"]
    return "up", []


async def _asked(question: Coroutine[Any, Any, T]) -> T | None:
    """The answer; None where there is none in time. The question itself ends by its own patience:
    to cancel one that PostgreSQL does not answer would take ten seconds (see infra.silence)."""
    asking = asyncio.create_task(question)
    asking.add_done_callback(_take_note)
    await asyncio.wait({asking}, timeout=HEALTH_SECONDS)
    try:
        return asking.result() if asking.done() else None
    except _AWAY:
        return None


def _take_note(asked: asyncio.Task[Any]) -> None:
    """How a question ended that nobody waits for any more is nobody's failure."""
    if not asked.cancelled():
        asked.exception()


async def _alerting(store: EventStore) -> list[str]:
    """Why alerting does not move on; empty while it does. Raises Unavailable."""
    rows = await store.reader.rows(ALERTING_PROBLEM, {})
    return [f"alerting stands still: {problem}" for (problem,) in rows[:1] if problem is not None]


async def _workers(client: async_redis.Redis, positions: Positions) -> _Workers:
    """What workers say of themselves. Raises RedisError."""
    stopped = []
    for name in positions.names:
        found = await client.get(stopped_key(positions.space(name)))
        if found is not None:
            reason = msgspec.json.decode(found, type=Stopped)
            stopped.append(
                f"read model {reason.name} stopped at position {reason.position}"
                f" (event {reason.event_id}): {reason.reason}"
            )
    members: list[bytes] = await client.execute_command(*alive_command())  # type: ignore[no-untyped-call]
    return _Workers(stopped, any(member.startswith(b"worker:") for member in members))
