"""From a turn of an evaluation to what has to be done: commands, each with an id of its own.

The ids follow from the rule, its version, the error and the instant. So the same turn found a
second time, after a crash or by two at once, is the same event, and the log holds it once.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.alert import AlertFacts, Measured, RecoverAlert, TriggerAlert
from domain.alert_message import where
from domain.delivery import QueueNotification
from domain.incident import ChangeIncident, IncidentWish, OpenIncident
from domain.message import Command, derived_id
from domain.vocabulary import Channel
from projections.alerting.digest import Waiting
from projections.alerting.evaluation import Evaluation
from projections.alerting.instants import moment
from projections.alerting.limits import value_of
from projections.alerting.rules import Enforced
from projections.alerting.services import Services
from projections.alerting.windows import Ends, Place

_TITLE = 200
"""Characters of an incident's title."""
_NAMED = 5
"""How many services an alert names."""


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
            title=title[:_TITLE],
            severity=alert.severity,
            description=f"{alert.explained} Where: {where(alert)}.",
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
        message=waiting.message(rule_id, settings),
        alerts=tuple(waiting.alerts),
        count=waiting.count,
    )


def error_of(evaluation: Evaluation) -> UUID | None:
    """The error that is evaluated, where the rule evaluates each on its own."""
    return UUID(int=evaluation.group) if evaluation.group else None


def _facts(evaluation: Evaluation, now: int, silenced: bool) -> AlertFacts:
    enforced = evaluation.enforced
    settings = enforced.settings
    counts = evaluation.counts(now)
    counted = _counted(evaluation, counts)
    ends, place, whole = counted.ends, counted.place, not enforced.per_error
    measured = _measured(evaluation, counts)
    first = measured[0]
    assert evaluation.firing_since is not None
    return AlertFacts(
        rule_id=enforced.rule_id,
        rule_version=enforced.version,
        rule_name=settings.name,
        app=evaluation.app,
        severity=settings.severity,
        condition=settings.condition,
        explained=enforced.explained,
        at=moment(now),
        value=first.value,
        values=tuple(one.value for one in measured),
        threshold=first.threshold,
        window=first.window,
        at_least=first.at_least,
        since=moment(ends.since if ends else now - enforced.clauses[0].span),
        first_position=ends.first if ends else 0,
        last_position=ends.last if ends else 0,
        error_id=error_of(evaluation),
        error_message=None if place is None or whole else place.message,
        environment=place.environment if place else None,
        source=place.source if place else None,
        silenced=silenced,
        reminder=evaluation.triggers > 1,
        incident_id=evaluation.incident,
        measured=measured,
        firing_since=moment(evaluation.firing_since),
        elsewhere=counted.elsewhere,
        services=_services(evaluation),
        latest_error_id=place.error_id if place and whole else None,
        latest_message=place.message if place and whole else None,
    )


def _measured(evaluation: Evaluation, counts: list[int]) -> tuple[Measured, ...]:
    return tuple(
        Measured(
            metric=clause.comparison.metric,
            value=value_of(clause.comparison, count),
            operator=clause.comparison.operator,
            threshold=clause.comparison.threshold,
            window=clause.comparison.window.text,
            at_least=count >= clause.capacity,
        )
        for clause, count in zip(evaluation.enforced.clauses, counts, strict=True)
    )


class _Counted(NamedTuple):
    """All that was counted: its ends, where the newest of it came from, and whether some of it
    came from elsewhere."""

    ends: Ends | None = None
    place: Place | None = None
    elsewhere: bool = False


def _counted(evaluation: Evaluation, counts: list[int]) -> _Counted:
    found = _Counted()
    for window, count in zip(evaluation.windows, counts, strict=True):
        ends = window.ends(count)
        if ends is None:
            continue
        place, before = window.place(), found.place
        elsewhere = found.elsewhere or window.moved() > ends.first
        if place is None or before is None:
            place = place or before
        else:
            elsewhere = elsewhere or place.spot != before.spot
            place = place if found.ends is None or ends.last > found.ends.last else before
        joined = ends if found.ends is None else _joined(found.ends, ends)
        found = _Counted(joined, place, elsewhere)
    return found


def _services(evaluation: Evaluation) -> tuple[str, ...]:
    """Some of the services that the last count counted."""
    named = [one.names() for one in evaluation.windows if isinstance(one, Services)]
    return tuple(max(named, key=len, default=[])[:_NAMED])


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
