"""The read model of integrations: what is configured, and whether it works.

integrations   HASH  <name> -> the integration, a JSON object, with its sealed configuration
delivered      HASH  <name> -> how the last notification since then ended, a JSON object
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from domain import delivery, integration
from domain.delivery import (
    NotificationFailed,
    NotificationQueued,
    NotificationSent,
    not_configured,
)
from domain.integration import (
    Integration,
    IntegrationCleared,
    IntegrationConfigured,
    IntegrationTested,
)
from domain.message import Recorded
from domain.vocabulary import CHANNELS, Channel
from projections.all_events import ALL_EVENTS
from projections.directory.hashes import hash_writes
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class Delivered(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a notification ended: taken, or why not. Newer than the configuration and its test."""

    succeeded: bool
    reason: str | None = None


class Integrations(RedisReadModel):
    """Keeps the integrations that are configured, and whether they work: by the last test, or the
    last notification since."""

    name = "integrations"
    version = 2
    folds = integration.EVENTS | {NotificationSent, NotificationFailed}
    ignores = (ALL_EVENTS - integration.EVENTS - delivery.EVENTS) | {NotificationQueued}

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        standing: dict[Channel, Integration | None] = {}
        delivered: dict[Channel, Delivered | None] = {}
        for recorded in events:
            match recorded.event:
                case IntegrationConfigured() | IntegrationTested() | IntegrationCleared() as event:
                    standing[event.integration] = _standing(event, recorded)
                    delivered[event.integration] = None
                case NotificationSent() as event:
                    delivered[event.channel] = Delivered(True)
                case NotificationFailed() as event:
                    if event.reason != not_configured(event.channel):
                        delivered[event.channel] = Delivered(False, event.reason)
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "integrations neither folds nor ignores it")
        return [
            *hash_writes(_key(keyspace), _encoded(standing)),
            *hash_writes(_delivered(keyspace), _encoded(delivered)),
        ]


def _standing(
    event: IntegrationConfigured | IntegrationTested | IntegrationCleared, recorded: Recorded[Any]
) -> Integration | None:
    match event:
        case IntegrationConfigured():
            return Integration(preview=event.preview, sealed=event.sealed)
        case IntegrationTested():
            return Integration(
                preview=event.preview,
                sealed=event.sealed,
                succeeded=event.succeeded,
                reason=event.reason,
                tested_at=recorded.recorded_at,
            )
        case IntegrationCleared():
            return None


class IntegrationQueries:
    """Reads one version of the integrations."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._keyspace = keyspace

    async def all(self) -> dict[Channel, Integration]:
        """All there are, configured or not, in their fixed order."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hmget(_key(self._keyspace), CHANNELS)
        pipeline.hmget(_delivered(self._keyspace), CHANNELS)
        threes = zip(CHANNELS, *await pipeline.execute(), strict=True)
        return {name: _read(found, delivered) for name, found, delivered in threes}

    async def one(self, name: Channel) -> Integration:
        """One of them."""
        return (await self.all())[name]


def _encoded(changed: Mapping[Channel, msgspec.Struct | None]) -> dict[str, bytes | None]:
    return {
        name: None if one is None else msgspec.json.encode(one) for name, one in changed.items()
    }


def _read(found: bytes | None, delivered: bytes | None) -> Integration:
    if found is None:
        return Integration()
    configured = msgspec.json.decode(found, type=Integration)
    if delivered is None:
        return configured
    last = msgspec.json.decode(delivered, type=Delivered)
    return msgspec.structs.replace(configured, succeeded=last.succeeded, reason=last.reason)


def _key(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}integrations"


def _delivered(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}delivered"
