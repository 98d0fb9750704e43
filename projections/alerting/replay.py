"""The same manager over any stretch of the log: what rules would have done, or did.

It decides and answers, and nothing is executed. Feed it the log page by page: what was recorded
before the rules come into force tells only which services were down by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from domain.message import Recorded
from domain.rule_settings import RuleSettings
from projections.alerting.acting import Action
from projections.alerting.counting import WHOLE, Rule
from projections.alerting.instants import micros
from projections.alerting.limits import value_of
from projections.alerting.manager import Alerting


class GivenRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is given, not found in the log. Its silence is in force from the beginning."""

    rule_id: UUID
    settings: RuleSettings
    version: int = 1
    silenced_until: datetime | None = None


class Bucket(msgspec.Struct, frozen=True):
    """The time from `at` on, and the value in it that was nearest to the rule's condition: the
    highest, or for `<` and `<=` the lowest; of all errors under `per error`. None: none was known.
    Values are told apart as far as the manager tells them apart: `at_least` says that there was
    more."""

    at: datetime
    value: int | float | None
    at_least: bool = False


class Replayed(msgspec.Struct, frozen=True):
    """What the rules would have had done, in order, and their first values over time by rule."""

    actions: list[Action]
    series: dict[UUID, list[Bucket]]


class Replay:
    """Rules over the log from `since` to `until`, both included; of what was recorded at `since`
    only what stands behind position `after`. With `rules` None, the log's own rules.

    `every` asks for a series of the given rules' values in buckets of that length.
    """

    def __init__(
        self,
        rules: Sequence[GivenRule] | None,
        since: datetime,
        until: datetime,
        *,
        after: int = 0,
        every: timedelta | None = None,
        told_apart: int | None = None,
    ) -> None:
        self.manager = Alerting(follows_rules=rules is None, told_apart=told_apart)
        self._rules = list(rules or ())
        self._since, self._until, self._after = since, until, after
        self._actions: list[Action] = []
        self._began = False
        self._every = every
        self._series = {rule.rule_id: _Series(since) for rule in self._rules}

    def take(self, events: Iterable[Recorded[Any]]) -> None:
        """The next events of the log. Those after the end are passed over."""
        for recorded in events:
            if recorded.recorded_at > self._until:
                return
            begins = recorded.recorded_at >= self._since and recorded.position > self._after
            if begins and not self._began:
                self._begin()
            if self._began:
                self._sample_until(recorded.recorded_at)
            self._keep(self.manager.fold((recorded,)))
            if self._began and self._every is not None:
                self._sample(recorded)

    def finish(self) -> Replayed:
        """All that followed, up to the end of the time."""
        if not self._began:
            self._begin()
        self._sample_until(self._until)
        self._keep(self.manager.advance(self._until))
        series = {rule_id: one.finished() for rule_id, one in self._series.items()}
        return Replayed(self._actions, series if self._every is not None else {})

    def _begin(self) -> None:
        self._began = True
        for number, rule in enumerate(self._rules, start=1):
            self.manager.enforce(rule.rule_id, number, rule.version, rule.settings, self._since)
            if rule.silenced_until is not None:
                self.manager.force.silence(
                    rule.rule_id, micros(rule.silenced_until), micros(self._since)
                )
        # What it has to say of the very first instant.
        self._keep(self.manager.advance(self._since))
        self._sample_all(self._since)

    def _keep(self, actions: Iterable[Action]) -> None:
        self._actions += [action for action in actions if action.at >= self._since]

    def _sample_until(self, to: datetime) -> None:
        if self._every is None:
            return
        for series in self._series.values():
            while series.at + self._every <= to:
                at = series.at + self._every
                self._keep(self.manager.advance(at))
                self._next_bucket(at)

    def _next_bucket(self, at: datetime) -> None:
        for series in self._series.values():
            series.next(at)
        self._sample_all(at)

    def _sample_all(self, at: datetime) -> None:
        for rule_id, series in self._series.items():
            rule = self.manager.force.rule(rule_id)
            if rule is not None:
                for group in list(rule.evaluations):
                    series.see(*_value(rule, group, micros(at)))

    def _sample(self, recorded: Recorded[Any]) -> None:
        now = micros(recorded.recorded_at)
        for rule_id, series in self._series.items():
            rule = self.manager.force.rule(rule_id)
            assert rule is not None
            group = recorded.stream_id.int if rule.enforced.per_error else WHOLE
            if group in rule.evaluations:
                series.see(*_value(rule, group, now))


class _Series:
    """The buckets of one rule so far; the last one is being filled."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._value: int | float | None = None
        self._at_least = False
        self._done: list[Bucket] = []

    def see(self, value: int | float, at_least: bool, lowest: bool) -> None:
        if self._value is None or (value < self._value) == lowest:
            self._value, self._at_least = value, at_least

    def next(self, at: datetime) -> None:
        self._done.append(self._bucket())
        self.at, self._value, self._at_least = at, None, False

    def finished(self) -> list[Bucket]:
        return [*self._done, self._bucket()]

    def _bucket(self) -> Bucket:
        return Bucket(self.at, self._value, self._at_least)


def replay(
    events: Iterable[Recorded[Any]],
    rules: Sequence[GivenRule] | None,
    since: datetime,
    until: datetime,
    *,
    every: timedelta | None = None,
) -> Replayed:
    """What follows from all these events; see `Replay`."""
    running = Replay(rules, since, until, every=every)
    running.take(events)
    return running.finish()


def _value(rule: Rule, group: int, now: int) -> tuple[int | float, bool, bool]:
    """A value, whether it is at least so much, and whether the lowest is looked for."""
    evaluation = rule.evaluations[group]
    clause = rule.enforced.clauses[0]
    count = evaluation.windows[0].count(now)
    lowest = clause.comparison.operator in ("<", "<=")
    return value_of(clause.comparison, count), count >= clause.capacity, lowest
