"""Where the dashboard's trends live in Redis: by the hour and by the day, how many occurrences
there were, of how many codes, and how many users they affected.

    buckets:<app>             HASH  <bucket> -> occurrences; <bucket>c, <bucket>u -> different codes
                                    and users: "12" counted, "~12345" estimated, "?" unknown
    values:<app>:<bucket>c    HASH  <code> -> its occurrences in the bucket; the same with u and
                                    users. As long as they are counted
    values:<app>:<bucket>c:0  HyperLogLogs 0 to 7, once they are estimated
    group:<id>                HASH  <hour>, <hour>c<code>, <hour>u<user> -> what one error has added

An application is percent-quoted; a bucket is "h" and the hour since 1970, or "d" and the day; an id
is 32 hex digits. What is zero is not kept. Times are UTC.

Different values are counted exactly up to 10,000 a bucket, and estimated beyond. Redis's
HyperLogLog has a standard error of 0.81 %; here values are dealt out by their hash to eight of
them, whose sum has 0.29 %: it is within 1 % in more than 999 of 1,000 cases. An estimate cannot
forget, so deleting an error that had part in it makes it unknown, and the question goes to the
index of occurrences, which counts exactly, only slower. An emptied bucket begins anew.

The events of a page are added up between deletions, and deletions stand where they stood in the
log, so that nothing tells how the log was cut into pages.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import quote

Granularity = Literal["hour", "day"]
LENGTHS: dict[Granularity, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOURS = 24
_SECONDS = 3600

COUNTED = 10_000
"""As many different values of a bucket are counted one by one."""

SHARDS = 8


def number_of(time: datetime, granularity: Granularity) -> int:
    """The hour or day since 1970 that holds an aware time."""
    return (time - EPOCH) // LENGTHS[granularity]


def hour_of(time: datetime) -> int:
    """The hour since 1970 that holds an aware time."""
    since = time - EPOCH  # to divide it by an hour takes twice as long
    return since.days * HOURS + since.seconds // _SECONDS


def bounds(since: datetime, until: datetime, granularity: Granularity) -> tuple[int, int]:
    """The number of the first bucket from `since`, and that behind the last one before `until`."""
    return number_of(since, granularity), -((EPOCH - until) // LENGTHS[granularity])


def quoted(app_id: str) -> str:
    """An application's id as it stands in keys."""
    return quote(app_id, safe="")
