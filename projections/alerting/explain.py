"""Why a rule says what it says at an instant: the manager is run up to there, and looked at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from domain.condition import Metric, Number, Operator
from domain.message import Recorded
from domain.rule_settings import RuleSettings
from domain.times import rfc3339
from projections.alerting.counting import WHOLE, Rule
from projections.alerting.evaluation import Evaluation
from projections.alerting.instants import micros, moment
from projections.alerting.limits import value_of
from projections.alerting.replay import GivenRule, Replay
from projections.alerting.rules import Clause, enforced
from projections.alerting.windows import FINE

POSITIONS = 1_000
"""How many positions an explanation names; `counted` says how many there are."""


class ExplainedComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison at an instant: entries recorded after `window_start`, up to the instant,
    counted; `positions` are the newest of them, newest first. `waits_until`: it would be true of
    nothing at all, so until then it is held false."""

    metric: Metric
    operator: Operator
    threshold: Number
    window: str
    window_start: datetime
    value: Number
    holds: bool
    waits_until: datetime | None
    counted: int
    positions: tuple[int, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, or a rule and an error, at an instant.

    `verdict`: whether the condition is true. `since` is when the rule came into force; None while
    it is disabled. `firing_since` None: it does not fire; `false_since`: it fires, and the
    condition is false since then; it recovers at `recovers_at` if that stays so. Within
    `cooldown_until` nothing more is triggered.
    """

    rule_id: UUID
    version: int
    condition: str
    explained: str
    at: datetime
    error_id: UUID | None
    since: datetime | None
    verdict: bool
    words: str
    joined: Literal["and", "or"] | None
    comparisons: tuple[ExplainedComparison, ...]
    firing_since: datetime | None
    last_triggered: datetime | None
    triggers: int
    cooldown_until: datetime | None
    false_since: datetime | None
    recovers_at: datetime | None
    silenced: bool


class Watched(msgspec.Struct, frozen=True):
    """An error that a rule on each error has counted something of, and what, by comparison."""

    error_id: UUID
    values: tuple[Number, ...]
    firing: bool


class Inspection:
    """A rule run over the log up to an instant, to be asked afterwards.

    `since` and `after` say where it came into force: the time, and the position of the event that
    brought it. Feed all that was recorded from there on; with less, what fires and the cooldown are
    those that follow from what was fed, and windows are whole if they lie within it.
    """

    def __init__(self, rule: GivenRule, since: datetime, at: datetime, after: int = 0) -> None:
        self._rule, self._at = rule, at
        self._replay = Replay([rule], since, at, after=after, told_apart=FINE)

    def take(self, events: Iterable[Recorded[Any]]) -> None:
        """The next events of the log; those after the instant are passed over."""
        self._replay.take(events)

    def finish(self) -> None:
        """All is fed."""
        self._replay.finish()

    def explanation(self, error_id: UUID | None = None) -> Explanation:
        """How the rule stands; with `error_id`, for that error."""
        rule = self._enforced
        group = WHOLE if error_id is None else error_id.int
        evaluation = rule.evaluations.get(group)
        made = rule.enforced
        now = micros(self._at)
        if evaluation is None:  # disabled, or nothing counted: what has no windows counts nothing
            evaluation = Evaluation(made, now if rule.since is None else rule.since, group, "")
        shown = tuple(
            _comparison(evaluation, clause, index, now) for index, clause in enumerate(made.clauses)
        )
        counts = [one.counted for one in shown]
        verdict = rule.since is not None and evaluation.verdict(now, counts)
        false_since = evaluation.false_since
        return Explanation(
            rule_id=made.rule_id,
            version=made.version,
            condition=made.settings.condition,
            explained=made.explained,
            at=self._at,
            error_id=error_id,
            since=_moment(rule.since),
            verdict=verdict,
            words=_words(rule, verdict, shown),
            joined=None if len(shown) == 1 else "and" if made.both else "or",
            comparisons=shown,
            firing_since=_moment(evaluation.firing_since),
            last_triggered=_moment(evaluation.last_triggered),
            triggers=evaluation.triggers,
            cooldown_until=_moment(evaluation.cooled()),
            false_since=_moment(false_since),
            recovers_at=None if false_since is None else moment(false_since + made.recovery),
            silenced=rule.silenced(now),
        )

    def errors(self, most: int = 20) -> list[Watched]:
        """The errors of a rule on each error that have counted most, the most first."""
        rule, now = self._enforced, micros(self._at)
        found = [
            Watched(
                UUID(int=group),
                tuple(
                    value_of(clause.comparison, window.count(now))
                    for clause, window in zip(
                        rule.enforced.clauses, evaluation.windows, strict=True
                    )
                ),
                evaluation.firing_since is not None,
            )
            for group, evaluation in rule.evaluations.items()
            if group != WHOLE
        ]
        return sorted(found, key=lambda one: (*(-v for v in one.values), one.error_id))[:most]

    @property
    def _enforced(self) -> Rule:
        rule = self._replay.manager.force.rule(self._rule.rule_id)
        assert rule is not None
        return rule


def explained(
    events: Iterable[Recorded[Any]],
    rule: GivenRule,
    since: datetime,
    at: datetime,
    *,
    after: int = 0,
    error_id: UUID | None = None,
) -> Explanation:
    """How a rule stands at an instant, after all these events; see `Inspection`."""
    inspection = Inspection(rule, since, at, after)
    inspection.take(events)
    inspection.finish()
    return inspection.explanation(error_id)


def longest_memory(settings: RuleSettings) -> int:
    """Seconds of the log before an instant that decide on a rule's verdict there."""
    made = enforced(UUID(int=0), 1, 1, settings)
    return max(clause.comparison.window.seconds for clause in made.clauses)


def _comparison(
    evaluation: Evaluation, clause: Clause, index: int, now: int
) -> ExplainedComparison:
    comparison = clause.comparison
    window = evaluation.windows[index] if evaluation.windows else None
    positions = [] if window is None else window.positions(now)
    count = 0 if window is None else window.count(now)
    watched = evaluation.since + clause.span
    waits = clause.waits and now < watched
    return ExplainedComparison(
        metric=comparison.metric,
        operator=comparison.operator,
        threshold=comparison.threshold,
        window=comparison.window.text,
        window_start=moment(max(now - clause.span, evaluation.since)),
        value=value_of(comparison, count),
        holds=clause.limits.hold(count) and not waits,
        waits_until=moment(watched) if waits else None,
        counted=count,
        positions=tuple(reversed(positions[-POSITIONS:])),
    )


def _words(rule: Rule, verdict: bool, shown: tuple[ExplainedComparison, ...]) -> str:
    if rule.since is None:
        return "The rule is disabled, so it counts nothing."
    values = " and ".join(f"{one.metric} is {one.value} in {one.window}" for one in shown)
    limits = f" {'and' if rule.enforced.both else 'or'} ".join(
        f"{one.metric} {one.operator} {one.threshold}" for one in shown
    )
    waits = [one.waits_until for one in shown if one.waits_until is not None]
    until = f", at {rfc3339(max(waits).replace(microsecond=0))}" if waits else ""
    held = f" It is held false until a whole window was watched{until}." if waits else ""
    return f"{values}; asked is {limits}: {'true' if verdict else 'false'}.{held}"


def _moment(instant: int | None) -> datetime | None:
    return None if instant is None else moment(instant)
