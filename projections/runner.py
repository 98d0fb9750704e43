"""Brings read models up to date: read a page -> fold -> write and checkpoint at once -> announce.

The runner knows neither PostgreSQL nor clocks: it is given a log to read. Read models that stand at
the same position share the page, decoded once, and the transaction: WATCH the checkpoints, MULTI,
all writes and the new checkpoints, EXEC. Where a checkpoint is not where the page started, somebody
else has been there: nothing of that read model is written, and the runner looks again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import msgspec
import redis
import structlog
from redis.exceptions import ExecAbortError

from domain.message import Recorded
from projections.projection import (
    ACTIVE,
    CLEARING,
    POSITIONS,
    Indigestible,
    Keyspace,
    Page,
    RedisReadModel,
    Write,
)

log = structlog.get_logger("errata.runner")

PAGE_EVENTS = 2_000
_KEYS_PER_DELETE = 1_000


class Log(Protocol):
    """What a runner needs of the log."""

    def head(self) -> int:
        """The position of the last committed event."""
        ...

    def events(self, after: int, limit: int) -> Sequence[Recorded[Any]]:
        """The next events, without a hole. Raises Undecodable for one nobody can read."""
        ...


class Undecodable(Exception):
    """An event whose bytes this version cannot read. The events before it, if any, are fine."""

    def __init__(self, position: int, event_id: str, reason: str) -> None:
        super().__init__(f"event {position}: {reason}")
        self.position = position
        self.event_id = event_id
        self.reason = reason


class Stopped(msgspec.Struct, frozen=True):
    """Why a read model stands still, as `/health` and `errata status` show it."""

    name: str
    position: int
    event_id: str
    reason: str


class _Change(NamedTuple):
    """Writes for a read model whose checkpoint must be as expected, and where they bring it: 0
    where they do not move it on."""

    keyspace: Keyspace
    expected: int | None
    writes: Sequence[Write]
    reaches: int = 0


def stopped_key(keyspace: Keyspace) -> str:
    """Where a read model's reason for standing still is kept while it does."""
    return f"{keyspace.prefix}stopped"


def _moved_on(changes: Iterable[_Change]) -> list[Write]:
    """What says that read models have moved on: a command of each kind for all of them together,
    as most pages mean nothing to most read models but this."""
    spaces = [(change.keyspace, change.reaches) for change in changes if change.reaches]
    if not spaces:
        return []
    news = "\n".join(f"{space.name}.v{space.version} {reaches}" for space, reaches in spaces)
    checkpoints = [part for space, reaches in spaces for part in (space.checkpoint, reaches)]
    return [
        # Whoever moves on says so, for it may have been another worker that stood still.
        ("DEL", *(stopped_key(space) for space, _ in spaces)),
        ("MSET", *checkpoints),
        ("PUBLISH", POSITIONS, news),
    ]


