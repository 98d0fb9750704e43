"""How far each read model has come, as a reader sees it: what lets people read their own writes.

A worker publishes every new position; requests that wait for one go on at that moment. The
checkpoints themselves are looked at four times a second, so a lost message delays nobody for long.

A read model can also go back: Redis was flushed, or restored from an old copy. Until it has
reached again what the log held at that moment it is being rebuilt, and answers from it would be
wrong in silence. `rebuilding` says so.

And another version of it can become the live one. `space` follows as soon as that version has come
as far as the one that was read until then, so that nothing seems to go back.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import monotonic
from typing import NamedTuple

import redis.asyncio as redis
from redis.exceptions import RedisError

from domain.failures import Unavailable
from projections.projection import POSITIONS, Keyspace
from projections.versions import ACTIVE_CHANGED, Standing, as_standing, read_version, standing_keys

POLL_SECONDS = 0.25

FAR_BEHIND = 10_000
"""Events. A read model found further behind than this at the start is taken for one that is being
rebuilt: nobody saw whether it ever was whole."""

CERTAIN_SECONDS = 1.0
"""Seconds after the last look until which the known positions are taken for the true ones."""

Head = Callable[[], Awaitable[int]]
"""Asks the log for the position of its last event; raises Unavailable while the log is away."""


class Rebuild(NamedTuple):
    """A read model on its way back: it has folded `position` of the `target` events it needs."""

    position: int
    target: int


class _Waiter(NamedTuple):
    position: int
    number: int
    reached: asyncio.Future[bool]


class _Watched:
    """One read model: its last known position, its waiters by position, its rebuild's target."""

    def __init__(self, space: Keyspace, serves_from: int) -> None:
        self.space = space
        self.position: int | None = None
        self._code = space.version
        self._serves_from = serves_from
        self.steps_back = 0
        self.target = 0
        self.waiters: list[_Waiter] = []
        self._numbers = 0

    def wanted(self, standing: Standing) -> Keyspace:
        """Where it is to be read."""
        name = self.space.name
        return Keyspace(name, read_version(name, self._code, self._serves_from, standing))

    def read_at(self, space: Keyspace) -> None:
        """Read another version from now on; what was made from this one is of the past."""
        self.space = space
        self.steps_back += 1

    def moved(self, position: int) -> None:
        """Take note of a position, and let go on who waited for it."""
        self.position = position
        if position >= self.target:
            self.target = 0
        while self.waiters and self.waiters[0].position <= position:
            waiter = self.waiters.pop(0)
            if not waiter.reached.done():
                waiter.reached.set_result(True)

    def queue(self, position: int) -> _Waiter:
        """A place in the queue of those who wait for `position`."""
        self._numbers += 1
        waiter = _Waiter(position, self._numbers, asyncio.get_running_loop().create_future())
        insort(self.waiters, waiter)
        return waiter

    def leave(self, waiter: _Waiter) -> None:
        """Give the place up; a read model that stands still must not gather dead waiters."""
        index = bisect_left(self.waiters, waiter)
        if index < len(self.waiters) and self.waiters[index] is waiter:
            del self.waiters[index]


