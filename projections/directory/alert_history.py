"""The read model of what alert rules have done: triggers, recoveries, notifications and their fate.

rules         SET   the rules whose entries are kept, as hex: those that exist and those in `gone`
gone          ZSET  the rules deleted last, by the position of their deletion
apps          HASH  <rule> -> the application of a rule in `gone`
order:<rule>  ZSET  the rule's entries by their positions in the log
told:<rule>   HASH  <entry> -> what happened, a JSON object, and behind a comma for each attempt to
                    send a notification how it ended, or in which other it was summed up

An entry is the id of its alert's event, or of its notification, as hex. A rule keeps its newest
1,000. Messages on their way outlive their rule and lead to its history, so that of the 100 rules
deleted last is kept. Alerts come from a process of their own, so one may follow the deletion of its
rule by far: what is told of a rule that is not kept is told to nobody, which only Redis itself can
know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from domain import alert, alert_rule, delivery
from domain.alert import AlertFacts, AlertRecovered, AlertTriggered
from domain.alert_rule import (
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    AlertRuleSilenced,
)
from domain.delivery import NotificationFailed, NotificationQueued, NotificationSent
from domain.message import Recorded
from domain.notification import Message
from domain.vocabulary import Channel
from projections.all_events import ALL_EVENTS
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write

KEPT = 1_000
"""Entries of a rule."""
REMEMBERED = 100
"""Rules that are deleted."""

_TELL = """
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then
  return
end
for i = 3, #ARGV, 3 do
  local position, entry, text = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if position == '' then
    local before = redis.call('HGET', KEYS[3], entry)
    if before then
      redis.call('HSET', KEYS[3], entry, before .. ',' .. text)
    end
  else
    redis.call('ZADD', KEYS[2], position, entry)
    redis.call('HSET', KEYS[3], entry, text)
  end
end
local gone = redis.call('ZRANGE', KEYS[2], 0, -1 - ARGV[2])
for _, entry in ipairs(gone) do
  redis.call('ZREM', KEYS[2], entry)
  redis.call('HDEL', KEYS[3], entry)
end
"""
"""KEYS: rules, order, told. ARGV: the rule; how many entries it keeps; then for each new entry its
position, itself and its JSON, and for each fate an empty text, its entry and its JSON."""


_FORGET = """
local prefix, remembered = ARGV[1], tonumber(ARGV[2])
for i = 3, #ARGV, 3 do
  redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1])
  redis.call('HSET', KEYS[3], ARGV[i + 1], ARGV[i + 2])
end
for _, rule in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1 - remembered)) do
  redis.call('DEL', prefix .. 'order:' .. rule, prefix .. 'told:' .. rule)
  redis.call('SREM', KEYS[1], rule)
  redis.call('ZREM', KEYS[2], rule)
  redis.call('HDEL', KEYS[3], rule)
end
"""
"""KEYS: rules, gone, apps. ARGV: the prefix of all keys; how many deleted rules are kept; then for
each deletion its position, its rule and the rule's application. Whose keys have to go is known here
only; the prefix keeps them where the others are."""


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """How an alert ended. `triggered_at` is when it began, `triggers` counts its reminders too."""

    triggered_at: datetime
    triggers: int
    reason: str
    silenced: bool
    incident_id: UUID | None


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way; `count` is how many alerts it tells of, more than one in a digest."""

    notification_id: UUID
    channel: Channel
    message: Message
    count: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How one attempt to send a message ended. A failed one says why, and when the next will be
    made: none where it is given up."""

    attempt: int
    at: datetime
    succeeded: bool
    reason: str | None = None
    next_attempt_at: datetime | None = None


class SummedUp(msgspec.Struct, frozen=True, tag=True):
    """Why a message is not sent itself: another tells of it."""

    by: UUID


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a rule has done; exactly one of the three is there. `at` is the instant it was
    due, by recorded time, `error_id` the error it is about."""

    position: int
    at: datetime
    recorded_at: datetime
    error_id: UUID | None = None
    triggered: AlertFacts | None = None
    recovered: Recovery | None = None
    queued: Queued | None = None


class Told(msgspec.Struct, frozen=True):
    """An entry, and if it is a notification all attempts to send it, oldest first, or the
    notification that sums it up."""

    entry: HistoryEntry
    attempts: list[Attempt]
    summed_up_by: UUID | None = None


class HistoryPage(msgspec.Struct, frozen=True):
    """A page, newest first, and the position that the next one lies before."""

    told: list[Told]
    next_before: int | None


class AlertHistory(RedisReadModel):
    """Keeps what the rules have done, of deleted ones the last. `kept` and `remembered` are for
    tests."""

    name = "alert_history"
    version = 3
    folds = alert.EVENTS | delivery.EVENTS | {AlertRuleCreated, AlertRuleDeleted}
    ignores = (ALL_EVENTS - alert.EVENTS - delivery.EVENTS - alert_rule.EVENTS) | {
        AlertRuleChanged,
        AlertRuleSilenced,
    }

    def __init__(self, kept: int = KEPT, remembered: int = REMEMBERED) -> None:
        self._kept = kept
        self._remembered = remembered

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        created: dict[UUID, None] = {}
        deleted: list[str | int] = []
        told: defaultdict[UUID, list[str | bytes | int]] = defaultdict(list)
        for recorded in events:
            match recorded.event:
                case AlertRuleCreated() as event:
                    created[event.rule_id] = None
                case AlertRuleDeleted() as event:
                    deleted += (recorded.position, event.rule_id.hex, event.app)
                case AlertTriggered() | AlertRecovered() | NotificationQueued() as event:
                    entry = msgspec.json.encode(_entry(event, recorded))
                    told[_rule(event)] += (recorded.position, _name(recorded), entry)
                    if isinstance(event, NotificationQueued):
                        fate = msgspec.json.encode(SummedUp(event.notification_id))
                        for summed_up in event.sums_up:
                            told[event.rule_id] += ("", summed_up.hex, fate)
                case NotificationSent() | NotificationFailed() as event:
                    attempt = msgspec.json.encode(_attempt(event))
                    told[event.rule_id] += ("", event.notification_id.hex, attempt)
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "alert_history neither folds nor ignores it")
        writes = _writes(keyspace, created, told, self._kept)
        if deleted:
            keys = [f"{keyspace.prefix}{name}" for name in ("rules", "gone", "apps")]
            forgets = (len(keys), *keys, keyspace.prefix, self._remembered, *deleted)
            writes.append(("EVAL", _FORGET, *forgets))
        return writes