class Runner:
    """Runs some read models against one log."""

    def __init__(
        self,
        log_source: Log,
        client: redis.Redis,
        read_models: Sequence[RedisReadModel],
        *,
        live: Iterable[Keyspace] | None = None,
        beside: Iterable[Keyspace] = (),
        page_events: int = PAGE_EVENTS,
        observe: Callable[[str, int], None] = lambda name, position: None,
    ) -> None:
        """`live` are the versions that are read, one or none of each read model; without it, the
        first builds. `beside` are others of the same read models, which are only moved on: they
        are begun, emptied and announced by whoever builds them."""
        self._log = log_source
        self._redis = client
        models = {model.name: model for model in read_models}
        self._live = [model.keyspace() for model in read_models] if live is None else list(live)
        self._models = {space: models[space.name] for space in (*self._live, *beside)}
        self._page_events = page_events
        self._observe = observe
        self.stopped: dict[str, Stopped] = {}

    def announce_versions(self) -> None:
        """Make the code's versions the live ones where no version is live yet."""
        for keyspace in self._live:
            self._redis.hsetnx(ACTIVE, keyspace.name, keyspace.version)

    def positions(self) -> dict[Keyspace, int | None]:
        """Where each live version stands, as its checkpoint says; None where there is none."""
        return self._positions(self._live)

    def _positions(self, spaces: Iterable[Keyspace]) -> dict[Keyspace, int | None]:
        spaces = tuple(spaces)
        pipeline = self._redis.pipeline(transaction=False)
        for keyspace in spaces:
            pipeline.get(keyspace.checkpoint)
        values = pipeline.execute()
        return {
            space: None if value is None else int(value)
            for space, value in zip(spaces, values, strict=True)
        }

    def step(self) -> bool:
        """One page for every read model that is behind. Returns whether any moved."""
        # The head comes second: a checkpoint that another worker moves on meanwhile must not seem
        # to be ahead of the log.
        positions = self._positions(self._models)
        head = self._log.head()
        at: dict[int, list[Keyspace]] = defaultdict(list)
        moved = False
        for keyspace, position in positions.items():
            if position is None or not 0 <= position <= head:
                if keyspace not in self._live:
                    continue
                moved = self._start_over(keyspace, position) or moved
            elif position < head:
                at[position].append(keyspace)
        for position, keyspaces in sorted(at.items()):
            moved = self._advance(position, keyspaces) or moved
        return moved

    def _advance(self, position: int, keyspaces: Sequence[Keyspace]) -> bool:
        try:
            events = self._log.events(position, self._page_events)
        except Undecodable as error:
            for keyspace in keyspaces:
                self._stop(keyspace, error.position, error.event_id, error.reason)
            return False
        if not events:
            return False
        page = Page(position, events[-1].position, tuple(events))
        # Most pages hold nothing but what most read models ignore.
        kinds = {type(recorded.event) for recorded in events}
        changes = [
            _Change(keyspace, page.start, (), page.end)
            if kinds <= self._models[keyspace].ignores
            else self._fold(keyspace, page)
            for keyspace in keyspaces
        ]
        return self._move_on([change for change in changes if change is not None])

    def _fold(self, keyspace: Keyspace, page: Page) -> _Change | None:
        """What a page does to a read model; up to before the event that it cannot digest, if any,
        and None where that is the very first."""
        try:
            writes = self._models[keyspace].fold(keyspace, page.events)
        except Exception as error:  # noqa: BLE001 - any of them stops this read model alone
            bad, reason = self._culprit(keyspace, page, error)
            before = tuple(event for event in page.events if event.position < bad.position)
            if before:
                return self._fold(keyspace, Page(page.start, bad.position - 1, before))
            self._stop(keyspace, bad.position, str(bad.event_id), reason)
            return None
        return _Change(keyspace, page.start, writes, page.end)

    def _culprit(
        self, keyspace: Keyspace, page: Page, error: Exception
    ) -> tuple[Recorded[Any], str]:
        """The event at which a fold failed, and why. A fold that failed by a mistake of its own
        does not name the event: the first that fails alone is it, or else the page's first."""
        if isinstance(error, Indigestible):
            return error.recorded, error.reason
        for recorded in page.events:
            try:
                self._models[keyspace].fold(keyspace, (recorded,))
            except Exception as alone:  # noqa: BLE001
                return recorded, f"{type(alone).__name__}: {alone}"
        return page.events[0], f"{type(error).__name__}: {error}"

    def _move_on(self, changes: Sequence[_Change]) -> bool:
        """Write what was folded. All read models go in one transaction, as each costs two round
        trips; on a cluster, where they live on different slots, each needs one of its own."""
        alone = isinstance(self._redis, redis.RedisCluster)
        groups = [[change] for change in changes] if alone else [changes]
        written = [change for group in groups if group for change in self._guarded(group)]
        for change in written:
            if change.keyspace in self._live:
                self.stopped.pop(change.keyspace.name, None)
                self._observe(change.keyspace.name, change.reaches)
        return bool(written)

    def _guarded(self, changes: Sequence[_Change]) -> Sequence[_Change]:
        """Send changes as one transaction, those whose checkpoint is, and stays, as they expect
        it; returns them."""
        checkpoints = [change.keyspace.checkpoint for change in changes]
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.watch(*checkpoints)  # type: ignore[no-untyped-call]
            found: Any = pipeline.mget(checkpoints)
            current = [
                change
                for change, at in zip(changes, found, strict=True)
                if (None if at is None else int(at)) == change.expected
            ]
            if not current:
                return ()
            pipeline.multi()
            folded = chain.from_iterable(change.writes for change in current)
            for write in chain(folded, _moved_on(current)):
                pipeline.execute_command(*write)  # type: ignore[no-untyped-call]
            try:
                pipeline.execute()
            except redis.WatchError:
                return ()
            except ExecAbortError:
                raise  # refused as a whole, such as for want of memory: nothing was written
            except redis.ResponseError as error:
                self._half_written(current, error)
                return ()
        return current

    def _half_written(self, changes: Sequence[_Change], error: redis.ResponseError) -> None:
        """Redis does not undo a transaction in which one command failed. What it left behind fits
        no position, so those read models are built again."""
        names = [change.keyspace.name for change in changes]
        log.critical("a write failed, building again", read_models=names, reason=str(error))
        for change in changes:
            self._alone(
                change.keyspace, change.reaches, ("SET", change.keyspace.checkpoint, CLEARING)
            )

    def _alone(self, keyspace: Keyspace, expected: int | None, *writes: Write) -> bool:
        return bool(self._guarded([_Change(keyspace, expected, writes)]))

    def _start_over(self, keyspace: Keyspace, position: int | None) -> bool:
        """Empty a read model that has no checkpoint, or one ahead of the log (another log's).

        The checkpoint says CLEARING meanwhile, and each deletion is guarded by it, so that a
        worker that was frozen in the middle cannot delete what another has begun to build.
        """
        if position != CLEARING:
            if self._log.head():  # on the first start there is nothing to build
                log.info("building from the start", read_model=keyspace.name, position=position)
            self.announce_versions()
            return self._alone(keyspace, position, ("SET", keyspace.checkpoint, CLEARING))
        kept = keyspace.checkpoint.encode()
        keys: list[bytes] = []
        for key in self._redis.scan_iter(match=keyspace.prefix + "*", count=1_000):
            if key != kept:
                keys.append(key)
            if len(keys) == _KEYS_PER_DELETE:
                if not self._alone(keyspace, CLEARING, ("UNLINK", *keys)):
                    return False
                keys.clear()
        last: list[Write] = [("UNLINK", *keys)] if keys else []
        return self._alone(keyspace, CLEARING, *last, ("SET", keyspace.checkpoint, 0))

    def _stop(self, keyspace: Keyspace, position: int, event_id: str, reason: str) -> None:
        stopped = Stopped(keyspace.name, position, event_id, reason)
        if keyspace in self._live:
            if self.stopped.get(keyspace.name) != stopped:
                log.error("read model stopped", **msgspec.structs.asdict(stopped))
            self.stopped[keyspace.name] = stopped
        # Said again each time, as Redis may have lost it, and only while nobody has moved on.
        said: Write = ("SET", stopped_key(keyspace), msgspec.json.encode(stopped))
        self._alone(keyspace, position - 1, said)
