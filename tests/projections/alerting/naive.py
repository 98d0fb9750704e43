"""Alerting as one would write it without a thought for speed: a second opinion.

At every event and at every instant at which anything could change, it counts everything anew from
the whole log. It shares nothing with the manager but the condition's parser.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from domain.alert_rule import (
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    AlertRuleSilenced,
)
from domain.condition import Comparison, Condition, parse_window
from domain.message import Recorded
from domain.rule_settings import RuleSettings, condition_of
from domain.service import ServiceRecovered, ServiceUnwatched, ServiceWentDown
from domain.vocabulary import CHANNELS
from tests.projections.alerting.naive_entries import counts, matters, report_of

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}

Outcome = tuple[Any, ...]
"""What happened: ("triggered" | "recovered" | "told", rule, error or channel, instant, ...)."""


@dataclass
class Subject:
    """A rule, or a rule and an error."""

    firing_since: datetime | None = None
    last_triggered: datetime | None = None
    false_since: datetime | None = None
    triggers: int = 0
    told: bool = False
    has_incident: bool = False


@dataclass
class Outbox:
    last: datetime | None = None
    waiting: list[str] = field(default_factory=list)


@dataclass
class Rule:
    settings: RuleSettings
    since: datetime
    position: int
    silenced_until: datetime | None = None
    subjects: dict[UUID | None, Subject] = field(default_factory=dict)
    outboxes: dict[str, Outbox] = field(default_factory=dict)

    @property
    def has_incident(self) -> bool:
        return any(one.has_incident for one in self.subjects.values())

    @property
    def condition(self) -> Condition:
        return condition_of(self.settings)

    @property
    def cooldown(self) -> timedelta:
        return length(self.settings.cooldown or self.settings.time_window)

    @property
    def recovery(self) -> timedelta:
        return max(span(one) for one in self.condition.comparisons)

    def silent(self, now: datetime) -> bool:
        return self.silenced_until is not None and now < self.silenced_until


class Naive:
    """Takes the log event by event."""

    def __init__(self) -> None:
        self.log: list[Recorded[Any]] = []
        self.rules: dict[UUID, Rule] = {}
        self.outcomes: list[Outcome] = []
        self._known: dict[tuple[int, Comparison, str], bool] = {}

    def run(self, log: Sequence[Recorded[Any]], until: datetime) -> list[Outcome]:
        for recorded in log:
            self._pass(recorded.recorded_at)
            self.log.append(recorded)
            self._rule_event(recorded)
            self._look(recorded.recorded_at)
            self._tell(recorded.recorded_at)
        self._pass(until)
        return self.outcomes

    # -- time ------------------------------------------------------------------------------------

    def _pass(self, to: datetime) -> None:
        now = self.log[-1].recorded_at if self.log else to
        while (now := self._next(now)) <= to:
            self._look(now)
            self._tell(now)

    def _next(self, now: datetime) -> datetime:
        instants: set[datetime] = set()
        for rule in self.rules.values():
            spans = {span(one) for one in rule.condition.comparisons}
            instants |= {one.recorded_at + s for one in self.log for s in spans}
            instants |= {rule.since + s for s in spans}
            if rule.silenced_until:
                instants.add(rule.silenced_until)
            for subject in rule.subjects.values():
                if subject.last_triggered:
                    instants.add(subject.last_triggered + rule.cooldown)
                if subject.false_since:
                    instants.add(subject.false_since + rule.recovery)
            instants |= {o.last + rule.cooldown for o in rule.outboxes.values() if o.last}
        return min(
            (one for one in instants if one > now), default=datetime.max.replace(tzinfo=now.tzinfo)
        )

    # -- rules -----------------------------------------------------------------------------------

    def _rule_event(self, recorded: Recorded[Any]) -> None:
        event, now = recorded.event, recorded.recorded_at
        match event:
            case AlertRuleCreated():
                self.rules[event.rule_id] = Rule(event.settings, now, recorded.position)
            case AlertRuleChanged():
                rule = self.rules[event.rule_id]
                same = (
                    condition_of(event.before) == condition_of(event.settings)
                    and event.before.app == event.settings.app
                    and event.before.enabled == event.settings.enabled
                )
                if not same:
                    self._end(event.rule_id, rule, now)
                    rule.since, rule.position = now, recorded.position
                rule.settings = event.settings
            case AlertRuleDeleted():
                self._end(event.rule_id, self.rules.pop(event.rule_id), now)
            case AlertRuleSilenced():
                self.rules[event.rule_id].silenced_until = event.until

    def _end(self, rule_id: UUID, rule: Rule, now: datetime) -> None:
        for error_id, subject in sorted(rule.subjects.items(), key=by_error):
            if subject.firing_since:
                self.outcomes.append(("recovered", rule_id, error_id, now, "rule changed"))
                self._leave_incident(rule_id, rule, error_id, subject, now)
        rule.subjects.clear()
        for outbox in rule.outboxes.values():
            outbox.waiting.clear()

    # -- judging ---------------------------------------------------------------------------------

    def _look(self, now: datetime) -> None:
        for rule_id, rule in self.rules.items():
            if not rule.settings.enabled:
                continue
            errors: set[UUID | None] = {None}
            if rule.condition.per_error:
                errors = {one.stream_id for one in self.log if matters(one)}
            for error_id in sorted(errors, key=lambda one: one.int if one else 0):
                self._judge(rule_id, rule, error_id, now)

    def _judge(self, rule_id: UUID, rule: Rule, error_id: UUID | None, now: datetime) -> None:
        counted = [self._count(rule, one, error_id, now) for one in rule.condition.comparisons]
        values = [
            value(c, n) for c, (n, _) in zip(rule.condition.comparisons, counted, strict=True)
        ]
        truths = [
            OPERATORS[c.operator](v, Fraction(str(c.threshold)))
            and not (OPERATORS[c.operator](0, c.threshold) and now < rule.since + span(c))
            for c, v in zip(rule.condition.comparisons, values, strict=True)
        ]
        true = all(truths) if rule.condition.joined == "and" else any(truths)
        if error_id is not None and not any(n for n, _ in counted):
            true = False
        subject = rule.subjects.setdefault(error_id, Subject())
        if true:
            subject.false_since = None
            if subject.last_triggered and now < subject.last_triggered + rule.cooldown:
                return
            positions = sorted(p for _, ps in counted for p in ps)
            spots = [
                self._spots(rule, one, error_id, ps)
                for one, (_, ps) in zip(rule.condition.comparisons, counted, strict=True)
            ]
            elsewhere = len(set().union(*spots)) > 1
            self._trigger(rule_id, rule, error_id, subject, now, values, positions, elsewhere)
        elif subject.firing_since:
            subject.false_since = subject.false_since or now
            if now >= subject.false_since + rule.recovery:
                self._recover(rule_id, rule, error_id, subject, now)

    def _trigger(
        self,
        rule_id: UUID,
        rule: Rule,
        error_id: UUID | None,
        subject: Subject,
        now: datetime,
        values: list[Fraction],
        positions: list[int],
        elsewhere: bool,
    ) -> None:
        silent = rule.silent(now)
        subject.last_triggered = now
        reminder = subject.firing_since is not None
        subject.firing_since = subject.firing_since or now
        ends = (positions[0], positions[-1]) if positions else (0, 0)
        told = (tuple(values), silent, reminder, ends, elsewhere)
        self.outcomes.append(("triggered", rule_id, error_id, now, *told))
        if silent:
            return
        subject.told = True
        if rule.settings.open_incident and not subject.has_incident:
            if not rule.has_incident:
                self.outcomes.append(("opened", rule_id, error_id, now))
            subject.has_incident = True
        self._say(rule_id, rule, "triggered", now)

    def _recover(
        self, rule_id: UUID, rule: Rule, error_id: UUID | None, subject: Subject, now: datetime
    ) -> None:
        silent = rule.silent(now) or not subject.told
        self.outcomes.append(("recovered", rule_id, error_id, now, silent))
        self._leave_incident(rule_id, rule, error_id, subject, now)
        rule.subjects[error_id] = Subject(last_triggered=subject.last_triggered)
        if not silent:
            self._say(rule_id, rule, "recovered", now)

    def _leave_incident(
        self, rule_id: UUID, rule: Rule, error_id: UUID | None, subject: Subject, now: datetime
    ) -> None:
        if subject.has_incident:
            subject.has_incident = False
            if not rule.has_incident:
                self.outcomes.append(("resolved", rule_id, error_id, now))

    def _count(
        self, rule: Rule, comparison: Comparison, error_id: UUID | None, now: datetime
    ) -> tuple[int, list[int]]:
        if comparison.metric == "service_down":
            return self._services(rule, comparison, now)
        entries = [
            one
            for one in self.log
            if now - span(comparison) < one.recorded_at
            and one.position > rule.position
            and error_id in (None, one.stream_id)
            and self._counts(one, comparison, rule.settings.app)
        ]
        if comparison.metric != "affected_users":
            return len(entries), [one.position for one in entries]
        last = {one.event.occurrence.user_id: one.position for one in entries}
        last.pop(None, None)
        return len(last), list(last.values())

    def _spots(
        self, rule: Rule, comparison: Comparison, error_id: UUID | None, positions: list[int]
    ) -> set[tuple[str, ...]]:
        """From where all came that counts, from the oldest of these entries on."""
        if comparison.metric == "service_down" or not positions:
            return set()
        users = comparison.metric == "affected_users"
        said = [
            (one.event.app, report_of(one, self.log))
            for one in self.log
            if one.position >= min(positions)
            and error_id in (None, one.stream_id)
            and self._counts(one, comparison, rule.settings.app)
        ]
        return {(app, one.environment, one.source) for app, one in said if one.user_id or not users}

    def _counts(self, one: Recorded[Any], comparison: Comparison, app: str) -> bool:
        key = (one.position, comparison, app)
        if key not in self._known:
            self._known[key] = counts(one, self.log, comparison, app)
        return self._known[key]

    def _services(self, rule: Rule, comparison: Comparison, now: datetime) -> tuple[int, list[int]]:
        down: dict[str, Recorded[Any]] = {}
        ended: dict[str, tuple[Recorded[Any], Recorded[Any]]] = {}
        for one in self.log:
            match one.event:
                case ServiceWentDown(service=service):
                    down[service] = one
                    ended.pop(service, None)
                case ServiceRecovered(service=service) | ServiceUnwatched(service=service):
                    if service in down:
                        ended[service] = (down.pop(service), one)
        positions = [one.position for one in down.values()]
        count = len(down)
        for begin, end in ended.values():
            if end.recorded_at > now - span(comparison) and end.position > rule.position:
                count += 1
                positions += [begin.position, end.position]
        return count, positions

    # -- telling ---------------------------------------------------------------------------------

    def _say(self, rule_id: UUID, rule: Rule, kind: str, now: datetime) -> None:
        for channel in rule.settings.notifications:
            outbox = rule.outboxes.setdefault(channel, Outbox())
            first = not outbox.waiting
            outbox.waiting.append(kind)
            if first and self._free(rule, outbox, now):
                self._send(rule_id, rule, channel, now)

    def _free(self, rule: Rule, outbox: Outbox, now: datetime) -> bool:
        cooled = outbox.last is None or now >= outbox.last + rule.cooldown
        return cooled and not rule.silent(now)

    def _tell(self, now: datetime) -> None:
        for rule_id, rule in self.rules.items():
            for channel in CHANNELS:
                outbox = rule.outboxes.get(channel, Outbox())
                if outbox.waiting and self._free(rule, outbox, now):
                    self._send(rule_id, rule, channel, now)

    def _send(self, rule_id: UUID, rule: Rule, channel: str, now: datetime) -> None:
        outbox = rule.outboxes[channel]
        kinds, outbox.waiting = outbox.waiting, []
        if channel in rule.settings.notifications:
            outbox.last = now
            self.outcomes.append(("told", rule_id, channel, now, tuple(kinds)))


def value(comparison: Comparison, count: int) -> Fraction:
    minutes = span(comparison) // timedelta(minutes=1)
    return Fraction(count, minutes if comparison.metric == "error_rate" else 1)


def span(comparison: Comparison) -> timedelta:
    return timedelta(seconds=comparison.window.seconds)


def length(text: str) -> timedelta:
    return timedelta(seconds=parse_window(text).seconds)


def by_error(item: tuple[UUID | None, Subject]) -> int:
    return item[0].int if item[0] else 0
