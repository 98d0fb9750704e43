"""An alert: what one rule has to say of one subject, from its first trigger to its recovery.

The subject is all that the rule watches or, under `per error`, one error. Whether an alert is due
is found out elsewhere; here is only what became of it, so that every trigger and every recovery is
a fact of the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from domain.condition import Metric, Number, Operator
from domain.decider import Decider
from domain.message import Command, Event, Recorded, derived_id
from domain.vocabulary import Severity


class Measured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One comparison of a condition with the value it found; `at_least` says that more was there
    than was kept count of."""

    metric: Metric
    value: Number
    operator: Operator
    threshold: Number
    window: str
    at_least: bool = False


class AlertFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an alert was triggered, in full: nobody has to look anything up to explain it.

    `condition` is as written, `explained` in words. `at` is the instant that made it true, by
    recorded time. `value` is that of the first comparison, `values` those of all; `at_least` says
    that more was there than was kept count of. `since` is when the oldest entry that counted was
    recorded, the positions are those of the oldest and the newest. `environment` and `source` are
    the last counted occurrence's. `reminder`: it was firing already. `silenced`: nobody was told.

    What follows the incident, old logs do not have: `measured` are all comparisons,
    `firing_since` is the instant of the first trigger of this firing, `elsewhere` says that not
    all that counted came from the place named, `services` names some of those that were down, and
    the `latest` are the error and the message of the last counted occurrence, where the alert is
    not about one error.
    """

    rule_id: UUID
    rule_version: int
    rule_name: str
    app: str
    severity: Severity
    condition: str
    explained: str
    at: datetime
    value: Number
    values: tuple[Number, ...]
    threshold: Number
    window: str
    at_least: bool = False
    since: datetime
    first_position: int
    last_position: int
    error_id: UUID | None = None
    error_message: str | None = None
    environment: str | None = None
    source: str | None = None
    silenced: bool = False
    reminder: bool = False
    incident_id: UUID | None = None
    measured: tuple[Measured, ...] = ()
    firing_since: datetime | None = None
    elsewhere: bool = False
    services: tuple[str, ...] = ()
    latest_error_id: UUID | None = None
    latest_message: str | None = None


# -- commands ------------------------------------------------------------------------------------


class TriggerAlert(Command, frozen=True, kw_only=True):
    """A rule's condition is true, and its cooldown over."""

    alert: AlertFacts

    @property
    def stream_id(self) -> UUID:
        """The alert's stream."""
        return alert_id(self.alert.rule_id, self.alert.error_id)


class RecoverAlert(Command, frozen=True, kw_only=True):
    """A rule's condition was false for a whole window, or the rule is not what it was."""

    rule_id: UUID
    error_id: UUID | None = None
    app: str
    at: datetime
    reason: str
    silenced: bool = False
    incident_id: UUID | None = None

    @property
    def stream_id(self) -> UUID:
        """The alert's stream."""
        return alert_id(self.rule_id, self.error_id)


# -- events --------------------------------------------------------------------------------------


class AlertTriggered(Event, frozen=True, kw_only=True):
    """The alert is firing, or still is."""

    facts: AlertFacts


class AlertRecovered(Event, frozen=True, kw_only=True):
    """The alert fires no more. `triggered_at` is when it began to, `triggers` how often it has
    triggered since, reminders included."""

    rule_id: UUID
    rule_name: str
    app: str
    error_id: UUID | None = None
    at: datetime
    triggered_at: datetime
    triggers: int
    reason: str
    silenced: bool = False
    incident_id: UUID | None = None


EVENTS: frozenset[type[Event]] = frozenset({AlertTriggered, AlertRecovered})


# -- state ---------------------------------------------------------------------------------------


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an alert stands. `triggered_at` is when it began to fire and `triggers` how often it has
    since; `facts` are those of the last trigger, and stay when it has recovered."""

    firing: bool = False
    triggered_at: datetime | None = None
    triggers: int = 0
    facts: AlertFacts | None = None


def evolve(state: Alert, recorded: Recorded[Event]) -> Alert:
    """Fold one event into the alert's state."""
    event = recorded.event
    match event:
        case AlertTriggered():
            return Alert(
                firing=True,
                triggered_at=state.triggered_at or event.facts.at,
                triggers=state.triggers + 1,
                facts=event.facts,
            )
        case AlertRecovered():
            return Alert(facts=state.facts)
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: Alert, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where the alert is what the command says."""
    match command:
        case TriggerAlert():
            if state.firing and state.facts == command.alert:
                return ()
            return (AlertTriggered(facts=command.alert),)
        case RecoverAlert():
            return _recover(state, command)
    raise TypeError(f"an alert cannot decide {type(command).__name__}")


def _recover(state: Alert, command: RecoverAlert) -> Sequence[Event]:
    if not state.firing:
        return ()
    assert state.facts and state.triggered_at
    return (
        AlertRecovered(
            rule_id=command.rule_id,
            rule_name=state.facts.rule_name,
            app=command.app,
            error_id=command.error_id,
            at=command.at,
            triggered_at=state.triggered_at,
            triggers=state.triggers,
            reason=command.reason,
            silenced=command.silenced,
            incident_id=command.incident_id,
        ),
    )


def alert_id(rule_id: UUID, error_id: UUID | None) -> UUID:
    """The stream of a rule's alert; `error_id` where the rule evaluates each error."""
    return derived_id("alert", str(rule_id), "" if error_id is None else str(error_id))


decider = Decider(
    kind="alert",
    state_type=Alert,
    state_schema=2,
    initial=Alert(),
    evolve=evolve,
    decide=decide,
)
