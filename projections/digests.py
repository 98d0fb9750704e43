"""What a version of a read model holds, as one number for each key: two versions that were folded
from the same events have the same numbers, whatever order Redis keeps their members in.

Whoever asks makes sure that the read model stands still meanwhile. Its checkpoint and its reason
for standing still are left out: they say where it is, not what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Literal

import msgspec
import redis

from projections.projection import Keyspace
from projections.runner import stopped_key

Content = dict[bytes, Any]
"""What a key holds: field -> value of a hash, member -> True of a set, member -> score of a sorted
set, b"" -> value of a string."""

_Keep = Callable[[bytes, Any], Any]
"""Member and value -> what is kept of the value."""

What = Literal["missing", "unexpected", "changed"]

_KEYS_A_PAGE = 1_000
_MEMBERS_A_PAGE = 1_000
_BITS = 128
_REGISTERS = 1 << 14
_HYPERLOGLOG = b"HYLL"
_HEADER = 16  # of a HyperLogLog: magic, encoding, and the last estimate


class Difference(msgspec.Struct, frozen=True):
    """A key, without its prefix, that is not as expected: it is missing, nobody expected it, or
    it holds something else."""

    key: bytes
    what: What


class Digest(msgspec.Struct, frozen=True):
    """The number of each key of a version, by the key without its prefix."""

    keys: dict[bytes, int]

    @property
    def total(self) -> str:
        """One number for all of it, 32 hex digits; equal only where all keys are."""
        return f"{_sum(_hashed(key, number) for key, number in self.keys.items()):032x}"


def digest(client: redis.Redis, keyspace: Keyspace) -> Digest:
    """Read a version, a page of keys at a time. It must stand still. Raises RedisError."""
    start = len(keyspace.prefix.encode())
    found: dict[bytes, int] = {}
    for keys in _pages(client, keyspace):
        for key, members in zip(keys, _contents(client, keys, _hashed), strict=True):
            if members:  # else it has gone since its name was read
                found[key[start:]] = _sum(members.values())
    return Digest(found)


def differences(found: Digest, expected: Digest) -> list[Difference]:
    """The keys in which two versions differ, in the order of the keys; empty where they are
    equal."""
    different: list[Difference] = []
    for key in sorted(found.keys.keys() | expected.keys.keys()):
        if key not in found.keys:
            different.append(Difference(key, "missing"))
        elif key not in expected.keys:
            different.append(Difference(key, "unexpected"))
        elif found.keys[key] != expected.keys[key]:
            different.append(Difference(key, "changed"))
    return different


def content(client: redis.Redis, keyspace: Keyspace, key: bytes) -> Content:
    """All that a key holds, by its name without the prefix; empty for one that is not there."""
    (found,) = _contents(client, [keyspace.prefix.encode() + key], lambda name, value: value)
    return found


def members(client: redis.Redis, keyspace: Keyspace, key: bytes) -> dict[bytes, int]:
    """The number of each member of a key, by the key's name without the prefix."""
    (found,) = _contents(client, [keyspace.prefix.encode() + key], _hashed)
    return found


def _pages(client: redis.Redis, keyspace: Keyspace) -> Iterator[list[bytes]]:
    """The keys of a version, each once, though Redis may name one twice."""
    seen = {keyspace.checkpoint.encode(), stopped_key(keyspace).encode()}
    page: list[bytes] = []
    for key in client.scan_iter(match=keyspace.prefix + "*", count=_KEYS_A_PAGE):
        if key in seen:
            continue
        seen.add(key)
        page.append(key)
        if len(page) == _KEYS_A_PAGE:
            yield page
            page = []
    if page:
        yield page


def _contents(client: redis.Redis, keys: Sequence[bytes], keep: _Keep) -> list[dict[bytes, Any]]:
    """What some keys hold, in pages, so that no command blocks Redis for long: by member, what is
    to be kept of its value."""
    kinds = _pipelined(client, (("TYPE", key) for key in keys))
    found: list[dict[bytes, Any]] = [{} for _ in keys]
    cursors = {number: 0 for number, kind in enumerate(kinds) if kind != b"none"}
    while cursors:
        reads = [_read(kinds[number], keys[number], at) for number, at in cursors.items()]
        answers = zip(list(cursors), _pipelined(client, reads), strict=True)
        for number, answer in answers:
            cursors[number], members = _page(kinds[number], answer)
            found[number] |= {name: keep(name, value) for name, value in members.items()}
        cursors = {number: cursor for number, cursor in cursors.items() if cursor}
    return found


def _read(kind: bytes, key: bytes, cursor: int) -> tuple[Any, ...]:
    """The command that reads the next page of a key."""
    if kind == b"string":
        return ("GET", key)
    scans = {b"hash": "HSCAN", b"set": "SSCAN", b"zset": "ZSCAN"}
    return (scans[kind], key, cursor, "COUNT", _MEMBERS_A_PAGE)


def _page(kind: bytes, answer: Any) -> tuple[int, Content]:
    """The next page's cursor, 0 after the last, and what is on this page."""
    if kind == b"string":
        return 0, {} if answer is None else {b"": answer}
    cursor, members = answer
    return int(cursor), dict.fromkeys(members, True) if kind == b"set" else dict(members)


def _pipelined(client: redis.Redis, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
    return pipeline.execute()


def _hashed(name: bytes, value: Any) -> int:
    """The number of a member with its value, or of a key with its own number."""
    text = value if isinstance(value, bytes) else repr(value).encode()
    if not name:
        text = plain(text)
    length = len(name).to_bytes(4)
    return int.from_bytes(blake2b(length + name + text, digest_size=_BITS // 8).digest())


def plain(text: bytes) -> bytes:
    """A string without how it happens to be kept, which matters for HyperLogLogs."""
    return _registers(text) if text.startswith(_HYPERLOGLOG) else text


def _sum(numbers: Iterable[int]) -> int:
    """In any order; not xor, in which a pair of equals would vanish."""
    return sum(numbers) % (1 << _BITS)


def _registers(value: bytes) -> bytes:
    """A HyperLogLog without how it happens to be kept: short ones are kept in runs, which depend
    on the order of what was added. See the comment at the top of Redis's hyperloglog.c."""
    body = value[_HEADER:]
    if value[len(_HYPERLOGLOG) :].startswith(b"\0"):  # kept in full
        return _unpacked(body)
    registers = bytearray()
    at = 0
    while at < len(body):
        code = body[at]
        at += 1
        if code & 0x80:
            registers += bytes([(code >> 2 & 31) + 1]) * ((code & 3) + 1)
        elif code & 0x40:
            registers += bytes(((code & 63) << 8 | int.from_bytes(body[at : at + 1])) + 1)
            at += 1
        else:
            registers += bytes((code & 63) + 1)
    return bytes(registers)


def _unpacked(body: bytes) -> bytes:
    """Registers of six bits, the least significant first, as bytes; four of them are in three."""
    registers = bytearray()
    for at in range(0, _REGISTERS * 6 // 8, 3):
        word = int.from_bytes(body[at : at + 3], "little")
        registers += bytes((word & 63, word >> 6 & 63, word >> 12 & 63, word >> 18))
    return bytes(registers)
