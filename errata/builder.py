"""Carries out one rebuild: fill the new versions, catch up, compare, let them take the old ones'
place.

Each step is said before it is done, so that another worker goes on where this one was killed: what
is filled stays filled, and steps are the same when done twice. The live versions are only read,
until one command makes the new ones live, all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from time import monotonic, time
from typing import Any

import msgspec
import redis
import structlog

from errata.folding import Here, Source, folders
from infra.clock import utc_now
from projections.comparison import Versions
from projections.filling import Folder, Overtaken, fill
from projections.projection import ACTIVE, CLEARING, POSITIONS, Keyspace, RedisReadModel
from projections.rebuilds import MOST_DIFFERENCES, Cancelled, Part, Rebuild, Site, State
from projections.registry import READ_MODELS
from projections.runner import Stopped, stopped_key
from projections.versions import ACTIVE_CHANGED, GRACE_SECONDS, KEPT, Kept, code_of

log = structlog.get_logger("errata.rebuilds")

SAY_SECONDS = 0.25
"""How often the progress is said."""

NEAR_EVENTS = 1_000
"""So near to the log's head, a version is left to whoever moves the live one on."""

DROP_AFTER_SECONDS = GRACE_SECONDS
"""Nobody reads a version any more that gave way so long ago."""

POLL_SECONDS = 0.02
_KEYS_PER_DELETE = 1_000

_SWAP = """
for i = 1, #ARGV, 3 do
  local live = redis.call('HGET', KEYS[1], ARGV[i])
  if live ~= ARGV[i + 1] and live ~= ARGV[i + 2] then return ARGV[i] end
end
for i = 1, #ARGV, 3 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
return false
"""
"""ARGV: name, version that gives way, version that takes its place, for each read model. All or
none; where another version is live by now, the answer is that read model's name."""

_FORGET = """
local text = redis.call('HGET', KEYS[1], ARGV[1])
if text and cjson.decode(text).version == tonumber(ARGV[2]) then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
"""


@contextmanager
def _just_here(source: Source, models: Sequence[RedisReadModel]) -> Iterator[Sequence[Folder]]:
    with closing(Here(source, models)) as here:
        yield [here]


class Failed(Exception):
    """The rebuild cannot be finished; the text says why."""


class Differs(Exception):
    """The versions differ, and the rebuild was only wanted if they do not."""


