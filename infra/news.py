"""News about services on their way to the log, which may be away: that is news too.

What cannot be written waits, in order and with its own time. A copy of what is known to be down
lies in Redis, so that another scheduler can go on where this one ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

from domain.failures import Unavailable
from domain.message import Command, Context
from domain.service import NoteServiceDown, NoteServiceUp

log = structlog.get_logger("errata.news")

OUTAGES = "errata:outages"
"""Redis hash: service -> since when and why it is down, while the log does not know yet."""

ACTOR = "system:scheduler"

Execute = Callable[[Sequence[Command], Context], Awaitable[Any]]

Note = NoteServiceUp | NoteServiceDown


class Outage(msgspec.Struct, frozen=True):
    """Since when a service is down, and why."""

    at: datetime
    reason: str


class News:
    """What one scheduler has to say. `execute` commits commands together."""

    def __init__(self, execute: Execute, client: redis.Redis) -> None:
        self._execute = execute
        self._client = client
        self._waiting: list[Command] = []
        self._one_at_a_time = asyncio.Lock()

    def add(self, *commands: Command) -> None:
        """Take news, to be told after all that wait."""
        self._waiting += commands

    async def tell(self) -> bool:
        """Write all that waits to the log; whether nothing waits any more."""
        async with self._one_at_a_time:
            telling = list(self._waiting)
            if not telling:
                return True
            context = Context(ACTOR, correlation_id=str(uuid4()), causation_id=str(uuid4()))
            try:
                await self._execute(telling, context)
            except Unavailable as error:
                log.warning("news cannot be written yet", waiting=len(telling), reason=error.reason)
                await self.keep_copy()
                return False
            del self._waiting[: len(telling)]
            downs = {one.service for one in telling if isinstance(one, NoteServiceDown)}
            if downs:
                with suppress(RedisError, OSError):
                    await self._client.hdel(OUTAGES, *downs)
            return True

    async def keep_copy(self) -> None:
        """Note in Redis what is down, if it is there; who noted it first is right."""
        with suppress(RedisError, OSError):
            for one in self._waiting:
                if isinstance(one, NoteServiceDown):
                    outage = msgspec.json.encode(Outage(one.at, one.reason)).decode()
                    await self._client.hsetnx(OUTAGES, one.service, outage)

    async def take_over(self) -> None:
        """Add what others have seen go down and could not write. What the log knows by now, it
        will not take again."""
        with suppress(RedisError, OSError):
            found: Any = await self._client.hgetall(OUTAGES)
            for name, value in found.items():
                outage = msgspec.json.decode(value, type=Outage)
                down = NoteServiceDown(service=name.decode(), at=outage.at, reason=outage.reason)
                self._waiting.insert(0, down)

    def forget(self) -> None:
        """Drop what waits: somebody else leads, and sees for themselves."""
        self._waiting.clear()
