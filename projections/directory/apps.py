"""The read model of applications.

apps   HASH  <application id> -> the application, a JSON object
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from redis.asyncio import Redis

from domain import app
from domain.app import AppRegistered
from domain.message import Recorded
from projections.all_events import ALL_EVENTS
from projections.directory.hashes import hash_writes
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class Application(msgspec.Struct, frozen=True):
    """An application as the API shows it."""

    id: str
    name: str
    created_at: datetime


class Apps(RedisReadModel):
    """Keeps all applications."""

    name = "apps"
    version = 1
    folds = frozenset({AppRegistered})
    ignores = ALL_EVENTS - app.EVENTS

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        apps: dict[str, bytes] = {}
        for recorded in events:
            match recorded.event:
                case AppRegistered() as event:
                    app = Application(event.app, event.app_name, recorded.recorded_at)
                    apps[event.app] = msgspec.json.encode(app)
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "apps neither folds nor ignores it")
        return hash_writes(_key(keyspace), apps)


class AppQueries:
    """Reads one version of the applications."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._key = _key(keyspace)

    async def all(self) -> list[Application]:
        """All applications, oldest first."""
        found = await self._redis.hvals(self._key)
        apps = [msgspec.json.decode(app, type=Application) for app in found]
        return sorted(apps, key=lambda app: (app.created_at, app.id))

    async def one(self, app_id: str) -> Application | None:
        """An application; None where there is none."""
        found = await self._redis.hget(self._key, app_id)
        return None if found is None else msgspec.json.decode(found, type=Application)


def _key(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}apps"
