"""A rule in force: its condition made ready for counting."""

from __future__ import annotations

from uuid import UUID

import msgspec

from domain.condition import Comparison, explain, parse_window
from domain.rule_settings import RuleSettings, condition_of
from projections.alerting.instants import SECOND
from projections.alerting.limits import Limits, limits_of
from projections.alerting.matching import Counted, counted_by
from projections.alerting.windows import FINE

TOLD_APART = 1_000
"""How far a window of a whole rule counts, where its threshold needs less."""
TOLD_APART_PER_ERROR = 20
"""The same where there is one window for each error."""


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of a rule. `counted` is None for service_down; `waits` says that it holds
    for nothing at all, and so is false until a whole window has been watched."""

    comparison: Comparison
    counted: Counted | None
    limits: Limits
    span: int
    capacity: int
    waits: bool


class Enforced(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule does, from its settings. `number` is its own, the position in the log of its
    creation; lengths of time are microseconds."""

    rule_id: UUID
    number: int
    version: int
    settings: RuleSettings
    clauses: tuple[Clause, ...]
    both: bool
    per_error: bool
    cooldown: int
    recovery: int
    explained: str


def enforced(
    rule_id: UUID, number: int, version: int, settings: RuleSettings, told_apart: int | None = None
) -> Enforced:
    """A rule made ready. `told_apart` overrides how far its windows count, for who wants to see
    all that was counted."""
    condition = condition_of(settings)
    default = TOLD_APART_PER_ERROR if condition.per_error else TOLD_APART
    clauses = tuple(
        _clause(one, settings.app, number, told_apart or default) for one in condition.comparisons
    )
    return Enforced(
        rule_id=rule_id,
        number=number,
        version=version,
        settings=settings,
        clauses=clauses,
        both=condition.joined == "and",
        per_error=condition.per_error,
        cooldown=parse_window(settings.cooldown or settings.time_window).seconds * SECOND,
        recovery=max(clause.span for clause in clauses),
        explained=explain(condition),
    )


def keeps_its_windows(before: RuleSettings, after: RuleSettings) -> bool:
    """Whether what a rule counts and waits for is the same after a change of it."""
    same = before.app == after.app and before.enabled == after.enabled
    return same and condition_of(before) == condition_of(after)


def _clause(comparison: Comparison, app: str, number: int, told_apart: int) -> Clause:
    limits = limits_of(comparison)
    capacity = max(limits.known, told_apart)
    counted = None
    if comparison.metric != "service_down":
        counted = counted_by(comparison, app, number)
        if capacity > FINE and not counted.users:
            # A coarse tape depends on when it began, so it is not shared.
            counted = msgspec.structs.replace(counted, owner=-number)
    return Clause(
        comparison=comparison,
        counted=counted,
        limits=limits,
        span=comparison.window.seconds * SECOND,
        capacity=capacity,
        waits=limits.hold(0),
    )
