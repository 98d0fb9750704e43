"""Values in PostgreSQL's binary COPY format (its documentation, "COPY", "Binary Format"): a row is
the number of its fields, then each field's length and bytes, big-endian.

An array of a column's values in an INSERT costs a worker five times as much.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from struct import Struct

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
_HEADER = _SIGNATURE + bytes(8)  # no flags, no extension
_END = b"\xff\xff"

_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_length = Struct("!i").pack
_moment = Struct("!iq").pack


def copied(rows: Iterable[bytes]) -> bytes:
    """All that COPY is sent for some rows."""
    return b"".join((_HEADER, *rows, _END))


def text_field(value: str | None) -> bytes:
    """A field of type text."""
    if value is None:
        return _NULL
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def moment_field(time: datetime) -> bytes:
    """A field of type timestamptz, of an aware time: microseconds since 2000 in UTC."""
    return _moment(8, (time - _EPOCH) // _MICROSECOND)
