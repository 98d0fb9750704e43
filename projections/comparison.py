"""Compares two versions of a read model while both move on.

Neither stands still for it. First each member of each key is looked at in both, as fast as that
goes; what differs then may only have changed in between. So each such member is asked about once
more, in both versions in one transaction with their checkpoints, until the checkpoints are the
same: what still differs at one position differs indeed. A runner that moves both on does so in one
transaction, so the next look nearly always decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import redis

from projections.digests import What, plain
from projections.projection import Keyspace
from projections.runner import stopped_key

T = TypeVar("T")

_APART_SECONDS = 0.02
_KEYS_A_SCAN = 5_000
"""Keys of any read model that Redis goes through at once, which takes it 4 ms."""

_KEYS_A_PAGE = 200
_MEMBERS_A_PAGE = 500
_SCANS = {b"hash": "HSCAN", b"set": "SSCAN", b"zset": "ZSCAN"}
_SIZES = {b"hash": "HLEN", b"set": "SCARD", b"zset": "ZCARD"}
_LOOKS = {b"hash": "HMGET", b"set": "SMISMEMBER", b"zset": "ZMSCORE"}
_VALUES = {b"hash": "HGET", b"set": "SISMEMBER", b"zset": "ZSCORE"}

_ALIKE_UP_TO = 10_000
"""Members that Redis compares by itself in one go: for some 10 ms it does nothing else."""

_UNALIKE = """
local sizes = {hash = 'HLEN', set = 'SCARD', zset = 'ZCARD'}
local reads = {hash = 'HGETALL', set = 'SMEMBERS'}
local limit = tonumber(ARGV[1])

-- In whatever order Redis keeps them. Sorted sets are kept in the order of their scores.
local function same_members(kind, one, other)
  if not reads[kind] or redis.call('TYPE', other).ok ~= kind then return false end
  local here, there = redis.call(reads[kind], one), redis.call(reads[kind], other)
  if #here ~= #there then return false end
  local found, last = {}, kind == 'hash' and 1 or 0
  for i = 1, #here, 1 + last do found[here[i]] = here[i + last] end
  for i = 1, #there, 1 + last do
    if found[there[i]] ~= there[i + last] then return false end
  end
  return true
end

