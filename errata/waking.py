"""Wakes errors whose mute is over by the clock, so that they say so before they are reported again.

Which ones that may be is asked of the read model; whether it is so, the decision knows. Nothing
depends on it in time: a report after the hour wakes its error by itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from domain.error_group import WakeError
from domain.failures import NotFound, Unavailable
from domain.message import Context
from errata.bootstrap import open_store
from infra.clock import utc_now
from infra.redis import connect_async
from infra.settings import Settings
from projections.error_groups import ErrorGroups, ErrorQueries
from projections.versions import as_standing, live_space, standing_keys

log = structlog.get_logger("errata.waking")

LOOK_SECONDS = 1.0
AT_ONCE = 100
"""Errors that one look wakes at most."""

ACTOR = "system:waking"


def run_waking(settings: Settings, leads: Callable[[], bool], stop: threading.Event) -> None:
    """Look once a second while `leads` says so, until `stop` is set. Outages are waited out."""
    away = False
    while not stop.wait(LOOK_SECONDS):
        if not leads():
            continue
        try:
            asyncio.run(wake_due(settings))
            away = False
        except (RedisError, Unavailable, OSError) as error:
            if not away:
                log.warning("interrupted", reason=" ".join(str(error).split())[:300])
            away = True
        except Exception:
            # The scheduler has other work that must not end with this.
            log.exception("waking failed")


async def wake_due(settings: Settings) -> int:
    """Wake the errors whose time has come; how many were looked at.

    Raises RedisError, Unavailable."""
    client = connect_async(settings.redis_url_or_fail())
    try:
        due = await _due(client)
    finally:
        await client.aclose()
    if due:
        await _wake(settings, due)
    return len(due)


async def _due(client: Redis) -> list[UUID]:
    hashes: list[Any] = [await client.hgetall(key) for key in standing_keys()]
    model = ErrorGroups()
    standing = as_standing(*hashes)
    if model.name not in standing.active:
        return []  # no worker has built it yet
    return await ErrorQueries(client, live_space(model, standing)).waking(utc_now(), AT_ONCE)


async def _wake(settings: Settings, due: Sequence[UUID]) -> None:
    context = Context(ACTOR, correlation_id=str(uuid4()), causation_id=str(uuid4()))
    async with open_store(settings) as store:
        for error_id in due:
            with suppress(NotFound):  # deleted meanwhile
                await store.execute(WakeError(error_id=error_id, now=utc_now()), context)
