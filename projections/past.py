"""Read models as they were: each folded up to one position, in a keyspace of its own.

A private keyspace is called "<read model>@<position>", or "<read model>@<position>.<stream>" where
only one stream of the log is folded into it. Nobody changes one that has reached its position, so
it is kept for those who ask again, until nobody has asked for a while: its checkpoint expires, and
`sweep` takes the rest away. Whoever reads goes by the checkpoint alone.

Builders are kept apart as workers are: each write is guarded by the checkpoint. While a keyspace is
emptied and filled from a snapshot, the checkpoint is a number below zero that only this builder
knows, so that one that was frozen meanwhile cannot touch what another has begun.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

import redis

from domain.catalog import NAMES
from domain.error_group import ErrorReported
from domain.message import Event, Recorded
from projections.projection import Keyspace, RedisReadModel, Write
from projections.snapshots import Row, write_of

LIFETIME = 600
"""Seconds that a private keyspace stays after the last question."""

AT_ONCE = 2
"""So many keyspaces are being built at a time, by all processes together."""

KEPT = 16
"""So many are kept; the longest unused ones give way."""

CLAIM_SECONDS = 15
"""After this time without a page, a builder is taken for dead."""

PAGE_EVENTS = 2_000
SPARSE_PAGE_EVENTS = 100_000
_ROWS_PER_WRITE = 200
_KEYS_PER_DELETE = 1_000

_CLAIM = """
local now, space, seconds, most = tonumber(redis.call('TIME')[1]), ARGV[1], ARGV[2], ARGV[3]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZSCORE', KEYS[1], space) then return 'building' end
if redis.call('ZCARD', KEYS[1]) >= tonumber(most) then return 'full' end
redis.call('ZADD', KEYS[1], now + seconds, space)
return 'ours'
"""
_STILL = """
redis.call('ZADD', KEYS[1], 'XX', tonumber(redis.call('TIME')[1]) + ARGV[2], ARGV[1])
"""

Claim = Literal["ready", "ours", "building", "full"]


class Overtaken(Exception):
    """Another builder has taken this keyspace over, or it was lost with Redis."""


class Interrupted(Exception):
    """The process that builds is being stopped."""


class Undigested(Exception):
    """A read model cannot fold an event, and so has no past behind it."""


class EventSource(Protocol):
    """What a builder needs of the log."""

    def events(self, after: int, limit: int) -> Sequence[Recorded[Any]]:
        """The next events, without a hole; fewer than `limit` where they are large."""
        ...

    def named(self, after: int, until: int, names: Collection[str]) -> Sequence[Recorded[Any]]:
        """Those of the events up to `until` that have one of these names."""
        ...

    def stream_pages(self, stream_id: UUID, until: int) -> Iterable[Sequence[Recorded[Any]]]:
        """One stream's events up to a position, oldest first, in pages."""
        ...


class Snapshots(Protocol):
    """Where read models begin that need not begin with the first event."""

    def nearest(self, model: RedisReadModel, position: int) -> tuple[int, Iterable[Row]]:
        """A position at or before `position`, and what the read model held there; 0 and nothing
        where there is no snapshot."""
        ...


class NoSnapshots:
    """Every read model begins with the first event."""

    def nearest(self, model: RedisReadModel, position: int) -> tuple[int, Iterable[Row]]:
        """See Snapshots."""
        return 0, ()


class Goal(NamedTuple):
    """A read model as it was after `position`; of one stream alone, if one is named. `sign` keeps
    apart what is built for different ends."""

    model: RedisReadModel
    position: int
    stream: UUID | None = None
    sign: str = "@"

    @property
    def keyspace(self) -> Keyspace:
        """Where it is kept."""
        part = f".{self.stream.hex}" if self.stream else ""
        name = f"{self.model.name}{self.sign}{self.position}{part}"
        return Keyspace(name, self.model.version)


