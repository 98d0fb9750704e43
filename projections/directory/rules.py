"""The read model of alert rules.

rules         HASH  <rule id, 16 bytes> -> the rule, a JSON object
silenced      HASH  <rule id, 16 bytes> -> until when it is silenced, a JSON string
triggered     HASH  <rule id, 16 bytes> -> when it last triggered, a JSON string
firing:<id>   SET   the streams of its alerts that are firing, 16 bytes each

Alerts come from a process of their own, so one may follow the deletion of its rule. Its time stays
then, where nobody looks for it; that it fires ends with the AlertRecovered that always comes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from domain import alert, alert_rule
from domain.alert import AlertRecovered, AlertTriggered
from domain.alert_rule import (
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    AlertRuleSilenced,
)
from domain.message import Recorded
from domain.rule_settings import RuleSettings
from projections.all_events import ALL_EVENTS
from projections.directory.hashes import hash_writes
from projections.paging import ListPage, Wanted, page_of
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a rule: when it last triggered, and how many of its alerts fire now."""

    last_triggered: datetime | None = None
    firing: int = 0


class ListedRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule: what it says, its standing, and until when it is silenced."""

    id: UUID
    settings: RuleSettings
    version: int
    created_at: datetime
    updated_at: datetime
    silenced_until: datetime | None = None
    standing: Standing = Standing()


Rules = list[ListedRule]
Lasts = list[tuple[datetime | None, Standing]]
"""Until when a rule is silenced, and its standing."""

_HASHES = ("rules", "silenced", "triggered")


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
    version = 2
    folds = alert_rule.EVENTS | alert.EVENTS
    ignores = ALL_EVENTS - alert_rule.EVENTS - alert.EVENTS

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        page = _Changes()
        for recorded in events:
            match recorded.event:
                case AlertRuleCreated() | AlertRuleChanged() as event:
                    page.set("rules", event.rule_id, _listed(event, recorded))
                case AlertRuleSilenced() as event:
                    page.set("silenced", event.rule_id, event.until)
                case AlertRuleDeleted() as event:
                    page.delete(event.rule_id)
                case AlertTriggered(facts=facts):
                    page.set("triggered", facts.rule_id, facts.at)
                    page.firing[facts.rule_id][recorded.stream_id.bytes] = True
                case AlertRecovered() as event:
                    page.firing[event.rule_id][recorded.stream_id.bytes] = False
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "alert_rules neither folds nor ignores it")
        return page.writes(keyspace)


class _Changes:
    """What a page changes: the last word on each field of the hashes, None for gone, and on each
    alert, whether it fires."""

    def __init__(self) -> None:
        self._fields: dict[str, dict[bytes, bytes | None]] = {name: {} for name in _HASHES}
        self._deleted: list[UUID] = []
        self.firing: defaultdict[UUID, dict[bytes, bool]] = defaultdict(dict)

    def set(self, name: str, rule_id: UUID, value: object) -> None:
        """A field of a hash from here on; None takes it away."""
        encoded = None if value is None else msgspec.json.encode(value)
        self._fields[name][rule_id.bytes] = encoded

    def delete(self, rule_id: UUID) -> None:
        """All of a rule is gone."""
        for fields in self._fields.values():
            fields[rule_id.bytes] = None
        self.firing.pop(rule_id, None)
        self._deleted.append(rule_id)

    def writes(self, keyspace: Keyspace) -> list[Write]:
        """The commands."""
        writes: list[Write] = []
        if self._deleted:
            writes.append(("DEL", *(_firing(keyspace, rule_id) for rule_id in self._deleted)))
        for name, fields in self._fields.items():
            writes += hash_writes(_key(keyspace, name), fields)
        for rule_id, alerts in self.firing.items():
            ended = [one for one, fires in alerts.items() if not fires]
            begun = [one for one, fires in alerts.items() if fires]
            if ended:
                writes.append(("SREM", _firing(keyspace, rule_id), *ended))
            if begun:
                writes.append(("SADD", _firing(keyspace, rule_id), *begun))
        return writes


class RuleQueries:
    """Reads one version of the rules."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._keyspace = keyspace

    async def list(self, only: RuleFilter, wanted: Wanted) -> ListPage[ListedRule]:
        """A page of the rules that pass, oldest first. The cost grows with all rules.

        Raises ValueError for a cursor that no page of this list answered, or beside an offset."""
        found = await self._redis.hvals(_key(self._keyspace, "rules"))
        rules = map(_decode, found)
        page = page_of(filter(only.wants, rules), wanted, ("alert_rules", only))
        return msgspec.structs.replace(page, entries=await self._completed(page.entries))

    async def one(self, rule_id: UUID) -> ListedRule | None:
        """A rule; None where there is none."""
        found = await self._redis.hget(_key(self._keyspace, "rules"), rule_id.bytes)
        return None if found is None else (await self._completed([_decode(found)]))[0]

    async def standing(self, rule_id: UUID) -> Standing:
        """What has become of a rule, whether it is there or not."""
        ((_, standing),) = await self._lasts([rule_id])
        return standing

    async def _completed(self, rules: Rules) -> Rules:
        """Rules as they stand."""
        lasts = await self._lasts([rule.id for rule in rules])
        return [
            msgspec.structs.replace(rule, silenced_until=until, standing=standing)
            for rule, (until, standing) in zip(rules, lasts, strict=True)
        ]

    async def _lasts(self, ids: Sequence[UUID]) -> Lasts:
        """Until when rules are silenced, and what has become of them."""
        if not ids:
            return []
        pipeline = self._redis.pipeline(transaction=True)
        fields = [rule_id.bytes for rule_id in ids]
        pipeline.hmget(_key(self._keyspace, "silenced"), fields)
        pipeline.hmget(_key(self._keyspace, "triggered"), fields)
        for rule_id in ids:
            pipeline.scard(_firing(self._keyspace, rule_id))
        silenced, triggered, *firing = await pipeline.execute()
        return [
            (_time(until), Standing(last_triggered=_time(last), firing=number))
            for until, last, number in zip(silenced, triggered, firing, strict=True)
        ]


def _listed(event: AlertRuleCreated | AlertRuleChanged, recorded: Recorded[Any]) -> ListedRule:
    changed = event if isinstance(event, AlertRuleChanged) else None
    return ListedRule(
        id=event.rule_id,
        settings=event.settings,
        version=changed.version if changed else 1,
        created_at=changed.created_at if changed else recorded.recorded_at,
        updated_at=recorded.recorded_at,
    )


def _time(found: bytes | None) -> datetime | None:
    return None if found is None else _decode_time(found)


_decode = msgspec.json.Decoder(ListedRule).decode
_decode_time = msgspec.json.Decoder(datetime).decode


def _key(keyspace: Keyspace, name: str) -> str:
    return f"{keyspace.prefix}{name}"


def _firing(keyspace: Keyspace, rule_id: UUID) -> str:
    return f"{keyspace.prefix}firing:{rule_id}"
