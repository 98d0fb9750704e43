"""The read model of uptime: since when each service is watched, and its downtimes.

services            HASH  <service> -> since when it is watched (RFC 3339); absent where it is not
downtimes:<service> ZSET  a downtime, a JSON object; by its start in microseconds since 1970

What follows from them (percentages, how long a downtime lasts so far) depends on the present, so
the query works it out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from redis.asyncio import Redis

from domain import service
from domain.message import Recorded
from domain.service import (
    CACHE,
    DATABASE,
    ERRATA,
    ServiceRecovered,
    ServiceUnwatched,
    ServiceWatched,
    ServiceWentDown,
)
from projections.all_events import ALL_EVENTS
from projections.downtimes import MONTH, SHOWN, Downtime, Uptime, union, uptime
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ServiceUptime(RedisReadModel):
    """Keeps the downtimes of all services."""

    name = "uptime"
    version = 1
    folds = service.EVENTS
    ignores = ALL_EVENTS - service.EVENTS

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        page = _Changes()
        for recorded in events:
            match recorded.event:
                case ServiceWatched() as event:
                    page.watched[event.service] = event.at
                case ServiceWentDown() as event:
                    page.begins(event.service, event.at, event.reason)
                case ServiceRecovered() as event:
                    page.ends(event.service, event.down_since, event.at, event.reason)
                case ServiceUnwatched() as event:
                    page.watched[event.service] = None
                    if event.down_since is not None:
                        page.ends(event.service, event.down_since, event.at, event.reason)
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "uptime neither folds nor ignores it")
        return page.writes(keyspace)


class UptimeQueries:
    """Reads one version of the uptimes."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._keyspace = keyspace

    async def of(self, services: Sequence[str], now: datetime) -> dict[str, Uptime]:
        """The uptime of each of these services; of one that nobody watches nothing is known."""
        found = await self._load(services, now)
        return {name: uptime(since, known, now) for name, (since, known) in found.items()}

    async def of_errata(self, now: datetime) -> Uptime:
        """The uptime of all of Errata: it is down while it does not run, or its database does not
        answer. Watched since the first heartbeat."""
        return await self._together((ERRATA, DATABASE), now)

    async def of_answers(self, now: datetime) -> Uptime:
        """The uptime of the answers to reads, which need Redis too. Watched like Errata."""
        return await self._together((ERRATA, DATABASE, CACHE), now)

    async def _together(self, services: Sequence[str], now: datetime) -> Uptime:
        """Services that are down while any of them is, watched since the first one was."""
        found = await self._load(services, now)
        since, _ = found[services[0]]
        return uptime(since, union(one for _, known in found.values() for one in known), now)

    async def _load(
        self, services: Sequence[str], now: datetime
    ) -> dict[str, tuple[datetime | None, list[Downtime]]]:
        month_ago = _microseconds(now - MONTH)
        pipeline = self._redis.pipeline(transaction=False)
        for name in services:
            key = _downtimes(self._keyspace, name)
            pipeline.hget(_services(self._keyspace), name)
            pipeline.zrangebyscore(key, month_ago, "+inf")
            # The last one before may reach into the month.
            pipeline.zrevrangebyscore(key, f"({month_ago}", "-inf", start=0, num=1)
            pipeline.zrevrange(key, 0, SHOWN - 1)
        answers = await pipeline.execute()
        loaded: dict[str, tuple[datetime | None, list[Downtime]]] = {}
        for number, name in enumerate(services):
            since, *parts = answers[4 * number : 4 * number + 4]
            known = {bytes(member) for part in parts for member in part}
            watched_since = None if since is None else datetime.fromisoformat(since.decode())
            loaded[name] = watched_since, [_decode(member) for member in known]
        return loaded


class _Changes:
    """What a page changes, service by service."""

    def __init__(self) -> None:
        self.watched: dict[str, datetime | None] = {}
        self._members: defaultdict[str, dict[bytes, int | None]] = defaultdict(dict)

    def begins(self, name: str, start: datetime, reason: str) -> None:
        """A downtime that goes on."""
        self._members[name][_encode(Downtime(start, None, reason))] = _microseconds(start)

    def ends(self, name: str, start: datetime, end: datetime, reason: str) -> None:
        """The same downtime with its end."""
        self._members[name][_encode(Downtime(start, None, reason))] = None
        self._members[name][_encode(Downtime(start, end, reason))] = _microseconds(start)

    def writes(self, keyspace: Keyspace) -> list[Write]:
        """The commands for all of it."""
        key = _services(keyspace)
        gone = [name for name, since in self.watched.items() if since is None]
        here = [
            part
            for name, since in self.watched.items()
            if since is not None
            for part in (name, since.isoformat())
        ]
        writes: list[Write] = []
        if gone:
            writes.append(("HDEL", key, *gone))
        if here:
            writes.append(("HSET", key, *here))
        for name, members in self._members.items():
            writes += _changed(_downtimes(keyspace, name), members.items())
        return writes


def _changed(key: str, members: Iterable[tuple[bytes, int | None]]) -> list[Write]:
    removed: list[bytes] = []
    added: list[bytes | int] = []
    for downtime, score in members:
        if score is None:
            removed.append(downtime)
        else:
            added += (score, downtime)
    writes: list[Write] = []
    if removed:
        writes.append(("ZREM", key, *removed))
    if added:
        writes.append(("ZADD", key, *added))
    return writes


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Downtime).decode


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _services(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}services"


def _downtimes(keyspace: Keyspace, name: str) -> str:
    return f"{keyspace.prefix}downtimes:{name}"