class HistoryQueries:
    """Reads one version of the history."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._keyspace = keyspace

    async def app_of_deleted(self, rule_id: UUID) -> str | None:
        """The application of a rule that is deleted and whose history is kept."""
        app: Any = await self._redis.hget(f"{self._keyspace.prefix}apps", rule_id.hex)
        return None if app is None else app.decode()

    async def of(self, rule_id: UUID, limit: int, before: int | None = None) -> HistoryPage:
        """A page of what a rule has done before a position, newest first."""
        # One more than shown tells whether there is a next page.
        found: Any = await self._redis.zrevrangebyscore(
            _order(self._keyspace, rule_id),
            "+inf" if before is None else f"({before}",
            "-inf",
            start=0,
            num=limit + 1,
            withscores=True,
        )
        shown = found[:limit]
        if not shown:
            return HistoryPage([], None)
        texts: Any = await self._redis.hmget(
            _told(self._keyspace, rule_id), [entry for entry, _ in shown]
        )
        # One that had to make room for a newer one meanwhile is left out.
        told = [_decoded(text) for text in texts if text is not None]
        return HistoryPage(told, int(shown[-1][1]) if len(found) > limit else None)


def _rule(event: AlertTriggered | AlertRecovered | NotificationQueued) -> UUID:
    return event.facts.rule_id if isinstance(event, AlertTriggered) else event.rule_id


def _name(recorded: Recorded[Any]) -> str:
    event = recorded.event
    notified = isinstance(event, NotificationQueued)
    return event.notification_id.hex if notified else recorded.event_id.hex


def _entry(
    event: AlertTriggered | AlertRecovered | NotificationQueued, recorded: Recorded[Any]
) -> HistoryEntry:
    position, recorded_at = recorded.position, recorded.recorded_at
    match event:
        case AlertTriggered(facts=facts):
            return HistoryEntry(
                position=position,
                at=facts.at,
                recorded_at=recorded_at,
                error_id=facts.error_id,
                triggered=facts,
            )
        case AlertRecovered():
            recovery = Recovery(
                triggered_at=event.triggered_at,
                triggers=event.triggers,
                reason=event.reason,
                silenced=event.silenced,
                incident_id=event.incident_id,
            )
            return HistoryEntry(
                position=position,
                at=event.at,
                recorded_at=recorded_at,
                error_id=event.error_id,
                recovered=recovery,
            )
        case NotificationQueued():
            queued = Queued(
                notification_id=event.notification_id,
                channel=event.channel,
                message=event.message,
                count=event.count,
            )
            return HistoryEntry(
                position=position,
                at=event.at,
                recorded_at=recorded_at,
                error_id=delivery.only_error(event.alerts, event.count),
                queued=queued,
            )


def _attempt(event: NotificationSent | NotificationFailed) -> Attempt:
    if isinstance(event, NotificationSent):
        return Attempt(attempt=event.attempt, at=event.at, succeeded=True)
    return Attempt(
        attempt=event.attempt,
        at=event.at,
        succeeded=False,
        reason=event.reason,
        next_attempt_at=event.next_attempt_at,
    )


def _writes(
    keyspace: Keyspace,
    created: dict[UUID, None],
    told: dict[UUID, list[str | bytes | int]],
    kept: int,
) -> list[Write]:
    """The commands for rules that are there. A deleted rule never comes back, so that deletions
    may be written behind all of these."""
    rules = f"{keyspace.prefix}rules"
    writes: list[Write] = []
    if created:
        writes.append(("SADD", rules, *(rule_id.hex for rule_id in created)))
    for rule_id, parts in told.items():
        keys = [rules, _order(keyspace, rule_id), _told(keyspace, rule_id)]
        writes.append(("EVAL", _TELL, len(keys), *keys, rule_id.hex, kept, *parts))
    return writes


def _decoded(text: bytes) -> Told:
    entry, *pieces = _pieces(b"[%b]" % text)
    fates = [_decode_fate(one) for one in pieces]
    attempts = [one for one in fates if isinstance(one, Attempt)]
    others = [one.by for one in fates if isinstance(one, SummedUp)]
    return Told(_decode(entry), attempts, others[0] if others else None)


_pieces = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode = msgspec.json.Decoder(HistoryEntry).decode
_decode_fate = msgspec.json.Decoder(Attempt | SummedUp).decode


def _order(keyspace: Keyspace, rule_id: UUID) -> str:
    return f"{keyspace.prefix}order:{rule_id.hex}"


def _told(keyspace: Keyspace, rule_id: UUID) -> str:
    return f"{keyspace.prefix}told:{rule_id.hex}"
