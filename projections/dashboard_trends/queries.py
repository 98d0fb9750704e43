"""What the API asks of the dashboard's trends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from redis.asyncio import Redis

from projections.dashboard_trends.layout import EPOCH, LENGTHS, Granularity, bounds, quoted
from projections.projection import Keyspace

Recount = Callable[[str, datetime, datetime], Awaitable[tuple[int, int]]]
"""(application, since, before) -> its different codes and users, counted exactly."""


class DashboardBucket(msgspec.Struct, frozen=True):
    """One bucket, by the time at which it begins."""

    time: datetime
    count: int
    unique_codes: int
    affected_users: int


class DashboardTrendQueries:
    """Reads one version of the trends; `recount` answers where an estimate is of no use."""

    def __init__(self, redis: Redis, keyspace: Keyspace, recount: Recount) -> None:
        self._redis = redis
        self._prefix = keyspace.prefix
        self._recount = recount

    async def trend(
        self, app_id: str, since: datetime, until: datetime, granularity: Granularity
    ) -> list[DashboardBucket]:
        """The buckets from the one that holds `since` to the one before `until`, all whole, without
        a gap, oldest first."""
        numbers = range(*bounds(since, until, granularity))
        fields = [
            f"{granularity[0]}{number}{kind}" for number in numbers for kind in ("", "c", "u")
        ]
        if not fields:
            return []
        key = f"{self._prefix}buckets:{quoted(app_id)}"
        found: Any = await self._redis.hmget(key, fields)
        each = zip(numbers, _triples(found), strict=True)
        length = LENGTHS[granularity]
        return [await self._bucket(app_id, EPOCH + n * length, length, t) for n, t in each]

    async def _bucket(
        self, app_id: str, start: datetime, length: timedelta, fields: Sequence[bytes | None]
    ) -> DashboardBucket:
        count, codes, users = fields
        if b"?" in (codes, users):
            exact = await self._recount(app_id, start, start + length)
            codes, users = (b"%d" % number for number in exact)
        # An estimate may be a little more than there can be.
        most = int(count or 0)
        different = (min(most, int((field or b"0").lstrip(b"~"))) for field in (codes, users))
        return DashboardBucket(start, most, *different)


def _triples(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + 3] for start in range(0, len(values), 3))
