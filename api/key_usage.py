"""When keys were used: noted in memory with every request, told to Redis every two seconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from redis.exceptions import RedisError

from api.auth import KeyRing

if TYPE_CHECKING:
    from api.container import KeyUsage

log = structlog.get_logger("api.key_usage")

FLUSH_SECONDS = 2.0
STOP_SECONDS = 1.0


class UsageFlush:
    """Hands on what one process's key ring has noted. `start` before use, `stop` after."""

    def __init__(self, keys: KeyRing, usage: KeyUsage) -> None:
        self._keys = keys
        self._usage = usage
        self._told: dict[str, int] = {}
        self._healthy = True
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to tell."""
        self._task = asyncio.create_task(self._keep_telling())

    async def stop(self) -> None:
        """Tell what is left, and end; a Redis that does not answer is not waited for."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            self._task.cancel()

    async def flush(self) -> None:
        """Tell what is new. What cannot be told while Redis is away is told later."""
        new = {
            key: minute
            for key, minute in self._keys.last_used.items()
            if self._told.get(key) != minute
        }
        try:
            await self._usage.record(new)
        except (RedisError, OSError) as error:
            if self._healthy:
                log.warning("the use of API keys cannot be noted", reason=str(error))
            self._healthy = False
        else:
            self._told |= new
            self._healthy = True

    async def _keep_telling(self) -> None:
        stopping = False
        while not stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    stopping = await self._stopping.wait()
            await self.flush()


async def known_minutes(usage: KeyUsage) -> Mapping[str, int]:
    """The last use of every key, as far as it is known: nothing while Redis is away."""
    try:
        return await usage.minutes()
    except (RedisError, OSError):
        return {}


def used_at(minutes: Mapping[str, int], key_id: object) -> datetime | None:
    """When a key was last used, to the minute; None where nobody knows of any use."""
    minute = minutes.get(str(key_id))
    return None if minute is None else datetime.fromtimestamp(minute * 60, UTC)
