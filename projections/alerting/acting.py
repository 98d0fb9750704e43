"""From a turn of an evaluation to what has to be done: commands, each with an id of its own.

The ids follow from the rule, its version, the error and the instant. So the same turn found a
second time, after a crash or by two at once, is the same event, and the log holds it once.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from domain.alert import AlertFacts, RecoverAlert, TriggerAlert
from domain.alert_message import link_to
from domain.delivery import QueueNotification
from domain.incident import ChangeIncident, IncidentWish, OpenIncident
from domain.message import Command, derived_id
from domain.vocabulary import Channel
from projections.alerting.digest import Waiting
from projections.alerting.evaluation import Evaluation
from projections.alerting.instants import moment
from projections.alerting.limits import value_of
from projections.alerting.rules import Enforced
from projections.alerting.windows import Ends, Place

_TITLE = 200
"""Characters of an incident's title."""


class Action(msgspec.Struct, frozen=True):
    """A command that follows from the log: from the event at `position`, or from the time that has
    passed since then, at the instant `at`."""

    command: Command
    at: datetime
    position: int


def trigger(evaluation: Evaluation, now: int, silenced: bool) -> TriggerAlert:
    """The alert's trigger, at an instant at which it was looked at."""
    enforced = evaluation.enforced
    alert = _facts(evaluation, now, silenced)
    event_id = _id("triggered", enforced, evaluation.group, now)
    return TriggerAlert(event_id=event_id, alert=alert)


def recovery(evaluation: Evaluation, now: int, reason: str, silenced: bool) -> RecoverAlert:
    """The alert's end."""
    enforced = evaluation.enforced
    return RecoverAlert(
        event_id=_id("recovered", enforced, evaluation.group, now),
        rule_id=enforced.rule_id,
        error_id=error_of(evaluation),
        app=evaluation.app,
        at=moment(now),
        reason=reason,
        silenced=silenced,
        incident_id=evaluation.incident,
    )


def incident_opened(alert: AlertFacts) -> OpenIncident:
    """The incident of an alert that has to open one."""
    assert alert.incident_id is not None
    subject = " ".join((alert.error_message or "").split())
    title = f"{alert.rule_name}: {subject}" if subject else alert.rule_name
    return OpenIncident(
        event_id=derived_id("alert", "incident opened", str(alert.incident_id)),
        incident_id=alert.incident_id,
        app=alert.app,
        rule_id=alert.rule_id,
        wish=IncidentWish(
            title=title[:_TITLE], severity=alert.severity, description=alert.explained
        ),
    )


def incident_resolved(incident_id: UUID) -> ChangeIncident:
    """The incident of an alert that has recovered. Somebody may have closed it before."""
    return ChangeIncident(
        event_id=derived_id("alert", "incident resolved", str(incident_id)),
        incident_id=incident_id,
        wish=IncidentWish(status="resolved"),
    )


def incident_of(evaluation: Evaluation) -> UUID:
    """The id of the incident of a firing evaluation."""
    rule_id, began = evaluation.enforced.rule_id, evaluation.firing_since
    return derived_id("alert", "incident", str(rule_id), str(evaluation.group), str(began))


def notification(
    enforced: Enforced, channel: Channel, waiting: Waiting, now: int
) -> QueueNotification:
    """The message that tells by one channel all that has waited."""
    settings, rule_id = enforced.settings, enforced.rule_id
    notification_id = derived_id("alert", "notification", str(rule_id), channel, str(now))
    return QueueNotification(
        event_id=derived_id("alert", "queued", str(notification_id)),
        notification_id=notification_id,
        rule_id=rule_id,
        rule_name=settings.name,
        app=settings.app,
        channel=channel,
        at=moment(now),
        message=waiting.message(settings.name, link_to(rule_id), settings.severity),
        alerts=tuple(waiting.alerts),
        count=waiting.count,
    )


def error_of(evaluation: Evaluation) -> UUID | None:
    """The error that is evaluated, where the rule evaluates each on its own."""
    return UUID(int=evaluation.group) if evaluation.group else None


def _facts(evaluation: Evaluation, now: int, silenced: bool) -> AlertFacts:
    enforced = evaluation.enforced
    settings = enforced.settings
    first = enforced.clauses[0].comparison
    counts = evaluation.counts(now)
    counted, place = _counted(evaluation, counts)
    values = tuple(
        value_of(clause.comparison, count)
        for clause, count in zip(enforced.clauses, counts, strict=True)
    )
    return AlertFacts(
        rule_id=enforced.rule_id,
        rule_version=enforced.version,
        rule_name=settings.name,
        app=evaluation.app,
        severity=settings.severity,
        condition=settings.condition,
        explained=enforced.explained,
        at=moment(now),
        value=values[0],
        values=values,
        threshold=first.threshold,
        window=first.window.text,
        at_least=counts[0] >= enforced.clauses[0].capacity,
        since=moment(counted.since if counted else now - enforced.clauses[0].span),
        first_position=counted.first if counted else 0,
        last_position=counted.last if counted else 0,
        error_id=error_of(evaluation),
        error_message=place.message if place and evaluation.group else None,
        environment=place.environment if place else None,
        source=place.source if place else None,
        silenced=silenced,
        reminder=evaluation.triggers > 1,
        incident_id=evaluation.incident,
    )


def _counted(evaluation: Evaluation, counts: list[int]) -> tuple[Ends | None, Place | None]:
    """The ends of all that was counted, and where the newest of it came from."""
    found: Ends | None = None
    place: Place | None = None
    for window, count in zip(evaluation.windows, counts, strict=True):
        ends = window.ends(count)
        if ends is None:
            continue
        if found is None or ends.last > found.last:
            place = window.place()
        found = ends if found is None else _joined(found, ends)
    return found, place


def _joined(one: Ends, other: Ends) -> Ends:
    return Ends(
        min(one.since, other.since),
        min(one.first, other.first),
        max(one.until, other.until),
        max(one.last, other.last),
    )


def _id(kind: str, enforced: Enforced, group: int, now: int) -> UUID:
    version = str(enforced.version)
    return derived_id("alert", kind, str(enforced.rule_id), version, str(group), str(now))