class PastKeyspaces:
    """The private keyspaces of one Redis: which are there, and who may build one.

    `errata:<family>:building` is a sorted set of those that are being built, by the time (Unix, s)
    until which that is believed; `errata:<family>:known` a set of all that there may be."""

    def __init__(
        self,
        client: redis.Redis,
        family: str = "as_of",
        *,
        lifetime: int = LIFETIME,
        at_once: int = AT_ONCE,
        kept: int = KEPT,
    ) -> None:
        self.client: Any = client
        self._in_building = f"errata:{family}:building"
        self._known = f"errata:{family}:known"
        self.lifetime = lifetime
        self._at_once = at_once
        self._kept = kept

    def claim(self, space: Keyspace, position: int) -> Claim:
        """What is to be done for a keyspace: it is "ready", and stays so for its lifetime; or it
        is "ours" to build, another is "building" it, or the places are "full"."""
        if self.position(space) == position and self.client.expire(space.checkpoint, self.lifetime):
            return "ready"
        answer = self.client.eval(
            _CLAIM, 1, self._in_building, space.prefix, CLAIM_SECONDS, self._at_once
        ).decode()
        claim: Claim = answer
        return claim

    def enter(self, space: Keyspace) -> bool:
        """Say that a keyspace is about to be there; whether something may be left of it."""
        return not self.client.sadd(self._known, space.prefix)

    def still(self, space: Keyspace) -> None:
        """Say that somebody is building."""
        self.client.eval(_STILL, 1, self._in_building, space.prefix, CLAIM_SECONDS)

    def release(self, space: Keyspace) -> None:
        """Give a claim back, and make sure that what was built is known."""
        self.client.sadd(self._known, space.prefix)
        self.client.zrem(self._in_building, space.prefix)

    def position(self, space: Keyspace) -> int | None:
        """How far a keyspace has been folded; None where there is none, or it has not begun."""
        found = self.client.get(space.checkpoint)
        return None if found is None or int(found) < 0 else int(found)

    def drop(self, space: Keyspace) -> None:
        """Take a keyspace away that nobody needs any more."""
        self.client.delete(space.checkpoint)
        self._remove(space.prefix)

    def sweep(self) -> int:
        """Take away what has expired, and the longest unused ones of too many; how many went."""
        prefixes = [prefix.decode() for prefix in self.client.smembers(self._known)]
        left = {prefix: self.client.ttl(f"{prefix}checkpoint") for prefix in prefixes}
        by_use = sorted(prefixes, key=lambda prefix: left[prefix], reverse=True)
        idle = [prefix for prefix in by_use[self._kept :] if not self._building(prefix)]
        for prefix in idle:
            self.client.delete(f"{prefix}checkpoint")
        gone = {prefix for prefix in prefixes if left[prefix] < 0 and not self._building(prefix)}
        gone.update(idle)
        for prefix in gone:
            self._remove(prefix)
        return len(gone)

    def _building(self, prefix: str) -> bool:
        return self.client.zscore(self._in_building, prefix) is not None

    def _remove(self, prefix: str) -> None:
        checkpoint = f"{prefix}checkpoint"
        try:
            for keys in _pages(self.client.scan_iter(match=prefix + "*", count=_KEYS_PER_DELETE)):
                guarded(self.client, checkpoint, None, [("UNLINK", *keys)])
        except Overtaken:
            return  # somebody builds it anew
        self.client.srem(self._known, prefix)


