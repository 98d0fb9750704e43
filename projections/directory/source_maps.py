"""The read model of source maps: which version of which application has which maps.

versions:<app>         ZSET  version -> 0; the versions that have maps
maps:<app>:<version>   HASH  <file name> -> the map, a JSON object

The id of an application holds no colon, so that the second key is never two things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from domain import source_maps
from domain.message import Recorded
from domain.source_maps import SourceMapsDeleted, SourceMapUploaded
from projections.all_events import ALL_EVENTS
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class ListedSourceMap(msgspec.Struct, frozen=True):
    """A map as it is listed. `sha256` (hex) and `size` (bytes) are those of its text."""

    file_name: str
    app_version: str
    sha256: str
    size: int
    created_at: datetime


class SourceMaps(RedisReadModel):
    """Keeps the maps that were uploaded and not deleted."""

    name = "source_maps"
    version = 1
    folds = source_maps.EVENTS
    ignores = ALL_EVENTS - source_maps.EVENTS

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        changed: dict[tuple[str, str], _Change] = {}
        for recorded in events:
            match recorded.event:
                case SourceMapUploaded() as event:
                    change = changed.setdefault((event.app, event.app_version), _Change())
                    change.files[event.file_name] = _listed(event, recorded.recorded_at)
                case SourceMapsDeleted() as event:
                    changed[event.app, event.app_version] = _Change(emptied=True)
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "source_maps neither folds nor ignores it")
        return [
            write for version, change in changed.items() for write in change.to(keyspace, *version)
        ]


class _Change:
    """What a page does to the maps of one version."""

    def __init__(self, *, emptied: bool = False) -> None:
        self.emptied = emptied
        self.files: dict[str, bytes] = {}

    def to(self, keyspace: Keyspace, app: str, app_version: str) -> list[Write]:
        """The commands, each key once but for a version that is emptied and filled again."""
        maps, versions = _maps(keyspace, app, app_version), _versions(keyspace, app)
        writes: list[Write] = [("DEL", maps)] if self.emptied else []
        if self.files:
            pairs = (part for pair in self.files.items() for part in pair)
            writes += [("HSET", maps, *pairs), ("ZADD", versions, 0, app_version)]
        elif self.emptied:
            writes.append(("ZREM", versions, app_version))
        return writes


class SourceMapQueries:
    """Reads one version of the source maps."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._keyspace = keyspace

    async def of_app(self, app: str) -> list[ListedSourceMap]:
        """All maps of an application, newest first."""
        versions = await self._redis.zrange(_versions(self._keyspace, app), 0, -1)
        found: list[ListedSourceMap] = []
        for version in cast("list[bytes]", versions):
            found += await self._of_version(app, version.decode())
        return _newest_first(found)

    async def of_version(self, app: str, app_version: str) -> list[ListedSourceMap]:
        """The maps of one version, newest first; none where there are none."""
        return _newest_first(await self._of_version(app, app_version))

    async def contents(self, app: str, app_version: str) -> Mapping[str, str]:
        """File name -> SHA-256 of its map, for one version."""
        return {one.file_name: one.sha256 for one in await self._of_version(app, app_version)}

    async def _of_version(self, app: str, app_version: str) -> list[ListedSourceMap]:
        found = await self._redis.hvals(_maps(self._keyspace, app, app_version))
        return [msgspec.json.decode(one, type=ListedSourceMap) for one in found]


def _newest_first(maps: list[ListedSourceMap]) -> list[ListedSourceMap]:
    by_name = sorted(maps, key=lambda one: (one.app_version, one.file_name))
    return sorted(by_name, key=lambda one: one.created_at, reverse=True)


def _listed(event: SourceMapUploaded, uploaded_at: datetime) -> bytes:
    return msgspec.json.encode(
        ListedSourceMap(
            file_name=event.file_name,
            app_version=event.app_version,
            sha256=event.sha256,
            size=event.size,
            created_at=uploaded_at,
        )
    )


def _maps(keyspace: Keyspace, app: str, app_version: str) -> str:
    return f"{keyspace.prefix}maps:{app}:{app_version}"


def _versions(keyspace: Keyspace, app: str) -> str:
    return f"{keyspace.prefix}versions:{app}"
