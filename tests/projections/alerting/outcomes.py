"""What a manager answered, in the words of the naive evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from domain.alert import RecoverAlert, TriggerAlert
from domain.delivery import QueueNotification
from domain.incident import ChangeIncident, OpenIncident
from projections.alerting import Action
from projections.alerting.force import RULE_CHANGED


def outcomes(actions: Iterable[Action]) -> list[tuple[Any, ...]]:
    """What happened, one tuple for each action."""
    return [_outcome(action) for action in with_subjects(actions)]


def of_rule(found: Iterable[tuple[Any, ...]], rule_id: UUID) -> list[tuple[Any, ...]]:
    """Those of one rule."""
    return [one for one in found if one[1] == rule_id]


def with_subjects(actions: Iterable[Action]) -> Iterable[tuple[Action, UUID, UUID | None]]:
    """Each action with its rule and error; an incident's are those of what comes before it."""
    rule_id, error_id = UUID(int=0), None
    for action in actions:
        command = action.command
        if isinstance(command, TriggerAlert):
            rule_id, error_id = command.alert.rule_id, command.alert.error_id
        elif isinstance(command, RecoverAlert):
            rule_id, error_id = command.rule_id, command.error_id
        elif isinstance(command, QueueNotification):
            rule_id, error_id = command.rule_id, None
        yield action, rule_id, error_id


def _outcome(found: tuple[Action, UUID, UUID | None]) -> tuple[Any, ...]:
    action, rule_id, error_id = found
    match command := action.command:
        case TriggerAlert(alert=alert):
            assert alert.at == action.at
            ends = (alert.first_position, alert.last_position)
            assert alert.values == tuple(one.value for one in alert.measured)
            told = (alert.values, alert.silenced, alert.reminder, ends, alert.elsewhere)
            return ("triggered", rule_id, error_id, action.at, *told)
        case RecoverAlert():
            assert command.at == action.at
            how = RULE_CHANGED if command.reason == RULE_CHANGED else command.silenced
            return ("recovered", rule_id, error_id, action.at, how)
        case OpenIncident():
            return ("opened", rule_id, error_id, action.at)
        case ChangeIncident():
            return ("resolved", rule_id, error_id, action.at)
        case QueueNotification():
            assert command.count == len(command.alerts)
            kinds = tuple(alert.kind for alert in command.alerts)
            return ("told", command.rule_id, command.channel, action.at, kinds)
    raise AssertionError(command)