class Builder:
    """Builds private keyspaces from a log and snapshots. `still` is called with each page, and may
    raise Interrupted."""

    def __init__(
        self,
        keyspaces: PastKeyspaces,
        log: EventSource,
        snapshots: Snapshots,
        still: Callable[[], None] = lambda: None,
    ) -> None:
        self._keyspaces = keyspaces
        self._client = keyspaces.client
        self._log = log
        self._snapshots = snapshots
        self._still = still

    def build(self, goals: Sequence[Goal]) -> None:
        """Build keyspaces that are claimed: of the same position, and each page of the log is read
        once for all. Raises Overtaken, Undigested, Interrupted, RedisError, and what the log
        raises."""
        try:
            self._build(goals)
        finally:
            for goal in goals:
                self._keyspaces.release(goal.keyspace)

    def _build(self, goals: Sequence[Goal]) -> None:
        at = {goal: self._begin(goal) for goal in goals}
        for goal in goals:
            if goal.stream is not None:
                self._fold_stream(goal)
                at[goal] = goal.position
        while behind := [goal for goal in goals if at[goal] < goal.position]:
            start = min(at[goal] for goal in behind)
            events, reached = self._page(behind, start)
            for goal in behind:
                if at[goal] < reached:
                    new = [one for one in events if one.position > at[goal]]
                    at[goal] = self._fold(goal, at[goal], new, reached)
            self._go_on(goals)

    def _page(self, goals: Sequence[Goal], start: int) -> tuple[Sequence[Recorded[Any]], int]:
        """The next events that matter to the goals, and the position that they reach. Nearly all
        of a log are reports, so who folds none of those is spared them."""
        until = min(goal.position for goal in goals)
        folded = frozenset[type[Event]]().union(*(goal.model.folds for goal in goals))
        if ErrorReported not in folded:
            until = min(until, start + SPARSE_PAGE_EVENTS)
            names = [NAMES[event] for event in folded]
            return self._log.named(start, until, names), until
        events = self._log.events(start, min(PAGE_EVENTS, until - start))
        if not events:
            raise Overtaken(f"the log ends at {start:,}")
        return events, events[-1].position

    def _begin(self, goal: Goal) -> int:
        """Empty a keyspace and fill it from a snapshot; returns where it stands then."""
        space = goal.keyspace
        found = self._client.get(space.checkpoint)
        mark = -1 - secrets.randbits(50)
        self._write(goal, found, [], mark)
        if self._keyspaces.enter(space):
            kept = space.checkpoint.encode()
            scan = self._client.scan_iter(match=space.prefix + "*", count=_KEYS_PER_DELETE)
            for keys in _pages(key for key in scan if key != kept):
                self._write(goal, mark, [("UNLINK", *keys)], mark)
                self._go_on([goal])
        if goal.stream is not None:
            self._write(goal, mark, [], 0)
            return 0
        start, rows = self._snapshots.nearest(goal.model, goal.position)
        for some in _pages(rows, _ROWS_PER_WRITE):
            self._write(goal, mark, [write_of(space, row) for row in some], mark)
            self._go_on([goal])
        self._write(goal, mark, [], start)
        return start

    def _fold_stream(self, goal: Goal) -> None:
        """One stream is folded in pages too; in the end the checkpoint says what it is good for."""
        assert goal.stream is not None
        at = 0
        for events in self._log.stream_pages(goal.stream, goal.position):
            at = self._fold(goal, at, events, events[-1].position)
            self._go_on([goal])
        self._write(goal, at, [], goal.position)

    def _fold(self, goal: Goal, at: int, events: Sequence[Recorded[Any]], reaches: int) -> int:
        try:
            writes = goal.model.fold(goal.keyspace, events)
        except Exception as error:
            reason = f"{goal.model.name} cannot fold what is before {reaches:,}: {error}"
            raise Undigested(reason) from error
        self._write(goal, at, writes, reaches)
        return reaches

    def _go_on(self, goals: Sequence[Goal]) -> None:
        self._still()
        for goal in goals:
            self._keyspaces.still(goal.keyspace)

    def _write(
        self, goal: Goal, expected: bytes | int | None, writes: Sequence[Write], reaches: int
    ) -> None:
        checkpoint = goal.keyspace.checkpoint
        moved: Write = ("SET", checkpoint, reaches, "EX", self._keyspaces.lifetime)
        guarded(self._client, checkpoint, expected, [*writes, moved])


def guarded(
    client: Any, checkpoint: str, expected: bytes | int | None, writes: Sequence[Write]
) -> None:
    """Writes in one transaction, if the checkpoint is as expected (None: absent) and stays so.

    Raises Overtaken, and nothing is written."""
    with client.pipeline(transaction=True) as pipeline:
        pipeline.watch(checkpoint)
        found = pipeline.get(checkpoint)
        if (None if found is None else int(found)) != (None if expected is None else int(expected)):
            raise Overtaken(checkpoint)
        pipeline.multi()
        for write in writes:
            pipeline.execute_command(*write)
        try:
            pipeline.execute()
        except redis.WatchError as error:
            raise Overtaken(checkpoint) from error


def _pages(things: Iterable[Any], size: int = _KEYS_PER_DELETE) -> Iterator[list[Any]]:
    iterator = iter(things)
    while page := list(islice(iterator, size)):
        yield page
