"""Compares a live version of a read model with one that was folded from the log just now.

The live one need not stand still. What seems to differ at a first look may only have changed in
between; so each such member is read once more together with the checkpoint, in one transaction, and
the private version, which nobody else moves, is brought to just that position: what differs then
differs indeed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import redis

from projections.digests import differences, digest, members, plain
from projections.projection import Keyspace

MOST_SUSPECTS = 20_000
"""Members that are looked at twice. Where more seem to differ, the first ones tell enough."""

_MEMBERS_A_PAGE = 1_000
_READS = {b"hash": "HGET", b"set": "SISMEMBER", b"zset": "ZSCORE"}

Value = bytes | float | bool
"""Of a hash's field or of a string, a score, or that a set holds the member."""


class MovedBack(Exception):
    """The live version was emptied, or gave way to another, while it was compared. Ask again."""


class Suspect(NamedTuple):
    """A member of a key, both as they stand in Redis, the key without its prefix. A string's only
    member is empty."""

    key: bytes
    member: bytes


class Discrepancy(msgspec.Struct, frozen=True):
    """A member whose live value is not what the log says; None where it is not there."""

    key: bytes
    member: bytes
    found: Value | None
    expected: Value | None


class Compared(NamedTuple):
    """What a comparison found, in the order of the keys; `position` is where the two versions were
    compared, `keys` how many there are, and `complete` is whether nothing was left aside."""

    discrepancies: list[Discrepancy]
    position: int
    keys: int
    complete: bool


def compare(
    client: redis.Redis, live: Keyspace, private: Keyspace, advance: Callable[[int], None]
) -> Compared:
    """Compare all that two versions hold. `advance` brings the private one up to a position.

    Raises MovedBack, RedisError, and what `advance` raises."""
    position = _reached(client, live, private, advance)
    found, expected = digest(client, live), digest(client, private)
    keys = [difference.key for difference in differences(found, expected)]
    suspects = _suspects(client, live, private, keys)
    discrepancies: list[Discrepancy] = []
    looked_at = 0
    while page := list(islice(suspects, min(_MEMBERS_A_PAGE, MOST_SUSPECTS - looked_at))):
        looked_at += len(page)
        position, different = settled(client, live, private, advance, page)
        discrepancies += different
    complete = next(suspects, None) is None
    return Compared(discrepancies, position, len(expected.keys), complete)


def _reached(
    client: redis.Redis, live: Keyspace, private: Keyspace, advance: Callable[[int], None]
) -> int:
    found: Any = client.get(live.checkpoint)
    position = int(found or 0)
    _advance(client, private, position, advance)
    return position


def _advance(
    client: redis.Redis, private: Keyspace, position: int, advance: Callable[[int], None]
) -> None:
    found: Any = client.get(private.checkpoint)
    if position < int(found or 0):
        raise MovedBack(f"it went back to position {position:,} meanwhile")
    advance(position)


def _suspects(
    client: redis.Redis, live: Keyspace, private: Keyspace, keys: Sequence[bytes]
) -> Iterator[Suspect]:
    for key in keys:
        found, expected = members(client, live, key), members(client, private, key)
        for member in sorted(found.keys() | expected.keys()):
            if found.get(member) != expected.get(member):
                yield Suspect(key, member)


def settled(
    client: redis.Redis,
    live: Keyspace,
    private: Keyspace,
    advance: Callable[[int], None],
    suspects: Sequence[Suspect],
) -> tuple[int, list[Discrepancy]]:
    """Those of some suspects that differ at one position, and that position.

    Raises MovedBack, RedisError, and what `advance` raises."""
    reads = _commands(client, live, suspects)
    checkpoint, *answers = _asked(client, [("GET", live.checkpoint), *reads], together=True)
    position = int(checkpoint or 0)
    _advance(client, private, position, advance)
    pairs = zip(suspects, map(_value, answers), values(client, private, suspects), strict=True)
    return position, [
        Discrepancy(suspect.key, suspect.member, found, expected)
        for suspect, found, expected in pairs
        if not same(found, expected)
    ]


def same(one: Value | None, other: Value | None) -> bool:
    """Whether two values are equal, however Redis keeps them."""
    if isinstance(one, bytes) and isinstance(other, bytes):
        return plain(one) == plain(other)
    return one == other


def values(
    client: redis.Redis, keyspace: Keyspace, suspects: Sequence[Suspect]
) -> list[Value | None]:
    """What a version holds there. Raises RedisError."""
    return [_value(answer) for answer in _asked(client, _commands(client, keyspace, suspects))]


def _value(answer: Any) -> Value | None:
    """SISMEMBER says 0 for what is not there; and a key that changed its type holds nothing."""
    if isinstance(answer, int):
        return True if answer else None
    return None if isinstance(answer, redis.ResponseError) else answer


def _commands(
    client: redis.Redis, keyspace: Keyspace, suspects: Sequence[Suspect]
) -> list[tuple[Any, ...]]:
    """What reads each of them, by the type that its key has in this version."""
    names = {one.key: keyspace.prefix.encode() + one.key for one in suspects}
    kinds = _asked(client, [("TYPE", name) for name in names.values()])
    kind_of = dict(zip(names, kinds, strict=True))
    return [
        (_READS[kind_of[key]], names[key], member)
        if kind_of[key] in _READS
        else ("GET", names[key])
        for key, member in suspects
    ]


def _asked(
    client: redis.Redis, commands: Sequence[tuple[Any, ...]], *, together: bool = False
) -> list[Any]:
    pipeline = client.pipeline(transaction=together)
    for command in commands:
        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
    return pipeline.execute(raise_on_error=False)
