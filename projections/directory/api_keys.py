"""The read model of API keys: those that are not revoked, without their hashes.

keys   HASH  <key id, 16 bytes> -> the key, a JSON object
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from domain import api_key
from domain.api_key import ApiKeyIssued, ApiKeyRevoked, ApiKeyRoleChanged
from domain.message import Recorded
from projections.all_events import ALL_EVENTS
from projections.directory.hashes import hash_writes
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class ListedApiKey(msgspec.Struct, frozen=True):
    """A key as the API shows it. `app` is the application it is bound to, or "*" for all;
    `member_id` is set on a member's personal key, which holds what their `role` gives."""

    id: UUID
    name: str
    key_preview: str
    permissions: tuple[str, ...]
    expires_at: datetime | None
    created_at: datetime
    app: str
    member_id: UUID | None = None
    role: str | None = None


class ApiKeys(RedisReadModel):
    """Keeps the keys that work, or did until they expired."""

    name = "api_keys"
    version = 1
    folds = frozenset({ApiKeyIssued, ApiKeyRoleChanged, ApiKeyRevoked})
    ignores = ALL_EVENTS - api_key.EVENTS

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        keys: dict[bytes, bytes | None] = {}
        for recorded in events:
            match recorded.event:
                case ApiKeyIssued() as event:
                    keys[event.key_id.bytes] = _listed(event, recorded.recorded_at)
                case ApiKeyRoleChanged() as event:
                    keys[event.key_id.bytes] = _listed(event, event.issued_at)
                case ApiKeyRevoked() as event:
                    keys[event.key_id.bytes] = None
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "api_keys neither folds nor ignores it")
        return hash_writes(_key(keyspace), keys)


class ApiKeyQueries:
    """Reads one version of the keys."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._key = _key(keyspace)

    async def all(self, app: str | None = None) -> list[ListedApiKey]:
        """All keys, or those bound to one application; oldest first."""
        found = await self._redis.hvals(self._key)
        keys = [msgspec.json.decode(key, type=ListedApiKey) for key in found]
        wanted = [key for key in keys if app is None or key.app == app]
        return sorted(wanted, key=lambda key: (key.created_at, key.id))

    async def one(self, key_id: UUID) -> ListedApiKey | None:
        """A key; None where there is none or it was revoked."""
        found = await self._redis.hget(self._key, key_id.bytes)
        return None if found is None else msgspec.json.decode(found, type=ListedApiKey)


def _listed(event: ApiKeyIssued | ApiKeyRoleChanged, issued_at: datetime) -> bytes:
    return msgspec.json.encode(
        ListedApiKey(
            id=event.key_id,
            name=event.key_name,
            key_preview=event.key_preview,
            permissions=event.permissions,
            expires_at=event.expires_at,
            created_at=issued_at,
            app=event.app,
            member_id=event.member_id,
            role=event.role,
        )
    )


def _key(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}keys"
