"""Where the numbers of one version live in Redis.

    counts:<app>   HASH  errors, resolved, occurrences, resolutions, resolving_ms -> a number
                         <day> -> the 72 slots of a day and the sum of each kind, 4 bytes each,
                                  little-endian
    group:<id>     HASH  <slot> -> what one error has added to it
                         resolving_ms -> the same of its resolutions

An application is percent-quoted, or "*" for the sum over all. `errors` are groups that exist,
`resolved` those of them that are resolved now; `resolutions` took `resolving_ms` milliseconds
together. What is zero is not kept.

Slots count by the hour: a slot is (hours since 1970) * 3 + kind, so that one whole number says
when and what, and 72 of them make a day. The occurrences of an hour are split into those of level
error and the others; hence each adds to one slot only. Days are packed because a year, by the hour
too, is then one short command and 366 values, not 26,000; with their sums, because most questions
are of whole days.

An id is 32 hex digits. What an error has added is kept beside the sums because its deletion takes
it out again, out of every hour.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from urllib.parse import quote

from projections.projection import Keyspace

ALL_APPS = "*"
ERRORS = "errors"
RESOLVED = "resolved"
OCCURRENCES = "occurrences"
RESOLUTIONS = "resolutions"
RESOLVING_MS = "resolving_ms"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = 24
_SECONDS = 3600


class Kind(IntEnum):
    """What a slot counts."""

    CRITICAL = 0
    """Occurrences of level error."""
    OTHER = 1
    """Occurrences of the other levels."""
    RESOLUTION = 2


KINDS = len(Kind)
SLOTS = HOURS * KINDS
COUNTS = Struct(f"<{KINDS}I")
"""The counts of one hour, or the sums of a day, which follow those of its hours."""


class Layout:
    """The keys of one keyspace."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.prefix = keyspace.prefix

    def counts(self, app: str | None) -> str:
        """The numbers of an application; of all for None."""
        return self.prefix + counts_of(app)


@lru_cache(maxsize=4096)
def counts_of(app: str | None) -> str:
    """The key of an application's numbers without the prefix; of all for None."""
    return f"counts:{ALL_APPS if app is None else quote(app, safe='')}"


def group_of(hex_id: str) -> str:
    """The key of what an error has added, without the prefix."""
    return f"group:{hex_id}"


def hour_of(time: datetime) -> int:
    """Whole hours from 1970 to an aware time."""
    since = time - EPOCH  # to divide it by an hour takes twice as long
    return since.days * HOURS + since.seconds // _SECONDS


def slot_of(time: datetime, kind: Kind) -> int:
    """The slot in which something counts that happened at an aware time."""
    return hour_of(time) * KINDS + kind
