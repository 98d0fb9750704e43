"""Where the errors of one version live in Redis.

    documents   HASH  <id>r -> the latest report's part of the answer, a JSON object
                      <id>s -> the group's standing (resolved or not, since when), a JSON object
                      <id>m -> until when it is muted, a JSON object; absent where it is not
    waking      ZSET  the ids of the groups that are muted until a time, by that time
    words       HASH  <id> -> the group's words as a JSON array, for its deletion
    w:<word>    SET   the ids of the groups that hold this word
    by:<sort>:<app>:<source>:<environment>:<level>:<o|r>
                ZSET  the ids of the open (o) or resolved (r) groups of a level, by score

An id is its 16 raw bytes. Application, source and environment are percent-quoted, or "*" for any:
a group stands under all eight combinations of "this value" and "any", so a list under any filter
merges at most 4 levels x 2 statuses = 8 sorted sets, however many values there are, and its exact
total is the sum of their sizes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import product
from typing import Literal, NamedTuple, get_args
from urllib.parse import quote

import msgspec

from domain.vocabulary import Level
from projections.projection import Keyspace

Sort = Literal["last_seen", "first_seen", "count"]
SORTS: tuple[Sort, ...] = get_args(Sort)
LEVELS: tuple[Level, ...] = get_args(Level)
ANY = "*"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIE_BITS = 20
_HIGHEST_COUNT = (1 << 53 - _TIE_BITS) - 1


class ErrorFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which errors a list holds; None means any.

    `resolved` is the status. `search` is a text whose words must all occur; without any word it
    finds nothing. `since` (inclusive) and `until` (exclusive) bound `last_seen`: aware times.
    """

    level: Level | None = None
    source: str | None = None
    environment: str | None = None
    resolved: bool | None = None
    app: str | None = None
    search: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Place(NamedTuple):
    """Where the indexes hold a group: the values lists are filtered by."""

    app: str
    source: str
    environment: str
    level: str
    resolved: bool


class Layout:
    """The keys of one keyspace."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.prefix = keyspace.prefix
        self.documents = f"{self.prefix}documents"
        self.waking = f"{self.prefix}waking"
        self.words = f"{self.prefix}words"
        self.word_prefix = f"{self.prefix}w:"

    def word(self, word: str) -> str:
        """The set of the groups that hold a word."""
        return self.word_prefix + word

    def indexes_of(self, sort: Sort, place: Place) -> tuple[bytes, ...]:
        """The eight sorted sets that hold the groups of a place."""
        return _indexes_of(self.prefix, sort, place)

    def indexes_for(self, sort: Sort, wanted: ErrorFilter) -> list[bytes]:
        """The one to eight sorted sets that together hold what a filter wants, its words and its
        times aside."""
        levels = LEVELS if wanted.level is None else (wanted.level,)
        statuses = (False, True) if wanted.resolved is None else (wanted.resolved,)
        facets = [
            ANY if value is None else quoted(value)
            for value in (wanted.app, wanted.source, wanted.environment)
        ]
        return [
            _index(self.prefix, sort, facets, level, resolved)
            for level, resolved in product(levels, statuses)
        ]


def report_field(group: bytes) -> bytes:
    """The field of `documents` with the latest report's part."""
    return group + b"r"


def standing_field(group: bytes) -> bytes:
    """The field of `documents` with the group's standing."""
    return group + b"s"


def mute_field(group: bytes) -> bytes:
    """The field of `documents` with how the group is muted."""
    return group + b"m"


def moment(time: datetime) -> int:
    """An aware time as a score: microseconds since 1970, which a double holds exactly."""
    return (time - _EPOCH) // _MICROSECOND


def count_score(count: int, group: bytes) -> int:
    """A count as a score. Most groups share a few small counts, and skipping along thousands of
    equal scores would be slow; so the first bits of the id, by which Redis orders equal scores
    anyway, stand in the low bits. The order stays the same. Counts saturate at 8.6 billion."""
    return min(count, _HIGHEST_COUNT) << _TIE_BITS | int.from_bytes(group[:3], "big") >> 4


@lru_cache(maxsize=65536)
def quoted(value: str) -> str:
    """A value as part of a key: it holds neither ":" nor "*"."""
    return quote(value, safe="")


@lru_cache(maxsize=65536)
def _indexes_of(prefix: str, sort: Sort, place: Place) -> tuple[bytes, ...]:
    facets = ((quoted(value), ANY) for value in place[:3])
    return tuple(
        _index(prefix, sort, values, place.level, place.resolved) for values in product(*facets)
    )


def _index(
    prefix: str, sort: Sort, facets: list[str] | tuple[str, ...], level: str, resolved: bool
) -> bytes:
    status = "r" if resolved else "o"
    return f"{prefix}by:{sort}:{':'.join(facets)}:{level}:{status}".encode()
