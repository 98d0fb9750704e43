"""An alert rule: the condition under which somebody wants to be told, and how.

What a rule says, and the rules for saying it, are in `domain.rule_settings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from domain.decider import Decider
from domain.failures import AlreadyExists, Conflict, Invalid, NotFound
from domain.message import Command, Event, Recorded
from domain.rule_settings import RuleSettings, RuleWish, merged, settled
from domain.vocabulary import ANY_APP

# -- commands ------------------------------------------------------------------------------------


class CreateAlertRule(Command, frozen=True, kw_only=True):
    """Somebody wants to be told of something."""

    rule_id: UUID
    wish: RuleWish

    @property
    def stream_id(self) -> UUID:
        """The rule's id."""
        return self.rule_id


class _RuleCommand(Command, frozen=True, kw_only=True):
    rule_id: UUID
    seen_by: str = ANY_APP
    expected_version: int | None = None

    @property
    def stream_id(self) -> UUID:
        """The rule's id."""
        return self.rule_id


class ChangeAlertRule(_RuleCommand, frozen=True, kw_only=True):
    """Somebody changes a rule. `seen_by` is the application whose rules they may see, or "*";
    `expected_version` is what they have seen of this one."""

    wish: RuleWish


class DeleteAlertRule(_RuleCommand, frozen=True, kw_only=True):
    """Somebody takes a rule away, for good."""


class SilenceAlertRule(_RuleCommand, frozen=True, kw_only=True):
    """Somebody wants no messages of a rule until a time; None ends the silence."""

    until: datetime | None
    now: datetime


# -- events --------------------------------------------------------------------------------------


class AlertRuleCreated(Event, frozen=True, kw_only=True):
    """The rule holds from here on."""

    rule_id: UUID
    settings: RuleSettings


class AlertRuleChanged(Event, frozen=True, kw_only=True):
    """The rule says something else from here on. `version` counts from 1, the creation."""

    rule_id: UUID
    created_at: datetime
    version: int
    before: RuleSettings
    settings: RuleSettings


class AlertRuleDeleted(Event, frozen=True, kw_only=True):
    """The rule holds no more."""

    rule_id: UUID
    app: str


class AlertRuleSilenced(Event, frozen=True, kw_only=True):
    """The rule sends nothing until this time, or again from here on (None). What it says is as it
    was, hence its version too."""

    rule_id: UUID
    app: str
    until: datetime | None = None


EVENTS: frozenset[type[Event]] = frozenset(
    {AlertRuleCreated, AlertRuleChanged, AlertRuleDeleted, AlertRuleSilenced}
)


# -- state ---------------------------------------------------------------------------------------


class AlertRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of a rule. The id of a deleted one stays taken."""

    rule_id: UUID | None = None
    settings: RuleSettings | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int = 0
    silenced_until: datetime | None = None


def evolve(state: AlertRule, recorded: Recorded[Event]) -> AlertRule:
    """Fold one event into the rule's state."""
    event = recorded.event
    match event:
        case AlertRuleCreated():
            return AlertRule(
                rule_id=event.rule_id,
                settings=event.settings,
                created_at=recorded.recorded_at,
                updated_at=recorded.recorded_at,
                version=1,
            )
        case AlertRuleChanged():
            return msgspec.structs.replace(
                state,
                settings=event.settings,
                updated_at=recorded.recorded_at,
                version=event.version,
            )
        case AlertRuleDeleted():
            return AlertRule(rule_id=event.rule_id)
        case AlertRuleSilenced():
            return msgspec.structs.replace(state, silenced_until=event.until)
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: AlertRule, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where nothing changes.

    Raises Invalid for a value that breaks a rule, NotFound for a rule that is not there to see,
    Conflict for a version that is no longer the latest, AlreadyExists for a taken id.
    """
    match command:
        case CreateAlertRule():
            return _create(state, command)
        case ChangeAlertRule():
            return _change(state, command)
        case DeleteAlertRule():
            app = _existing(state, command).app
            return (AlertRuleDeleted(rule_id=command.rule_id, app=app),)
        case SilenceAlertRule():
            return _silence(state, command)
    raise TypeError(f"an alert rule cannot decide {type(command).__name__}")


def _create(state: AlertRule, command: CreateAlertRule) -> Sequence[Event]:
    settings = settled(command.wish)
    if state.rule_id is None:
        return (AlertRuleCreated(rule_id=command.rule_id, settings=settings),)
    if state.version == 1 and state.settings == settings:
        return ()
    raise AlreadyExists("an alert rule with this id exists or existed")


def _change(state: AlertRule, command: ChangeAlertRule) -> Sequence[Event]:
    before = _existing(state, command)
    settings = settled(merged(command.wish, before))
    if settings == before:
        return ()
    assert state.created_at is not None
    return (
        AlertRuleChanged(
            rule_id=command.rule_id,
            created_at=state.created_at,
            version=state.version + 1,
            before=before,
            settings=settings,
        ),
    )


def _silence(state: AlertRule, command: SilenceAlertRule) -> Sequence[Event]:
    app = _existing(state, command).app
    if command.until is not None and command.until <= command.now:
        raise Invalid("until", "must lie in the future")
    if command.until == state.silenced_until:
        return ()
    return (AlertRuleSilenced(rule_id=command.rule_id, app=app, until=command.until),)


def _existing(state: AlertRule, command: _RuleCommand) -> RuleSettings:
    settings = state.settings
    if settings is None or command.seen_by not in (ANY_APP, settings.app):
        raise NotFound("no such alert rule")
    if command.expected_version not in (None, state.version):
        raise Conflict(f"the alert rule is at version {state.version} by now")
    return settings


decider = Decider(
    kind="alert_rule",
    state_type=AlertRule,
    state_schema=2,
    initial=AlertRule(),
    evolve=evolve,
    decide=decide,
)
