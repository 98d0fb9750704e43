"""How many clients are connected to the API: to all its processes together, on whatever hosts.

Each process looks at its own connections every ten seconds, and says in Redis how many there are:

errata:{requests}:open   HASH  "<host>:<pid>" -> [Unix time, number], a JSON array
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from time import time

import msgspec
import psutil
import redis.asyncio as redis
from redis.exceptions import RedisError

TELL_SECONDS = 10.0
FRESH_SECONDS = 30.0
"""What a process said longer ago counts no more: it was killed, or cannot be heard."""

_PATIENCE = 1.0
_KEY = "errata:{requests}:open"


class OpenConnections:
    """Tells of this process's connections to a port, and reads those of all. `start` and `stop`
    with the API; who only reads does neither."""

    def __init__(
        self, client: redis.Redis, port: int, *, clock: Callable[[], float] = time
    ) -> None:
        self._client = client
        self._port = port
        self._clock = clock
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to tell."""
        self._task = asyncio.create_task(self._run(), name="open connections")

    async def stop(self) -> None:
        """Tell no more, and count no more, if Redis is there to hear it."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def tell(self) -> None:
        """Say how many there are now. Raises RedisError."""
        number = await asyncio.to_thread(connections_to, self._port)
        said = msgspec.json.encode((self._clock(), number)).decode()
        await self._client.hset(_KEY, _process(), said)

    async def total(self) -> int | None:
        """How many all processes have; None while none has told lately. Raises RedisError."""
        found = await self._client.hgetall(_KEY)
        said = {name: msgspec.json.decode(text, type=_Said) for name, text in found.items()}
        oldest = self._clock() - FRESH_SECONDS
        silent = [name for name, (at, _) in said.items() if at < oldest]
        if silent:
            await self._client.hdel(_KEY, *silent)
        fresh = [number for at, number in said.values() if at >= oldest]
        return sum(fresh) if fresh else None

    async def _run(self) -> None:
        while not self._stopping.is_set():
            await _if_there(self.tell())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TELL_SECONDS)
        await _if_there(self._client.hdel(_KEY, _process()))


async def _if_there(work: Awaitable[object]) -> None:
    """Do it unless Redis is away: that it is, others say."""
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await work


def connections_to(port: int) -> int:
    """How many clients are connected to a port through this process. Blocks for milliseconds."""
    try:
        found = psutil.Process().net_connections("tcp")
    except (psutil.Error, OSError):  # a system that does not tell
        return 0
    return sum(
        one.status == psutil.CONN_ESTABLISHED and bool(one.laddr) and one.laddr.port == port
        for one in found
    )


_Said = tuple[float, int]


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
