"""A read model's keys as rows, and back: what a snapshot holds.

A row is (type, key without the prefix, parts): of a hash field, value, field, value ...; of a
sorted set score, member ...; of a set its members; of a string the one value. Large ones come in
several rows. Rows say what is there and not how one version of Redis keeps it, so a snapshot can be
read by any other; and all of them are absolute, so that writing one twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec
import redis

from projections.projection import Keyspace, Write

PARTS = 1_000
"""Elements in one row, more or less: as many as Redis sends at a time."""

Part = bytes | float


class Row(msgspec.Struct, frozen=True, array_like=True):
    """Some of one key."""

    type: str
    key: bytes
    parts: list[Part]


_COMMANDS = {"hash": "HSET", "zset": "ZADD", "set": "SADD", "string": "SET"}


def rows_of(client: redis.Redis, keyspace: Keyspace, *besides: str) -> Iterator[Row]:
    """All that a keyspace holds, except its checkpoint and the keys `besides`. Nobody may write
    to it meanwhile. Raises TypeError for a type of key that no read model has."""
    prefix = keyspace.prefix.encode()
    apart = {keyspace.checkpoint.encode(), *(key.encode() for key in besides)}
    for keys in _pages(client, keyspace):
        wanted = sorted(keys - apart)
        for key, kind in zip(wanted, _types(client, wanted), strict=True):
            relative = key.removeprefix(prefix)
            for parts in _parts(client, key, kind):
                yield Row(kind, relative, parts)


def write_of(keyspace: Keyspace, row: Row) -> Write:
    """The command that puts a row into a keyspace."""
    return (_COMMANDS[row.type], keyspace.prefix.encode() + row.key, *row.parts)


def _pages(client: redis.Redis, keyspace: Keyspace) -> Iterator[set[bytes]]:
    seen: set[bytes] = set()
    page: set[bytes] = set()
    for key in client.scan_iter(match=keyspace.prefix + "*", count=PARTS):
        if key not in seen:  # SCAN may name a key twice
            seen.add(key)
            page.add(key)
        if len(page) == PARTS:
            yield page
            page = set()
    yield page


def _types(client: redis.Redis, keys: Sequence[bytes]) -> list[str]:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.type(key)
    return [kind.decode() for kind in pipeline.execute()]


def _parts(client: redis.Redis, key: bytes, kind: str) -> Iterator[list[Part]]:
    answer: Any
    if kind == "string":
        answer = client.get(key)
        yield [answer]
        return
    scans: dict[str, Any] = {"hash": client.hscan, "zset": client.zscan, "set": client.sscan}
    if kind not in scans:
        raise TypeError(f"{key!r} is a {kind}, which no snapshot holds")
    cursor = 0
    while True:
        cursor, answer = scans[kind](key, cursor, count=PARTS)
        if kind == "hash":
            found = list(chain.from_iterable(answer.items()))
        elif kind == "zset":
            found = [part for member, score in answer for part in (score, member)]
        else:
            found = list(answer)
        yield from (found[at : at + PARTS] for at in range(0, len(found), PARTS))
        if cursor == 0:
            return
