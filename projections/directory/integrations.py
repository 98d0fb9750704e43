"""The read model of integrations: what is configured, and whether it works.

integrations   HASH  <name> -> the integration, a JSON object, with its sealed configuration
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from domain import (
    alert_rule,
    api_key,
    app,
    check,
    error_group,
    incident,
    integration,
    member,
    service,
    source_maps,
)
from domain.integration import (
    Integration,
    IntegrationCleared,
    IntegrationConfigured,
    IntegrationTested,
)
from domain.message import Recorded
from domain.vocabulary import CHANNELS, Channel
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class Integrations(RedisReadModel):
    """Keeps the integrations that are configured."""

    name = "integrations"
    version = 1
    folds = integration.EVENTS
    ignores = (
        error_group.EVENTS
        | app.EVENTS
        | api_key.EVENTS
        | member.EVENTS
        | alert_rule.EVENTS
        | incident.EVENTS
        | check.EVENTS
        | service.EVENTS
        | source_maps.EVENTS
    )

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        standing: dict[Channel, Integration | None] = {}
        for recorded in events:
            match recorded.event:
                case IntegrationConfigured() as event:
                    standing[event.integration] = Integration(
                        preview=event.preview, sealed=event.sealed
                    )
                case IntegrationTested() as event:
                    standing[event.integration] = Integration(
                        preview=event.preview,
                        sealed=event.sealed,
                        succeeded=event.succeeded,
                        reason=event.reason,
                        tested_at=recorded.recorded_at,
                    )
                case IntegrationCleared() as event:
                    standing[event.integration] = None
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "integrations neither folds nor ignores it")
        return _writes(_key(keyspace), standing)


class IntegrationQueries:
    """Reads one version of the integrations."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._key = _key(keyspace)

    async def all(self) -> dict[Channel, Integration]:
        """All there are, configured or not, in their fixed order."""
        found = await self._redis.hgetall(self._key)
        return {name: _read(found.get(name.encode())) for name in CHANNELS}

    async def one(self, name: Channel) -> Integration:
        """One of them."""
        return _read(await self._redis.hget(self._key, name))


def _writes(key: str, standing: dict[Channel, Integration | None]) -> list[Write]:
    cleared = [name for name, one in standing.items() if one is None]
    kept = [(name, msgspec.json.encode(one)) for name, one in standing.items() if one is not None]
    writes: list[Write] = []
    if cleared:
        writes.append(("HDEL", key, *cleared))
    if kept:
        writes.append(("HSET", key, *(part for pair in kept for part in pair)))
    return writes


def _read(found: bytes | str | None) -> Integration:
    return Integration() if found is None else msgspec.json.decode(found, type=Integration)


def _key(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}integrations"
