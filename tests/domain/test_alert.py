"""What becomes of an alert."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import alert
from domain.alert import AlertRecovered, AlertTriggered, RecoverAlert, TriggerAlert, alert_id
from tests.alerts import facts
from tests.projections.helpers import START
from tests.spec import given

RULE, ERROR = UUID(int=1), UUID(int=2)
LATER = START + timedelta(minutes=5)
FACTS = facts(rule_id=RULE)
REMINDER = facts(rule_id=RULE, at=LATER, reminder=True)


def recover(**changes: Any) -> RecoverAlert:
    fields = {"rule_id": RULE, "app": "default", "at": LATER, "reason": "quiet"}
    return RecoverAlert(**(fields | changes))


def test_a_trigger_is_a_fact_with_all_its_reasons() -> None:
    given(alert.decider).when(TriggerAlert(alert=FACTS)).then(AlertTriggered(facts=FACTS))


def test_a_trigger_while_it_fires_is_a_further_fact() -> None:
    firing = given(alert.decider, AlertTriggered(facts=FACTS))
    firing.when(TriggerAlert(alert=REMINDER)).then(AlertTriggered(facts=REMINDER))


def test_the_recovery_tells_when_it_began_and_how_often_it_triggered() -> None:
    firing = given(alert.decider, AlertTriggered(facts=FACTS), AlertTriggered(facts=REMINDER))
    recovered = AlertRecovered(
        rule_id=RULE,
        rule_name="Rule",
        app="default",
        at=LATER,
        triggered_at=START,
        triggers=2,
        reason="quiet",
    )
    firing.when(recover()).then(recovered)
    firing.when(recover(), recover()).then(recovered)


def test_what_does_not_fire_does_not_recover() -> None:
    given(alert.decider).when(recover()).then_nothing()


def test_after_its_recovery_it_begins_anew() -> None:
    past = given(alert.decider).when(TriggerAlert(alert=FACTS), recover()).events
    again = given(alert.decider, *past, AlertTriggered(facts=REMINDER)).state
    assert (again.firing, again.triggered_at, again.triggers) == (True, LATER, 1)


def test_each_error_has_an_alert_of_its_own() -> None:
    streams = {alert_id(RULE, None), alert_id(RULE, ERROR), alert_id(ERROR, RULE)}
    assert len(streams) == 3
    assert TriggerAlert(alert=facts(rule_id=RULE, error_id=ERROR)).stream_id == alert_id(
        RULE, ERROR
    )
    assert recover(error_id=ERROR).stream_id == alert_id(RULE, ERROR)


_commands = st.sampled_from([TriggerAlert(alert=FACTS), TriggerAlert(alert=REMINDER), recover()])


@for_all(st.lists(_commands), _commands)
def test_repeating_a_command_adds_nothing(past: list[Any], command: Any) -> None:
    once = given(alert.decider).when(*past, command).events
    assert given(alert.decider).when(*past, command, command).events == once
