"""Arrays as PostgreSQL takes them in binary, for statements that carry a value of every row.

psycopg makes arrays of any values, element by element, and the text of one has to be read by the
server. For the few types that the log needs, to put the bytes together is several times as fast at
both ends. A connection has to be told of them: `register`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from uuid import UUID

from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

_head = Struct("!iiIii").pack  # dimensions, whether there are NULLs, type, size, first index
_length = Struct("!i").pack
_int4 = Struct("!ii").pack
_int8 = Struct("!iq").pack
_UUID_LENGTH = _length(16)
# The numbers of types, in pg_type.
_UUID, _BYTEA, _TEXT, _INT4, _INT8 = 2950, 17, 25, 23, 20


class Uuids(bytes):
    """An array of type uuid[], as it is sent."""


class ByteStrings(bytes):
    """The same of type bytea[]."""


class Texts(bytes):
    """The same of type text[]."""


class Int4s(bytes):
    """The same of type int[]."""


class Int8s(bytes):
    """The same of type bigint[]."""


def uuids(values: Iterable[UUID]) -> Uuids:
    """UUIDs."""
    return Uuids(_array(_UUID, [_UUID_LENGTH + value.bytes for value in values]))


def byte_strings(values: Iterable[bytes]) -> ByteStrings:
    """Strings of bytes."""
    return ByteStrings(_array(_BYTEA, [_length(len(value)) + value for value in values]))


def texts(values: Iterable[str]) -> Texts:
    """Texts."""
    encoded = [value.encode() for value in values]
    return Texts(_array(_TEXT, [_length(len(value)) + value for value in encoded]))


def int4s(values: Iterable[int]) -> Int4s:
    """Whole numbers of four bytes."""
    return Int4s(_array(_INT4, [_int4(4, value) for value in values]))


def int8s(values: Iterable[int]) -> Int8s:
    """Whole numbers of eight bytes."""
    return Int8s(_array(_INT8, [_int8(8, value) for value in values]))


def _array(element_type: int, elements: Sequence[bytes]) -> bytes:
    if not elements:
        return _head(0, 0, element_type, 0, 0)[:12]
    return b"".join((_head(1, 0, element_type, len(elements), 1), *elements))


class _Sent(Dumper):
    """What is bytes already goes as it is."""

    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


class _UuidsSent(_Sent):
    oid = 2951


class _ByteStringsSent(_Sent):
    oid = 1001


class _TextsSent(_Sent):
    oid = 1009


class _Int4sSent(_Sent):
    oid = 1007


class _Int8sSent(_Sent):
    oid = 1016


def register(context: AdaptContext) -> None:
    """Let a connection send these arrays."""
    adapters = context.adapters
    adapters.register_dumper(Uuids, _UuidsSent)
    adapters.register_dumper(ByteStrings, _ByteStringsSent)
    adapters.register_dumper(Texts, _TextsSent)
    adapters.register_dumper(Int4s, _Int4sSent)
    adapters.register_dumper(Int8s, _Int8sSent)
