"""The read model of custom checks: what each does. What they see is in the uptime.

checks   HASH  <check id, 16 bytes> -> the check, a JSON object
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from domain import check
from domain.check import CheckChanged, CheckCreated, CheckDeleted
from domain.check_settings import CheckSettings
from domain.message import Recorded
from projections.all_events import ALL_EVENTS
from projections.directory.hashes import hash_writes
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class ListedCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check: what it does, and its standing."""

    id: UUID
    settings: CheckSettings
    version: int
    created_at: datetime
    updated_at: datetime


class Checks(RedisReadModel):
    """Keeps the checks that are not deleted."""

    name = "checks"
    version = 1
    folds = check.EVENTS
    ignores = ALL_EVENTS - check.EVENTS

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        checks: dict[bytes, bytes | None] = {}
        for recorded in events:
            match recorded.event:
                case CheckCreated() | CheckChanged() as event:
                    checks[event.check_id.bytes] = msgspec.json.encode(_listed(event, recorded))
                case CheckDeleted() as event:
                    checks[event.check_id.bytes] = None
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "checks neither folds nor ignores it")
        return hash_writes(_key(keyspace), checks)


class CheckQueries:
    """Reads one version of the checks."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._key = _key(keyspace)

    async def all(self) -> list[ListedCheck]:
        """All checks, oldest first."""
        found = await self._redis.hvals(self._key)
        return sorted(map(_decode, found), key=lambda one: (one.created_at, one.id))

    async def one(self, check_id: UUID) -> ListedCheck | None:
        """A check; None where there is none."""
        found = await self._redis.hget(self._key, check_id.bytes)
        return None if found is None else _decode(found)


def _listed(event: CheckCreated | CheckChanged, recorded: Recorded[Any]) -> ListedCheck:
    changed = event if isinstance(event, CheckChanged) else None
    return ListedCheck(
        id=event.check_id,
        settings=event.settings,
        version=changed.version if changed else 1,
        created_at=changed.created_at if changed else recorded.recorded_at,
        updated_at=recorded.recorded_at,
    )


_decode = msgspec.json.Decoder(ListedCheck).decode


def _key(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}checks"
