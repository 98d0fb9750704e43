"""Cursors: where a page of a list ended, opaque to clients.

A cursor names the last entry, not a number of entries, so a walk neither repeats nor misses a
group while others arrive. It holds a digest of its list, for it means nothing in another one.
"""

from __future__ import annotations

import binascii
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

import msgspec

from projections.error_groups.index import Entry
from projections.error_groups.layout import ErrorFilter, Sort

_SHAPE = struct.Struct(">8sd16s")


def cursor_of(wanted: ErrorFilter, sort: Sort, last: Entry) -> str:
    """The cursor that goes on behind `last`."""
    packed = _SHAPE.pack(_digest(wanted, sort), *last)
    return urlsafe_b64encode(packed).decode().rstrip("=")


def entry_of(cursor: str, wanted: ErrorFilter, sort: Sort) -> Entry:
    """The entry that a cursor goes on behind.

    Raises ValueError for a cursor of another list, and for what is no cursor."""
    try:
        packed = urlsafe_b64decode(cursor.encode("ascii") + b"==")
        unpacked: tuple[bytes, float, bytes] = _SHAPE.unpack(packed)
    except (UnicodeError, binascii.Error, struct.error) as failure:
        raise ValueError("cursor is not one that a list answered") from failure
    digest, score, group = unpacked
    if not score.is_integer():
        raise ValueError("cursor is not one that a list answered")
    if digest != _digest(wanted, sort):
        raise ValueError("cursor belongs to a list with other filters or another sort")
    return score, group


def _digest(wanted: ErrorFilter, sort: Sort) -> bytes:
    return blake2b(msgspec.json.encode((wanted, sort)), digest_size=8).digest()