local looked, members, unalike = 0, 0, {}
while looked < #KEYS / 2 and members < limit do
  local one, other = KEYS[2 * looked + 1], KEYS[2 * looked + 2]
  looked = looked + 1
  local kind = redis.call('TYPE', one).ok
  local count = sizes[kind] and redis.call(sizes[kind], one) or 1
  if count > limit then
    unalike[#unalike + 1] = looked
  else
    members = members + count
    if redis.call('DUMP', one) ~= redis.call('DUMP', other)
        and not same_members(kind, one, other) then
      unalike[#unalike + 1] = looked
    end
  end
end
return {looked, unalike}
"""
"""Of pairs of keys: how many were looked at, and the numbers (from 1) of those that are large or do
not hold the same. What is not told apart here is looked at member by member."""

Command = tuple[Any, ...]


class _Suspect(NamedTuple):
    """A member of a key, without its prefix; of a string, the only one."""

    kind: bytes
    key: bytes
    member: bytes = b""


class Compared(NamedTuple):
    """What a comparison found: the keys that differ, without their prefix, in order, and the
    position at which the last doubt was cleared."""

    differences: list[tuple[bytes, What]]
    position: int


class Versions:
    """Two versions of one read model: the one that is `found`, and the one that is expected.

    `pause` is told how many seconds may pass: none between pages, a few hundredths while the two
    stand at different positions. What it raises ends the comparison."""

    def __init__(
        self,
        client: redis.Redis,
        found: Keyspace,
        expected: Keyspace,
        pause: Callable[[float], None],
    ) -> None:
        self._client = client
        self._found = found
        self._expected = expected
        self._both = (found, expected)
        self._pause = pause
        self._position = 0

    def compare(self) -> Compared:
        """Compare everything but the checkpoints. Raises RedisError, and what `pause` raises."""
        different: set[bytes] = set()
        # What is expected has then been found. Something more has been found only where the sizes
        # differ, so of the other version only those need be read.
        for suspects in (self._suspects(self._expected), self._suspects(self._found)):
            for page in _pages(suspects):
                different |= {one.key for one in self._settle(page)}
        self._settle([])
        return Compared([(key, self._what(key)) for key in sorted(different)], self._position)

    def _suspects(self, space: Keyspace) -> Iterator[_Suspect]:
        """What one version holds that the other seems not to hold."""
        aside = {space.checkpoint.encode(), stopped_key(space).encode()}
        start = len(space.prefix.encode())
        scan = self._client.scan_iter(match=space.prefix + "*", count=_KEYS_A_SCAN)
        for page in _pages((key for key in scan if key not in aside), _KEYS_A_PAGE):
            self._pause(0)
            kinds = self._ask([("TYPE", key) for key in page])
            keys = [(kind, key[start:]) for kind, key in zip(kinds, page, strict=True)]
            there = [key for key in keys if key[0] != b"none"]
            narrow = self._of_other_size if space == self._found else self._unalike
            yield from self._of_keys(space, narrow(there))

    def _unalike(self, keys: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Those of some keys that do not seem to hold the same in both versions. Redis tells
        without sending them, where both live on one server."""
        if isinstance(self._client, redis.RedisCluster):
            return list(keys)
        unalike: list[tuple[bytes, bytes]] = []
        while keys:
            pairs = [_name(space, key) for _, key in keys for space in self._both]
            (told,) = self._ask([("EVAL", _UNALIKE, len(pairs), *pairs, _ALIKE_UP_TO)])
            if isinstance(told, redis.ResponseError):  # it may not dump: all members are looked at
                return [*unalike, *keys]
            looked, numbers = told
            unalike += [keys[number - 1] for number in numbers]
            keys = keys[looked:]
            self._pause(0)
        return unalike

    def _of_other_size(self, keys: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Those of some keys that are of another size in the other version, or may be."""
        sizes = [
            (_SIZES.get(kind, "EXISTS"), _name(space, key))
            for kind, key in keys
            for space in self._both
        ]
        answers = self._at_one_position(sizes)
        return [
            key
            for key, here, there in zip(keys, answers[::2], answers[1::2], strict=True)
            if not _equal(here, there)
        ]

    def _of_keys(self, space: Keyspace, keys: Sequence[tuple[bytes, bytes]]) -> Iterator[_Suspect]:
        """Of a page of keys: those that are one value each, then the others' members in pages."""
        whole = [_Suspect(kind, key) for kind, key in keys if kind not in _SCANS]
        values = self._ask([_read(one, suspect) for suspect in whole for one in self._both])
        for suspect, here, there in zip(whole, values[::2], values[1::2], strict=True):
            if not _equal(here, there):
                yield suspect
        cursors = {(kind, key): 0 for kind, key in keys if kind in _SCANS}
        while cursors:
            scans = [
                (_SCANS[kind], _name(space, key), cursor, "COUNT", _MEMBERS_A_PAGE)
                for (kind, key), cursor in cursors.items()
            ]
            pages = dict(zip(cursors, self._ask(scans), strict=True))
            yield from self._of_pages(space, pages)
            cursors = {key: int(page[0]) for key, page in pages.items() if int(page[0])}
            self._pause(0)

    def _of_pages(
        self, space: Keyspace, pages: Mapping[tuple[bytes, bytes], Any]
    ) -> Iterator[_Suspect]:
        """Those of the members just read that do not look the same in the other version."""
        other = self._found if space == self._expected else self._expected
        members = {
            (kind, key): dict.fromkeys(page, 1) if kind == b"set" else dict(page)
            for (kind, key), (_, page) in pages.items()
            if page
        }
        looks = self._ask(
            [(_LOOKS[kind], _name(other, key), *some) for (kind, key), some in members.items()]
        )
        for ((kind, key), some), values in zip(members.items(), looks, strict=True):
            if isinstance(values, redis.ResponseError):  # it is of another type there
                values = [None] * len(some)
            for (member, here), there in zip(some.items(), values, strict=True):
                if not _equal(here, there):
                    yield _Suspect(kind, key, member)

    def _settle(self, suspects: Sequence[_Suspect]) -> list[_Suspect]:
        """Those of a page of suspects that differ when both versions stand at one position."""
        reads = [_read(space, one) for one in suspects for space in self._both]
        values = self._at_one_position(reads)
        pairs = zip(suspects, values[::2], values[1::2], strict=True)
        return [one for one, here, there in pairs if not _equal(here, there)]

    def _at_one_position(self, reads: Sequence[Command]) -> list[Any]:
        """What some commands answer while both versions stand at the same position."""
        checkpoints: list[Command] = [("GET", space.checkpoint) for space in self._both]
        while True:
            answers = self._ask([*checkpoints, *reads, *checkpoints], together=True)
            positions = {*answers[:2], *answers[-2:]}
            if len(positions) == 1 and None not in positions:
                self._position = int(answers[0])
                return answers[2:-2]
            self._pause(_APART_SECONDS)

    def _what(self, key: bytes) -> What:
        here, there = self._ask(
            [("EXISTS", _name(self._found, key)), ("EXISTS", _name(self._expected, key))]
        )
        return "changed" if here == there else "missing" if there else "unexpected"

    def _ask(self, commands: Sequence[Command], *, together: bool = False) -> list[Any]:
        """Answers to commands; in one transaction if `together`, where all live on one server. An
        answer can be an error: of a key that is of another type in the other version."""
        if not commands:
            return []
        alone = isinstance(self._client, redis.RedisCluster)
        pipeline = self._client.pipeline(transaction=together and not alone)
        for command in commands:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        return pipeline.execute(raise_on_error=False)


def _read(space: Keyspace, suspect: _Suspect) -> Command:
    name = _name(space, suspect.key)
    if suspect.kind in _VALUES:
        return (_VALUES[suspect.kind], name, suspect.member)
    return ("GET", name) if suspect.kind == b"string" else ("LRANGE", name, 0, -1)


def _name(space: Keyspace, key: bytes) -> bytes:
    return space.prefix.encode() + key


def _equal(here: Any, there: Any) -> bool:
    if isinstance(here, bytes) and isinstance(there, bytes):
        return here == there or plain(here) == plain(there)
    return bool(here == there)


def _pages(items: Iterable[T], size: int = _MEMBERS_A_PAGE) -> Iterator[list[T]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page