class Positions:
    """The positions of some read models. `start` before use, `stop` after."""

    def __init__(
        self,
        client: redis.Redis,
        keyspaces: Iterable[Keyspace],
        head: Head,
        serves_from: Mapping[str, int] | None = None,
    ) -> None:
        """`keyspaces` are those of the first builds of this code's folds; `serves_from` names,
        where it is not 1, the oldest fold whose data this code can answer from."""
        self._client = client
        self._head = head
        oldest = serves_from or {}
        self._watched = {
            space.name: _Watched(space, oldest.get(space.name, 1)) for space in keyspaces
        }
        self._hurry = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._looked: float | None = None

    async def start(self) -> None:
        """Begin to listen and to look."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._poll())]

    async def stop(self) -> None:
        """Stop listening; waiting requests run into their timeouts."""
        self._stopping = True
        left = {*self._tasks, *filter(None, [self._looking])}
        while left:
            # Again and again: before Python 3.12 wait_for, with which the client sends, may swallow
            # a cancellation, and whoever listens then would go on doing so.
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=0.1)

    @property
    def names(self) -> tuple[str, ...]:
        """The read models that are watched."""
        return tuple(self._watched)

    def space(self, name: str) -> Keyspace:
        """Where a read model is to be read now."""
        return self._watched[name].space

    def position(self, name: str) -> int:
        """The last known position of a read model; 0 before it is known."""
        return self._watched[name].position or 0

    def edition(self, name: str) -> tuple[int, int]:
        """What an answer belongs to that is read from now on: how often the read model was seen
        to go back, and its position. A half rebuilt one may have been read at a known position
        just before anybody noticed; such an answer is of an edition that never comes again."""
        return self._watched[name].steps_back, self.position(name)

    @property
    def certain(self) -> bool:
        """Whether the checkpoints have been read just now; no more so while Redis is away."""
        return self._looked is not None and monotonic() - self._looked < CERTAIN_SECONDS

    def rebuilding(self, name: str) -> Rebuild | None:
        """How far the rebuild of a read model has come; None while it is whole."""
        watched = self._watched[name]
        return Rebuild(watched.position or 0, watched.target) if watched.target else None

    async def wait(self, name: str, position: int, within: float) -> bool:
        """Wait up to `within` seconds until a read model has reached `position`.

        Raises RedisError when Redis cannot be asked."""
        watched = self._watched[name]
        if self.position(name) >= position:
            return True
        waiter = watched.queue(position)
        try:
            async with asyncio.timeout(within):
                await self.look()
                return await waiter.reached
        except TimeoutError:
            return False
        finally:
            watched.leave(waiter)

    async def look(self) -> None:
        """Read all checkpoints now. Callers at the same moment share one look.

        Raises RedisError when Redis cannot be asked."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        watched = list(self._watched.values())
        known = [one.position or 0 for one in watched]
        pipeline = self._client.pipeline(transaction=False)
        for key in standing_keys():
            pipeline.hgetall(key)
        for one in watched:
            pipeline.get(one.space.checkpoint)
        active, kept, *values = await pipeline.execute()
        standing = as_standing(active, kept)
        for one, before, value in zip(watched, known, values, strict=True):
            position = _at(value)
            wanted = one.wanted(standing)
            if wanted != one.space:
                gone_back = position < before
                position = await self._follow(one, wanted, position, gone_back=gone_back)
            await self._saw(one, position)
        self._looked = monotonic()

    async def _follow(
        self, watched: _Watched, wanted: Keyspace, position: int, *, gone_back: bool
    ) -> int:
        """Read the wanted version from now on, if it has come as far as what is known, or if the
        one that was read so far is no more. Returns the position of what is read."""
        there = _at(await self._client.get(wanted.checkpoint))
        if watched.position is None or gone_back or there >= watched.position:
            watched.read_at(wanted)
            return there
        return position

    async def _saw(self, watched: _Watched, position: int) -> None:
        known = watched.position
        if known is None:
            # Without the log nobody can say how far behind this is: look again later.
            with contextlib.suppress(Unavailable):
                head = await self._head()
                if head and (position == 0 or head - position > FAR_BEHIND):
                    watched.target = head
                watched.moved(position)
        elif position < known:
            # Messages run ahead of this look, so a step back is believed only when seen again.
            again = _at(await self._client.get(watched.space.checkpoint))
            if again < known:
                watched.steps_back += 1
                watched.target = max(known, watched.target)
                with contextlib.suppress(Unavailable):
                    watched.target = max(await self._head(), again + 1)
            watched.moved(again)
        elif position > known:
            watched.moved(position)

    async def _poll(self) -> None:
        while not self._stopping:
            with contextlib.suppress(RedisError, OSError):
                await self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._hurry.wait()
            self._hurry.clear()

    async def _listen(self) -> None:
        while not self._stopping:
            with contextlib.suppress(RedisError, OSError):
                async with self._client.pubsub() as channel:
                    await channel.subscribe(POSITIONS)
                    async for message in channel.listen():
                        if message["type"] == "message":
                            self._hear(message["data"])
            await asyncio.sleep(POLL_SECONDS)

    def _hear(self, news: bytes) -> None:
        for line in news.decode().splitlines():
            self._hear_of(line)

    def _hear_of(self, line: str) -> None:
        channel, _, position = line.rpartition(" ")
        name, _, version = channel.rpartition(".v")
        watched = self._watched.get(name)
        if channel == ACTIVE_CHANGED:
            self._hurry.set()
        if watched is None or version != str(watched.space.version):
            return
        if watched.position is not None and int(position) > watched.position:
            watched.moved(int(position))
        else:
            # A position behind the known one may mean that Redis was flushed: look at once.
            watched.steps_back += int(position) < (watched.position or 0)
            self._hurry.set()


def _at(checkpoint: bytes | str | None) -> int:
    """The position a checkpoint stands for: 0 where there is none, or while it is being emptied."""
    return max(int(checkpoint or 0), 0)
