"""Rebuilds: who asked for which read models to be built anew, and how far that has come.

They live in Redis, beside what they build: where Redis loses its data, all is built from the log
anyway. One hash holds them, a JSON object each, and the wish to cancel one as a field of its own,
so that the worker that builds and whoever asks never overwrite each other. Every change is one
command or script on that hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
import redis
import redis.asyncio as async_redis

from domain.failures import Conflict
from projections.digests import What
from projections.projection import Keyspace, ReadModel
from projections.versions import (
    BUILT,
    GRACE_SECONDS,
    Standing,
    as_standing,
    build_of,
    code_of,
    own_version,
    standing_keys,
)

REBUILDS = "errata:rebuilds"
"""Redis hash: id -> Rebuild, as JSON; "cancel:<id>" -> who wants it cancelled."""

REMEMBERED = 50
"""So many rebuilds are remembered; the oldest that have ended are forgotten first."""

MOST_DIFFERENCES = 100
"""Of a read model, so many keys that differ are named; all are counted."""

Kind = Literal["rebuild", "rollback", "new version"]
State = Literal[
    "waiting",
    "filling",
    "catching up",
    "comparing",
    "swapping",
    "done",
    "differs",
    "failed",
    "cancelled",
]
MOVED_ON: tuple[State, ...] = ("catching up", "comparing", "swapping")
"""States in which whoever keeps the live version up to date moves the new one on with it."""

ENDED: tuple[State, ...] = ("done", "differs", "failed", "cancelled")

_CANCEL = "cancel:"

_REQUEST = """
local wanted, ended, old = cjson.decode(ARGV[2]), {}, {}
for _, state in ipairs(cjson.decode(ARGV[3])) do ended[state] = true end
for _, text in ipairs(redis.call('HVALS', KEYS[1])) do
  if string.sub(text, 1, 1) == '{' then
    local found = cjson.decode(text)
    if ended[found.state] then
      if not found.to_clear then old[#old + 1] = {found.requested_at, found.id} end
    else
      for _, part in ipairs(found.read_models) do
        for _, name in ipairs(wanted) do
          if part.name == name then return {name, found.id} end
        end
      end
    end
  end
end
table.sort(old, function(a, b) return a[1] > b[1] end)
for i = tonumber(ARGV[4]), #old do
  redis.call('HDEL', KEYS[1], old[i][2], 'cancel:' .. old[i][2])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
return false
"""
"""Keep a new rebuild unless one of its read models is being built already: then the answer is that
read model's name and the rebuild's id. What has ended long ago is forgotten."""

_ASK_TO_CANCEL = """
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then return false end
local state = cjson.decode(text).state
for _, late in ipairs(cjson.decode(ARGV[3])) do
  if state == late then return state end
end
redis.call('HSET', KEYS[1], 'cancel:' .. ARGV[1], ARGV[2])
return 'asked'
"""

_SAVE = """
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text or cjson.decode(text).holder ~= ARGV[2] then return 'lost' end
if ARGV[4] == '0' and redis.call('HEXISTS', KEYS[1], 'cancel:' .. ARGV[1]) == 1 then
  return 'cancelled'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'saved'
"""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One read model of a rebuild: which version shall give way to which, where the new one stands,
    and, once they were compared, how many keys differ and which (without their prefix; `what` is
    missing, unexpected or changed in the live one, as the new one has it)."""

    name: str
    from_version: int | None
    to_version: int
    position: int = 0
    differences: int | None = None
    differing: tuple[tuple[str, What], ...] = ()


class Rebuild(msgspec.Struct, frozen=True, kw_only=True):
    """One rebuild. `position` is that of the part furthest behind, `target` the log's head as it
    was seen last. `holder` is who works on it, `to_clear` whether what it left is yet to go."""

    id: UUID
    kind: Kind
    state: State
    read_models: tuple[Part, ...]
    requested_by: str
    requested_at: datetime
    expect_same: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    position: int = 0
    target: int = 0
    events_per_second: float | None = None
    seconds_left: float | None = None
    compared_at: int | None = None
    reason: str | None = None
    cancelled_by: str | None = None
    holder: str = ""
    to_clear: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state in ENDED


class Rebuilds:
    """What people ask of rebuilds, of some read models by name. All calls raise RedisError."""

    def __init__(self, client: async_redis.Redis, models: Iterable[ReadModel]) -> None:
        self._client = client
        self._codes = {model.name: model.version for model in models}

    @property
    def names(self) -> tuple[str, ...]:
        """The read models that can be rebuilt."""
        return tuple(self._codes)

    async def all(self) -> list[Rebuild]:
        """Those that are remembered, newest first."""
        found: Any = await self._client.hgetall(REBUILDS)
        return decoded(found)

    async def one(self, rebuild_id: UUID) -> Rebuild | None:
        """One by its id."""
        field = str(rebuild_id)
        found: Any = await self._client.hmget(REBUILDS, [field, _CANCEL + field])
        text, cancelled_by = found
        return None if text is None else _decoded(text, cancelled_by)

    async def standing(self) -> Standing:
        """Which versions are live and kept."""
        pipeline = self._client.pipeline(transaction=False)
        for key in standing_keys():
            pipeline.hgetall(key)
        return as_standing(*await pipeline.execute())

    async def request(
        self,
        rebuild_id: UUID,
        names: Sequence[str],
        *,
        by: str,
        at: datetime,
        expect_same: bool = False,
    ) -> Rebuild:
        """Ask for read models to be built anew beside the live ones. Raises Conflict where one is
        being built already, or cannot be."""
        standing = await self.standing()
        for name in names:
            live = standing.active.get(name)
            if live is None or code_of(live) > self._codes[name]:
                reason = "nothing is live yet" if live is None else "a newer Errata serves it"
                raise Conflict(f"{name} cannot be rebuilt: {reason}")
        parts = []
        for name in names:
            number = await self._client.hincrby(BUILT, name, 1)
            build = build_of(self._codes[name], number)
            parts.append(Part(name=name, from_version=standing.active[name], to_version=build))
        return await self._keep(_asked_for(rebuild_id, "rebuild", parts, by, at, expect_same))

    async def roll_back(
        self, rebuild_id: UUID, names: Sequence[str], *, by: str, at: datetime
    ) -> Rebuild:
        """Ask for the versions before the live ones to be live again. Raises Conflict where none is
        kept, or none of this code's fold, or it is being built already."""
        standing = await self.standing()
        parts = []
        for name in names:
            kept = standing.kept.get(name)
            if kept is None or kept.until <= at.timestamp():
                raise Conflict(f"no earlier version of {name} is kept")
            if code_of(kept.version) != self._codes[name]:
                reason = "is of another Errata: only that can keep it up to date"
                raise Conflict(f"the earlier version of {name} {reason}")
            live = standing.active.get(name)
            parts.append(Part(name=name, from_version=live, to_version=kept.version))
        return await self._keep(_asked_for(rebuild_id, "rollback", parts, by, at))

    async def cancel(self, rebuild_id: UUID, *, by: str) -> Rebuild | None:
        """Ask for a rebuild to be given up; None where there is no such one. Raises Conflict where
        it has ended, or is just about to."""
        too_late = msgspec.json.encode([*ENDED, "swapping"])
        answer: Any = await self._client.eval(
            _ASK_TO_CANCEL, 1, REBUILDS, str(rebuild_id), by, too_late
        )
        if answer is not None and answer != b"asked":
            raise Conflict(f"the rebuild cannot be cancelled: it is {answer.decode()}")
        return await self.one(rebuild_id)

    async def _keep(self, rebuild: Rebuild) -> Rebuild:
        busy: Any = await self._client.eval(*request_script(rebuild))
        if busy:
            name, other = (word.decode() for word in busy)
            raise Conflict(f"{name} is being built already, by rebuild {other}")
        return rebuild


def _asked_for(
    rebuild_id: UUID,
    kind: Kind,
    parts: Sequence[Part],
    by: str,
    at: datetime,
    expect_same: bool = False,
) -> Rebuild:
    return Rebuild(
        id=rebuild_id,
        kind=kind,
        state="waiting",
        read_models=tuple(parts),
        requested_by=by,
        requested_at=at,
        expect_same=expect_same,
    )


def request_script(rebuild: Rebuild) -> tuple[Any, ...]:
    """The arguments of the EVAL that keeps a new rebuild; it answers with what is in the way."""
    names = msgspec.json.encode([part.name for part in rebuild.read_models])
    text = msgspec.json.encode(rebuild)
    ended = msgspec.json.encode(ENDED)
    return (_REQUEST, 1, REBUILDS, str(rebuild.id), names, ended, REMEMBERED, text)


def decoded(found: Mapping[bytes, bytes]) -> list[Rebuild]:
    """The rebuilds in the hash, newest first."""
    cancel = _CANCEL.encode()
    rebuilds = [
        _decoded(text, found.get(cancel + field))
        for field, text in found.items()
        if not field.startswith(cancel)
    ]
    return sorted(rebuilds, key=lambda one: (one.requested_at, one.id), reverse=True)


def _decoded(text: bytes, cancelled_by: bytes | None) -> Rebuild:
    rebuild = msgspec.json.decode(text, type=Rebuild)
    by = cancelled_by.decode() if cancelled_by else None
    return msgspec.structs.replace(rebuild, cancelled_by=by)


class Worked(NamedTuple):
    """The versions that a worker moves on: those that are read, and those beside them."""

    live: tuple[Keyspace, ...]
    beside: tuple[Keyspace, ...]


def worked_on(
    models: Iterable[ReadModel], standing: Standing, rebuilds: Iterable[Rebuild], now: float
) -> Worked:
    """What is to be moved on of some read models, by code of these folds. Beside the live versions:
    those that are about to become it, and for a moment those that were it."""
    names = {model.name: model for model in models}
    owned = {name: own_version(name, model.version, standing) for name, model in names.items()}
    live = {Keyspace(name, version) for name, version in owned.items() if version is not None}
    beside = {
        Keyspace(part.name, part.to_version)
        for rebuild in rebuilds
        if rebuild.state in MOVED_ON
        for part in rebuild.read_models
    } | {
        Keyspace(name, kept.version)
        for name, kept in standing.kept.items()
        if now < kept.since + GRACE_SECONDS
    }
    ours = {
        space
        for space in beside - live
        if space.name in names and code_of(space.version) == names[space.name].version
    }
    return Worked(tuple(sorted(live, key=_by_name)), tuple(sorted(ours, key=_by_name)))


def _by_name(space: Keyspace) -> tuple[str, int]:
    return space.name, space.version


class Lost(Exception):
    """Somebody else works on this rebuild now, or it is gone."""


class Cancelled(Exception):
    """Somebody wants the rebuild given up."""


class Site:
    """What the workers ask of rebuilds. All calls raise RedisError."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def look(self) -> tuple[Standing, list[Rebuild]]:
        """Which versions are live and kept, and the rebuilds, newest first."""
        pipeline = self._client.pipeline(transaction=False)
        for key in (*standing_keys(), REBUILDS):
            pipeline.hgetall(key)
        active, kept, found = pipeline.execute()
        return as_standing(active, kept), decoded(found)

    def keep(self, rebuild: Rebuild) -> bool:
        """Keep a new one; False where one of its read models is being built already."""
        return not self._client.eval(*request_script(rebuild))

    def cancel(self, rebuild: Rebuild, *, by: str) -> None:
        """Want a rebuild given up, by whoever works on it."""
        self._client.hset(REBUILDS, f"{_CANCEL}{rebuild.id}", by)

    def take(self, rebuild: Rebuild, holder: str) -> Rebuild:
        """Begin, or go on with, the work on a rebuild: whoever held it before has lost it."""
        taken = msgspec.structs.replace(rebuild, holder=holder)
        self._client.hset(REBUILDS, str(rebuild.id), msgspec.json.encode(taken).decode())
        return taken

    def save(self, rebuild: Rebuild, *, even_if_cancelled: bool = False) -> Rebuild:
        """Say how far a rebuild has come. Raises Cancelled where it shall be given up, and Lost
        where another holds it."""
        text = msgspec.json.encode(rebuild)
        force = "1" if even_if_cancelled else "0"
        answer: Any = self._client.eval(
            _SAVE, 1, REBUILDS, str(rebuild.id), rebuild.holder, text, force
        )
        if answer == b"lost":
            raise Lost
        if answer == b"cancelled":
            raise Cancelled
        return rebuild
