"""Read your own writes, for clients that know nothing of positions.

A change that somebody made (resolve, delete, a rule, a key) is answered once the read models show
it, so that whatever is read next, from any process, has seen it. Reports are too many to wait for:
here the process remembers up to where each key has written, and lets that key's next read wait.

Both wait for a moment only, and go on without a word where a read model is slow or away: who needs
certainty sends X-Min-Position and hears 503.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from redis.exceptions import RedisError

from api.container import Store
from domain.error_group import ReportError
from domain.message import Command, Committed, Context
from projections.positions import Positions

MOMENT = 0.5
"""Seconds."""


class OwnWrites:
    """The store of the container, with this courtesy around it."""

    def __init__(self, store: Store, positions: Positions) -> None:
        self._store = store
        self._positions = positions
        self._written: dict[str, int] = {}

    async def execute(self, command: Command, context: Context) -> Committed:
        """As Store.execute."""
        committed = await self._store.execute(command, context)
        await self._after((command,), committed.position, context.actor)
        return committed

    async def execute_all(
        self, commands: Sequence[Command], context: Context
    ) -> Sequence[Committed]:
        """As Store.execute_all."""
        committed = await self._store.execute_all(commands, context)
        if committed:
            await self._after(commands, committed[-1].position, context.actor)
        return committed

    async def head(self) -> int:
        """As Store.head."""
        return await self._store.head()

    async def seen_by(self, actor: str, read_model: str) -> None:
        """Wait a moment for what `actor` has written through this process."""
        position = self._written.get(actor, 0)
        if position > self._positions.position(read_model):
            await self._wait((read_model,), position)

    async def _after(self, commands: Sequence[Command], position: int, actor: str) -> None:
        self._written[actor] = max(position, self._written.get(actor, 0))
        if not all(isinstance(command, ReportError) for command in commands):
            await self._wait(self._positions.names, position)

    async def _wait(self, read_models: Sequence[str], position: int) -> None:
        if not self._positions.certain:
            return  # Redis is silent: nothing to wait for
        with contextlib.suppress(RedisError, TimeoutError):
            async with asyncio.timeout(MOMENT):
                for read_model in read_models:
                    await self._positions.wait(read_model, position, MOMENT)