class Builder:
    """Works on one rebuild. `pause` is called often: it returns after so many seconds, and raises
    where this worker must not go on."""

    def __init__(
        self,
        client: redis.Redis,
        source: Source,
        models: Mapping[str, RedisReadModel],
        rebuild: Rebuild,
        *,
        head: Callable[[], int],
        pause: Callable[[float], None],
        keep_seconds: float,
    ) -> None:
        self._client = client
        self._source = source
        self._models = [models[part.name] for part in rebuild.read_models]
        self._site = Site(client)
        self._rebuild = rebuild
        self._head = head
        self._pause_for = pause
        self._keep_seconds = keep_seconds
        self._said = 0.0
        self._began = (monotonic(), 0)

    def run(self) -> Rebuild:
        """Do what is left to do; returns the rebuild, which has ended.

        Raises Lost where somebody else works on it, RedisError, and what `pause` raises."""
        try:
            if not self._rebuild.ended:
                self._build()
        except Cancelled:
            self._end("cancelled")
        except Differs as difference:
            self._end("differs", str(difference))
        except Failed as failure:
            self._end("failed", str(failure))
        if self._rebuild.to_clear:
            self._clear()
        log.info(
            "rebuild ended",
            rebuild=str(self._rebuild.id),
            state=self._rebuild.state,
            reason=self._rebuild.reason,
            read_models=[part.name for part in self._rebuild.read_models],
        )
        return self._rebuild

    def _build(self) -> None:
        if self._rebuild.state == "waiting":
            self._begin()
        while self._rebuild.state != "swapping":
            self._fill()
            if self._catch_up():
                if self._rebuild.kind == "rebuild":
                    self._compare()
                self._say(state="swapping")
        self._swap()

    # -- the steps --------------------------------------------------------------------------------

    def _begin(self) -> None:
        log.info(
            "rebuild begins",
            rebuild=str(self._rebuild.id),
            kind=self._rebuild.kind,
            requested_by=self._rebuild.requested_by,
            read_models=[f"{part.name}.v{part.to_version}" for part in self._rebuild.read_models],
        )
        self._say(state="filling", started_at=utc_now())

    def _fill(self) -> None:
        """Bring the new versions near to the log's head."""
        began = False
        while True:
            for space in self._spaces():
                self._prepare(space)
            if not began:
                self._began, began = (monotonic(), min(self._positions())), True
            if self._behind() <= NEAR_EVENTS:
                break
            if self._rebuild.state != "filling":
                self._say(state="filling")
            try:
                self._fill_up_to(self._head())
            except Overtaken:
                self._pause()  # a runner has moved it on that had not heard yet
        self._say(state="catching up")

    def _fill_up_to(self, until: int) -> None:
        with self._folders() as these:
            reason = fill(self._client, self._spaces(), until, these, progress=self._filled)
        if reason is not None:
            raise Failed(reason)

    def _folders(self) -> AbstractContextManager[Sequence[Folder]]:
        if all(model in READ_MODELS for model in self._models):
            return folders(self._source, self._behind())
        return _just_here(self._source, self._models)

    def _prepare(self, space: Keyspace) -> None:
        """A version that is not begun, or was half written, starts from nothing."""
        found: Any = self._client.get(space.checkpoint)
        if found is None or int(found) == CLEARING:
            delete(self._client, space)
            self._client.set(space.checkpoint, 0)

    def _catch_up(self) -> bool:
        """Wait until the new versions, moved on beside the live ones, have come as far as those.
        False where one must be filled again."""
        while True:
            for reason in filter(None, self._asked([stopped_key(one) for one in self._spaces()])):
                stopped = msgspec.json.decode(reason, type=Stopped)
                raise Failed(f"event {stopped.position} cannot be folded: {stopped.reason}")
            positions = self._positions()
            if min(positions) < 0:
                return False
            if all(map(int.__ge__, positions, self._live_positions())):
                return True
            self._pause()

    def _compare(self) -> None:
        """Say where the live versions differ from the new ones."""
        self._say(state="comparing")
        parts: list[Part] = []
        for part in self._rebuild.read_models:
            if part.from_version is None or code_of(part.from_version) != code_of(part.to_version):
                parts.append(part)  # another fold's contents are expected to differ
                continue
            compared = Versions(
                self._client,
                Keyspace(part.name, part.from_version),
                Keyspace(part.name, part.to_version),
                self._pause,
            ).compare()
            named = tuple(
                (key.decode(errors="backslashreplace"), what)
                for key, what in compared.differences[:MOST_DIFFERENCES]
            )
            parts.append(
                msgspec.structs.replace(
                    part, differences=len(compared.differences), differing=named
                )
            )
            self._say(compared_at=compared.position)
        self._say(read_models=tuple(parts))
        different = [part.name for part in parts if part.differences]
        if different and self._rebuild.expect_same:
            raise Differs(f"not the same as the live version: {', '.join(different)}")

    def _swap(self) -> None:
        """Make the new versions live, and keep the old ones."""
        self._make_room()
        now = time()
        arguments: list[str] = []
        for part in self._rebuild.read_models:
            if part.from_version is not None:
                kept = Kept(part.from_version, now, now + self._keep_seconds)
                self._client.hset(KEPT, part.name, msgspec.json.encode(kept).decode())
            arguments += [part.name, str(part.from_version or ""), str(part.to_version)]
        other: Any = self._client.eval(_SWAP, 1, ACTIVE, *arguments)
        if other:
            raise Failed(f"another version of {other.decode()} has become the live one")
        self._client.publish(POSITIONS, f"{ACTIVE_CHANGED} 0")
        self._end("done")

    def _make_room(self) -> None:
        """What was kept before goes, and not earlier: after a rebuild that comes to nothing, the
        way back is as open as before."""
        kept = self._site.look()[0].kept
        for part in self._rebuild.read_models:
            old = kept.get(part.name)
            if old is None or old.version in (part.from_version, part.to_version):
                continue
            while time() < old.since + DROP_AFTER_SECONDS:
                self._pause()
            drop(self._client, Keyspace(part.name, old.version))

    # -- how far it is ----------------------------------------------------------------------------

    def _spaces(self) -> list[Keyspace]:
        return [Keyspace(part.name, part.to_version) for part in self._rebuild.read_models]

    def _positions(self) -> list[int]:
        """Where the new versions stand; below zero for one that is not there as it should be."""
        found: Any = self._asked([space.checkpoint for space in self._spaces()])
        return [CLEARING if at is None else int(at) for at in found]

    def _live_positions(self) -> list[int]:
        parts = self._rebuild.read_models
        keys = [Keyspace(part.name, part.from_version or 0).checkpoint for part in parts]
        return [int(at or 0) for at in self._asked(keys)]

    def _asked(self, keys: Sequence[str]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.get(key)
        return pipeline.execute()

    def _behind(self) -> int:
        return self._head() - min(self._positions())

    def _filled(self, position: int) -> None:
        self._pause(0)

    def _pause(self, seconds: float = POLL_SECONDS) -> None:
        """Let a moment pass, and now and then say how far it is. Raises Cancelled, Lost."""
        self._pause_for(seconds)
        if monotonic() >= self._said + SAY_SECONDS:
            self._say()

    def _say(self, **changes: Any) -> None:
        """Keep the rebuild with these changes, and where it is. Raises Cancelled, Lost."""
        self._said = monotonic()
        self._rebuild = self._site.save(self._with(**changes))

    def _with(self, **changes: Any) -> Rebuild:
        positions = [max(at, 0) for at in self._positions()]
        parts = changes.pop("read_models", self._rebuild.read_models)
        parts = tuple(
            msgspec.structs.replace(part, position=position)
            for part, position in zip(parts, positions, strict=True)
        )
        at, target = min(positions), self._head()
        since, start = self._began
        seconds = monotonic() - since
        # A rollback folds next to nothing: what it has moved over is no speed.
        moving = at > start and seconds > 0 and self._rebuild.kind != "rollback"
        rate = (at - start) / seconds if moving else None
        return msgspec.structs.replace(
            self._rebuild,
            read_models=parts,
            position=at,
            target=target,
            events_per_second=round(rate, 1) if rate else self._rebuild.events_per_second,
            seconds_left=round((target - at) / rate, 1) if rate else None,
            **changes,
        )

    # -- the end ----------------------------------------------------------------------------------

    def _end(self, state: State, reason: str | None = None) -> None:
        """It is over; unless it went well, what it has built goes."""
        ended = self._with(
            state=state,
            reason=reason,
            finished_at=utc_now(),
            to_clear=state != "done" and self._rebuild.kind != "rollback",
        )
        ended = msgspec.structs.replace(ended, seconds_left=None)
        self._rebuild = self._site.save(ended, even_if_cancelled=True)

    def _clear(self) -> None:
        """Delete what was built and is not wanted."""
        live = self._site.look()[0].active
        for space in self._spaces():
            if live.get(space.name) != space.version:
                delete(self._client, space)
        cleared = msgspec.structs.replace(self._rebuild, to_clear=False)
        self._rebuild = self._site.save(cleared, even_if_cancelled=True)


def drop(client: redis.Redis, space: Keyspace) -> None:
    """Delete a version that was kept, and only then forget it: who is killed in between leaves the
    rest to the next. Raises RedisError."""
    delete(client, space)
    client.eval(_FORGET, 1, KEPT, space.name, str(space.version))
    log.info("dropped", read_model=space.name, version=space.version)


def delete(client: redis.Redis, space: Keyspace) -> None:
    """Delete a version, its checkpoint first: nobody moves it on without. Raises RedisError."""
    client.delete(space.checkpoint)
    keys: list[bytes] = []
    for key in client.scan_iter(match=space.prefix + "*", count=1_000):
        keys.append(key)
        if len(keys) == _KEYS_PER_DELETE:
            client.unlink(*keys)
            keys.clear()
    if keys:
        client.unlink(*keys)
