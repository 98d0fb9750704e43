"""Events into windows: who counts what, and which evaluations have to look."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from domain.vocabulary import Channel
from projections.alerting.digest import Outbox
from projections.alerting.evaluation import Evaluation
from projections.alerting.matching import Happening, Index, Source
from projections.alerting.rules import Enforced
from projections.alerting.services import Roster
from projections.alerting.users import Crowd
from projections.alerting.windows import Place, Tape, Window

WHOLE = 0
"""The group of a rule that looks at all it watches at once."""

_MESSAGE = 300
"""Characters of an error's message that are kept."""


class Rule:
    """A rule and all that is known for it. `since` is the instant it came into force, None while
    it is disabled; `silenced_until` in microseconds since 1970. `incident` is the open one that
    further errors join, `involved` how many evaluations belong to each that has not been
    resolved."""

    __slots__ = (
        "enforced",
        "evaluations",
        "incident",
        "involved",
        "outboxes",
        "silenced_until",
        "since",
        "sources",
    )

    def __init__(self, enforced: Enforced, since: int | None) -> None:
        self.enforced = enforced
        self.since = since
        self.silenced_until: int | None = None
        self.evaluations: dict[int, Evaluation] = {}
        self.outboxes: dict[Channel, Outbox] = {}
        self.sources: tuple[Source | None, ...] = ()
        self.incident: UUID | None = None
        self.involved: Counter[UUID] = Counter()

    def silenced(self, now: int) -> bool:
        """Whether nobody is to be told."""
        return self.silenced_until is not None and now < self.silenced_until


class Counting:
    """All that is counted, for all rules in force."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.index = Index()
        self._rules: dict[int, Rule] = {}

    def enroll(self, rule: Rule) -> None:
        """Count for a rule from here on."""
        self.enlist(rule)
        if not rule.enforced.per_error:
            self.open(rule, WHOLE, rule.enforced.settings.app)

    def enlist(self, rule: Rule) -> None:
        """Find a rule its sources. Of a rule on each error evaluations open as errors come."""
        enforced = rule.enforced
        self._rules[enforced.number] = rule
        rule.sources = tuple(
            None if clause.counted is None else self.index.source(clause.counted)
            for clause in enforced.clauses
        )
        for source in rule.sources:
            if source is not None and enforced.per_error:
                source.per_error.add(enforced.number)
                source.stamp += 1

    def withdraw(self, rule: Rule) -> None:
        """Count for it no more."""
        for evaluation in list(rule.evaluations.values()):
            self.close(rule, evaluation)
        for source in rule.sources:
            if source is not None:
                source.per_error.discard(rule.enforced.number)
                self.index.release(source)
        rule.sources = ()
        del self._rules[rule.enforced.number]

    def open(self, rule: Rule, group: int, app: str) -> Evaluation:
        """A new evaluation, with windows on what comes from here on."""
        assert rule.since is not None
        evaluation = Evaluation(rule.enforced, rule.since, group, app)
        windows: list[Window] = []
        for clause, source in zip(rule.enforced.clauses, rule.sources, strict=True):
            watched = self.roster if source is None else source.tape_of(group)
            window = watched.open(clause.span, clause.capacity)
            window.evaluation = evaluation
            windows.append(window)
        evaluation.windows = tuple(windows)
        rule.evaluations[group] = evaluation
        return evaluation

    def close(self, rule: Rule, evaluation: Evaluation) -> None:
        """Forget an evaluation, and what nobody else looks at."""
        for window in evaluation.windows:
            window.close()
        del rule.evaluations[evaluation.group]
        for source in rule.sources:
            if source is not None:
                source.left(evaluation.group)

    def count(self, happening: Happening, now: int, position: int) -> list[Evaluation]:
        """Count an event, for whom it concerns; who has to look, in order."""
        due: list[Evaluation] = []
        group = happening.group.int
        message = happening.message or ""
        place: Place | None = None
        for source in self.index.find(happening):
            if source.contains not in message:
                continue
            if source.contains_more and not source.contained(message):
                continue
            if place is None:
                place = _place(happening)
            whole = source.whole
            if whole is not None and whole.add(now, position, happening.user, place):
                due += whole.woken()
            if source.per_error:
                tape = source.groups.get(group)
                if tape is None or tape.stamp != source.stamp:
                    tape = self._meet(source, happening)
                if tape.add(now, position, happening.user, place):
                    due += tape.woken()
        return in_order(due) if len(due) > 1 else due

    def services(self) -> list[Evaluation]:
        """Who has to look when a service has changed, in order."""
        return in_order(self.roster.woken())

    def _meet(self, source: Source, happening: Happening) -> Tape | Crowd:
        """Every rule on each error has an evaluation of this one from here on."""
        group = happening.group.int
        for number in source.per_error:
            rule = self._rules[number]
            if group not in rule.evaluations:
                self.open(rule, group, happening.app)
        tape = source.groups[group]
        tape.stamp = source.stamp
        return tape


def in_order(evaluations: list[Evaluation]) -> list[Evaluation]:
    """Each once, by rule and error."""
    return sorted(set(evaluations), key=lambda one: one.order)


def _place(happening: Happening) -> Place:
    message = happening.message
    cut = None if message is None else message[:_MESSAGE]
    app, environment, source = happening.app, happening.environment, happening.source
    return Place(app, environment, source, cut, happening.group)
