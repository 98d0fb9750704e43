"""What tests of settings share."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.conftest import Api


async def head_of(api: Api) -> str:
    """The log's head, for X-Min-Position."""
    return str(await api.container.store.head())


async def works(api: Api, key: str, within: float = 1.0) -> bool:
    """Whether a key works, or begins to within a second."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        answer = await api.get("/api/errors", headers={"X-API-Key": key})
        if answer.status_code != 401:
            return answer.status_code in (200, 403)
        await asyncio.sleep(0.05)
    return False


async def events_by(api: Api, actor: str) -> list[str]:
    """The names of all events that an actor caused, oldest first."""
    store: Any = api.container.store
    store = store._store  # behind the courtesy of own_writes
    async with store._pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT name FROM audit_log WHERE metadata ->> 'actor' = %s ORDER BY position",
            (actor,),
        )
        return [row[0] for row in await cursor.fetchall()]
