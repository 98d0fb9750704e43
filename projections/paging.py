"""Pages of small lists: all of a list is in memory, and one page of it is wanted.

A cursor names the last entry of a page, not a number of entries, so a walk neither repeats nor
misses one while others come and go. It holds a digest of its list, for it means nothing in another.
"""

from __future__ import annotations

import binascii
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

_SHAPE = struct.Struct(">8sq16s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Place = tuple[int, bytes]
"""Where an entry stands: microseconds since 1970 at its creation, then its id."""


class Aged(Protocol):
    """What a list can hold."""

    @property
    def id(self) -> UUID:
        """Its id."""

    @property
    def created_at(self) -> datetime:
        """Since when it is there."""


T = TypeVar("T", bound=Aged)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of a list: `limit` entries behind the first `offset`, or behind `cursor`."""

    limit: int = 50
    offset: int = 0
    cursor: str | None = None


class ListPage(msgspec.Struct, Generic[T], frozen=True):
    """A page, how many entries the whole list holds, and the cursor of the next page."""

    entries: list[T]
    total: int
    next_cursor: str | None


def page_of(
    entries: Iterable[T], wanted: Wanted, list_name: object, *, newest_first: bool = False
) -> ListPage[T]:
    """A page of the entries by age. `list_name` is what makes this list differ from others: its
    name and filters, as anything that has a JSON form.

    Raises ValueError for a cursor that no page of this list answered, or beside an offset."""
    if wanted.cursor is not None and wanted.offset:
        raise ValueError("cursor and offset exclude each other")
    ordered = sorted(entries, key=_place, reverse=newest_first)
    digest = blake2b(msgspec.json.encode(list_name), digest_size=8).digest()
    rest = ordered
    if wanted.cursor is not None:
        last = _last(wanted.cursor, digest)
        rest = [
            one for one in ordered if (_place(one) < last if newest_first else _place(one) > last)
        ]
    end = wanted.offset + wanted.limit
    shown = rest[wanted.offset : end]
    more = len(rest) > end and shown
    return ListPage(shown, len(ordered), _cursor(digest, _place(shown[-1])) if more else None)


def _place(entry: Aged) -> Place:
    return (entry.created_at - _EPOCH) // _MICROSECOND, entry.id.bytes


def _cursor(digest: bytes, last: Place) -> str:
    return urlsafe_b64encode(_SHAPE.pack(digest, *last)).decode().rstrip("=")


def _last(cursor: str, digest: bytes) -> Place:
    try:
        unpacked = _SHAPE.unpack(urlsafe_b64decode(cursor.encode("ascii") + b"=="))
    except (UnicodeError, binascii.Error, struct.error) as failure:
        raise ValueError("cursor is not one that a list answered") from failure
    found, moment, entry_id = unpacked
    if found != digest:
        raise ValueError("cursor belongs to a list with other filters")
    return moment, entry_id
