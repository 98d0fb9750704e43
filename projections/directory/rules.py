"""The read model of alert rules.

rules   HASH  <rule id, 16 bytes> -> the rule, a JSON object
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

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
from domain.alert_rule import AlertRuleChanged, AlertRuleCreated, AlertRuleDeleted
from domain.message import Recorded
from domain.rule_settings import RuleSettings
from projections.paging import ListPage, Wanted, page_of
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class ListedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule: what it says, and its standing."""

    id: UUID
    settings: RuleSettings
    version: int
    created_at: datetime
    updated_at: datetime


class RuleFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules; None is any."""

    app: str | None = None
    enabled: bool | None = None

    def wants(self, rule: ListedRule) -> bool:
        """Whether a rule passes."""
        settings = rule.settings
        return self.app in (None, settings.app) and self.enabled in (None, settings.enabled)


class AlertRules(RedisReadModel):
    """Keeps the rules that are not deleted."""

    name = "alert_rules"
    version = 1
    folds = alert_rule.EVENTS
    ignores = (
        error_group.EVENTS
        | app.EVENTS
        | api_key.EVENTS
        | member.EVENTS
        | integration.EVENTS
        | incident.EVENTS
        | check.EVENTS
        | service.EVENTS
        | source_maps.EVENTS
    )

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        rules: dict[bytes, bytes | None] = {}
        for recorded in events:
            match recorded.event:
                case AlertRuleCreated() | AlertRuleChanged() as event:
                    rules[event.rule_id.bytes] = msgspec.json.encode(_listed(event, recorded))
                case AlertRuleDeleted() as event:
                    rules[event.rule_id.bytes] = None
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "alert_rules neither folds nor ignores it")
        deleted = [rule_id for rule_id, rule in rules.items() if rule is None]
        kept = [part for rule_id, rule in rules.items() if rule for part in (rule_id, rule)]
        writes: list[Write] = []
        if deleted:
            writes.append(("HDEL", _key(keyspace), *deleted))
        if kept:
            writes.append(("HSET", _key(keyspace), *kept))
        return writes


class RuleQueries:
    """Reads one version of the rules."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._key = _key(keyspace)

    async def list(self, only: RuleFilter, wanted: Wanted) -> ListPage[ListedRule]:
        """A page of the rules that pass, oldest first. The cost grows with all rules.

        Raises ValueError for a cursor that no page of this list answered, or beside an offset."""
        found = await self._redis.hvals(self._key)
        rules = map(_decode, found)
        return page_of(filter(only.wants, rules), wanted, ("alert_rules", only))

    async def one(self, rule_id: UUID) -> ListedRule | None:
        """A rule; None where there is none."""
        found = await self._redis.hget(self._key, rule_id.bytes)
        return None if found is None else _decode(found)


def _listed(event: AlertRuleCreated | AlertRuleChanged, recorded: Recorded[Any]) -> ListedRule:
    changed = event if isinstance(event, AlertRuleChanged) else None
    return ListedRule(
        id=event.rule_id,
        settings=event.settings,
        version=changed.version if changed else 1,
        created_at=changed.created_at if changed else recorded.recorded_at,
        updated_at=recorded.recorded_at,
    )


_decode = msgspec.json.Decoder(ListedRule).decode


def _key(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}rules"
