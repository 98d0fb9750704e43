"""The rules in force: when each is looked at, and what comes of it."""

from __future__ import annotations

from uuid import UUID

from domain.alert_message import Told, recovered, triggered
from domain.delivery import AlertKind, AlertRef
from domain.message import Command
from domain.rule_settings import RuleSettings
from domain.vocabulary import CHANNELS, Channel
from projections.alerting import acting
from projections.alerting.acting import Action
from projections.alerting.calendar import Calendar, Entry
from projections.alerting.counting import Counting, Rule
from projections.alerting.digest import Outbox
from projections.alerting.evaluation import Evaluation
from projections.alerting.instants import moment
from projections.alerting.rules import Enforced, enforced, keeps_its_windows
from projections.alerting.services import Roster

FALSE_FOR_A_WINDOW = "the condition was false for a whole window"
RULE_CHANGED = "rule changed"


class Force:
    """All rules by number. `position` is the event up to which the log was taken in."""

    def __init__(self, told_apart: int | None = None) -> None:
        self.counting = Counting()
        self.calendar = Calendar()
        self.rules: dict[int, Rule] = {}
        self.numbers: dict[UUID, int] = {}
        self.position = 0
        self._told_apart = told_apart
        self._actions: list[Action] = []

    @property
    def roster(self) -> Roster:
        """Which services are down."""
        return self.counting.roster

    def rule(self, rule_id: UUID) -> Rule | None:
        """A rule by its id."""
        number = self.numbers.get(rule_id)
        return None if number is None else self.rules[number]

    def answered(self) -> list[Action]:
        """What has come up since the last time."""
        actions, self._actions = self._actions, []
        return actions

    # -- rules -----------------------------------------------------------------------------------

    def say(
        self, rule_id: UUID, number: int, version: int, settings: RuleSettings, now: int
    ) -> None:
        """A rule is new, or says something else from here on. A known one keeps its number."""
        number = self.numbers.setdefault(rule_id, number)
        made = enforced(rule_id, number, version, settings, self._told_apart)
        rule = self.rules.get(number)
        if rule is None:
            rule = self.rules[number] = Rule(made, None)
        elif keeps_its_windows(rule.enforced.settings, settings):
            self._amend(rule, made, now)
            return
        else:
            self._end(rule, now)
        rule.enforced = made
        if settings.enabled:
            rule.since = now
            self.counting.enroll(rule)
            for evaluation in list(rule.evaluations.values()):
                self.look(evaluation, now)
        self._arrange_all(rule, now)

    def delete(self, rule_id: UUID, now: int) -> None:
        """A rule holds no more."""
        number = self.numbers.pop(rule_id, None)
        if number is not None:
            self._end(self.rules.pop(number), now)

    def silence(self, rule_id: UUID, until: int | None, now: int) -> None:
        """Nobody is told of a rule until then; None: from now on people are told again."""
        rule = self.rule(rule_id)
        if rule is not None:
            rule.silenced_until = until
            self._arrange_all(rule, now)

    def _amend(self, rule: Rule, made: Enforced, now: int) -> None:
        rule.enforced = made
        for evaluation in sorted(rule.evaluations.values(), key=lambda one: one.order):
            evaluation.enforced = made
            self.look(evaluation, now)
        self._arrange_all(rule, now)

    def _end(self, rule: Rule, now: int) -> None:
        """What the rule was about is over; nobody is told, for it was somebody's wish."""
        if rule.since is None:
            return
        for evaluation in sorted(rule.evaluations.values(), key=lambda one: one.order):
            if evaluation.firing_since is not None:
                silenced = rule.silenced(now) or not evaluation.told
                self._do(acting.recovery(evaluation, now, RULE_CHANGED, silenced), now)
                self._leave_incident(rule, evaluation, now)
        self.counting.withdraw(rule)
        rule.since = None
        for outbox in rule.outboxes.values():
            outbox.drop()

    def close_incident(self, rule_id: UUID, incident: UUID) -> None:
        """Somebody has done with an incident: nothing joins it any more."""
        rule = self.rule(rule_id)
        if rule is not None and rule.incident == incident:
            rule.incident = None

    # -- time ------------------------------------------------------------------------------------

    def visit(self, now: int) -> None:
        """Do what is due up to and including now, each at its own instant."""
        calendar = self.calendar
        while calendar.next <= now:
            entry = calendar.take()
            rule = self.rules.get(entry.rule)
            if rule is None:
                continue
            if entry.telling:
                self._tell(rule, CHANNELS[entry.key], entry.instant)
                continue
            evaluation = rule.evaluations.get(entry.key)
            if evaluation is not None and evaluation.due == entry.instant:
                evaluation.due = None
                self.look(evaluation, entry.instant)

    def look(self, evaluation: Evaluation, now: int) -> None:
        """Judge, act on it, and arrange the next look."""
        rule = self.rules[evaluation.enforced.number]
        turn, again = evaluation.look(now)
        if turn == "triggered":
            self._trigger(rule, evaluation, now)
        elif turn == "recovered":
            self._recover(rule, evaluation, now)
            again = evaluation.look(now)[1]
        if again is None and evaluation.over(now):
            self.counting.close(rule, evaluation)
        elif again is not None and (evaluation.due is None or again < evaluation.due):
            evaluation.due = again
            self.calendar.put(Entry(again, evaluation.enforced.number, False, evaluation.group))

    # -- what comes of it ------------------------------------------------------------------------

    def _trigger(self, rule: Rule, evaluation: Evaluation, now: int) -> None:
        silenced = rule.silenced(now)
        opens = False
        if not silenced:
            evaluation.told = True
            if rule.enforced.settings.open_incident and evaluation.incident is None:
                opens = self._join_incident(rule, evaluation)
        command = acting.trigger(evaluation, now, silenced)
        evaluation.facts = command.alert
        self._do(command, now)
        if opens:
            self._do(acting.incident_opened(command.alert), now)
        if not silenced:
            self._say(
                rule, triggered(command.alert), _ref(command, evaluation, "triggered", now), now
            )

    def _recover(self, rule: Rule, evaluation: Evaluation, now: int) -> None:
        silenced = rule.silenced(now) or not evaluation.told
        command = acting.recovery(evaluation, now, FALSE_FOR_A_WINDOW, silenced)
        self._do(command, now)
        self._leave_incident(rule, evaluation, now)
        facts, since = evaluation.facts, evaluation.firing_since
        assert facts is not None
        assert since is not None
        if not silenced:
            told = recovered(
                facts, moment(since), moment(now), evaluation.triggers, FALSE_FOR_A_WINDOW
            )
            self._say(rule, told, _ref(command, evaluation, "recovered", now), now)
        evaluation.recovered()

    def _join_incident(self, rule: Rule, evaluation: Evaluation) -> bool:
        """Into the rule's open incident; whether it has to be opened."""
        opens = rule.incident is None
        if opens:
            rule.incident = acting.incident_of(evaluation)
        evaluation.incident = rule.incident
        assert rule.incident is not None
        rule.involved[rule.incident] += 1
        return opens

    def _leave_incident(self, rule: Rule, evaluation: Evaluation, now: int) -> None:
        """The last one that belongs to it resolves it."""
        incident = evaluation.incident
        if incident is None:
            return
        rule.involved[incident] -= 1
        if not rule.involved[incident]:
            del rule.involved[incident]
            if rule.incident == incident:
                rule.incident = None
            self._do(acting.incident_resolved(incident), now)

    def _say(self, rule: Rule, told: Told, alert: AlertRef, now: int) -> None:
        for channel in rule.enforced.settings.notifications:
            outbox = rule.outboxes.setdefault(channel, Outbox())
            if outbox.put(told, alert) == 1:
                self._arrange(rule, channel, now)

    def _arrange_all(self, rule: Rule, now: int) -> None:
        for channel in CHANNELS:
            outbox = rule.outboxes.get(channel)
            if outbox is not None and outbox.waiting is not None:
                self._arrange(rule, channel, now)

    def _arrange(self, rule: Rule, channel: Channel, now: int) -> None:
        """Tell what may be told now, or put down when it may."""
        outbox = rule.outboxes[channel]
        free = outbox.free(rule.enforced.cooldown)
        if rule.silenced_until is not None:
            free = max(free, rule.silenced_until)
        if free <= now:
            self._send(rule, channel, now)
        elif outbox.due != free:
            outbox.due = free
            number, key = rule.enforced.number, CHANNELS.index(channel)
            self.calendar.put(Entry(free, number, True, key))

    def _tell(self, rule: Rule, channel: Channel, now: int) -> None:
        outbox = rule.outboxes.get(channel)
        if outbox is not None and outbox.due == now:
            self._send(rule, channel, now)

    def _send(self, rule: Rule, channel: Channel, now: int) -> None:
        outbox = rule.outboxes[channel]
        if channel not in rule.enforced.settings.notifications:
            outbox.drop()
        elif (waiting := outbox.take(now)) is not None:
            self._do(acting.notification(rule.enforced, channel, waiting, now), now)

    def _do(self, command: Command, now: int) -> None:
        self._actions.append(Action(command, moment(now), self.position))


def _ref(command: Command, evaluation: Evaluation, kind: AlertKind, now: int) -> AlertRef:
    assert command.event_id is not None
    return AlertRef(command.event_id, acting.error_of(evaluation), moment(now), kind)
