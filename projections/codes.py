"""The read model of error codes: how often each was reported.

    codes:<app>   HASH  <code> -> occurrences; the application is percent-quoted
    group:<id>    HASH  <code> -> what one error has added; the id is 32 hex digits

What is zero is not kept. What an error has added is kept beside the sums because its deletion
takes it out again; occurrences without a code are in neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec
from redis.asyncio import Redis

from domain import error_group
from domain.error_group import ErrorDeleted, ErrorReported
from domain.message import Recorded
from projections.all_events import ALL_EVENTS
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write

_CHANGE = """
local deleted, added = unpack(cmsgpack.unpack(ARGV[1]))
local prefix = ARGV[2]

local function add(key, code, by)
  if redis.call('HINCRBY', key, code, by) == 0 then
    redis.call('HDEL', key, code)
  end
end

-- What goes comes before what comes: an error may do both in one page.
for i = 1, #deleted, 2 do
  local group = prefix .. deleted[i]
  local counts = redis.call('HGETALL', group)
  for k = 1, #counts, 2 do
    add(prefix .. deleted[i + 1], counts[k], -counts[k + 1])
  end
  redis.call('DEL', group)
end
for i = 1, #added, 2 do
  local key, codes = prefix .. added[i], added[i + 1]
  for first = 1, #codes, 2000 do
    local fields, sums = {}, {}
    for k = first, math.min(first + 1999, #codes), 2 do fields[#fields + 1] = codes[k] end
    local found = redis.call('HMGET', key, unpack(fields))
    for k = 1, #fields do
      sums[2 * k - 1], sums[2 * k] = fields[k], (found[k] or 0) + codes[first + 2 * k - 1]
    end
    redis.call('HSET', key, unpack(sums))
  end
end
"""
"""KEYS[1]: the checkpoint, for its slot. ARGV: in MessagePack two flat arrays, (group, application)
of deleted errors and (key, flat array of code and number) to add; the prefix of every key."""


_Sums = defaultdict[str, int]

_Group = tuple[int, str]
"""A stream, as the number that its id is, and its application."""


class Codes(RedisReadModel):
    """Counts the occurrences of each code."""

    name = "codes"
    version = 1
    folds = frozenset({ErrorReported, ErrorDeleted})
    ignores = (ALL_EVENTS - error_group.EVENTS) | error_group.MUTING | error_group.RESOLVING

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The command that brings this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        counts: defaultdict[_Group, _Sums] = defaultdict(_sums)
        deleted: dict[_Group, None] = {}
        for recorded in events:
            match recorded.event:
                case ErrorReported() as event:
                    code = event.occurrence.code
                    if code is not None:
                        counts[recorded.stream_id.int, event.app][code] += 1
                case ErrorDeleted() as event:
                    group = recorded.stream_id.int, event.app
                    counts.pop(group, None)
                    deleted[group] = None
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "codes neither folds nor ignores it")
        if not deleted and not counts:
            return []
        change = ([key for group in deleted for key in _keys(group)], _flat(counts))
        packed = msgspec.msgpack.encode(change)
        return [("EVAL", _CHANGE, 1, keyspace.checkpoint, packed, keyspace.prefix)]


def _flat(counts: Mapping[_Group, _Sums]) -> list[str | list[str | int]]:
    """(key, codes and numbers) of what each error adds to itself and to its application."""
    apps: defaultdict[str, _Sums] = defaultdict(_sums)
    added: list[str | list[str | int]] = []
    for group, codes in counts.items():
        group_key, app_key = _keys(group)
        for code, number in codes.items():
            apps[app_key][code] += number
        added += (group_key, _alternating(codes))
    for app_key, codes in apps.items():
        added += (app_key, _alternating(codes))
    return added


def _sums() -> _Sums:
    return defaultdict(int)


def _alternating(codes: _Sums) -> list[str | int]:
    return [part for pair in codes.items() for part in pair]


def _keys(group: _Group) -> tuple[str, str]:
    stream, app_id = group
    return f"group:{stream:032x}", _app(app_id)


@lru_cache(maxsize=4096)
def _app(app_id: str) -> str:
    return f"codes:{quote(app_id, safe='')}"


class CodeCount(msgspec.Struct, frozen=True):
    """A code and its occurrences."""

    code: str
    count: int


class CodeQueries:
    """Reads one version of the codes."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._prefix = keyspace.prefix

    async def of_app(self, app_id: str) -> list[CodeCount]:
        """All codes of an application: the highest count first, equal ones by the alphabet."""
        found: Any = await self._redis.hgetall(self._prefix + _app(app_id))
        codes = [CodeCount(code.decode(), int(count)) for code, count in found.items()]
        return sorted(codes, key=lambda one: (-one.count, one.code))
