"""What an alert rule decides."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import alert_rule
from domain.alert_rule import (
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    AlertRuleSilenced,
    ChangeAlertRule,
    CreateAlertRule,
    DeleteAlertRule,
    SilenceAlertRule,
)
from domain.condition import explain
from domain.rule_settings import RuleSettings, RuleWish, condition_of
from tests.spec import START, Given, given

ID = UUID(int=1)
DOCUMENTED: dict[str, Any] = {
    "name": "High Error Rate",
    "condition": "error_count > threshold in time_window",
    "threshold": 50,
    "time_window": "5m",
    "notifications": ("email", "slack"),
    "enabled": True,
}
SETTINGS = RuleSettings(
    name="High Error Rate",
    condition="error_count > threshold in time_window",
    threshold=50,
    time_window="5m",
    notifications=("email", "slack"),
)


def create(**changes: Any) -> CreateAlertRule:
    """The document's rule, with changes."""
    return CreateAlertRule(rule_id=ID, wish=RuleWish(**(DOCUMENTED | changes)))


def change(**fields: Any) -> ChangeAlertRule:
    """A wish to change the rule."""
    return ChangeAlertRule(rule_id=ID, wish=RuleWish(**fields))


def settled(**fields: Any) -> RuleSettings:
    """The settings of a rule created with these fields."""
    wish = RuleWish(name="Rule", **fields)
    (event,) = given(alert_rule.decider).when(CreateAlertRule(rule_id=ID, wish=wish)).events
    assert isinstance(event, AlertRuleCreated)
    return event.settings


def stored(**changes: Any) -> Given:
    """A rule that was created with these changes to the document's."""
    events = given(alert_rule.decider).when(create(**changes)).events
    return given(alert_rule.decider, *events)


def test_a_rule_is_created_with_what_was_asked_and_the_defaults() -> None:
    created = AlertRuleCreated(rule_id=ID, settings=SETTINGS)
    given(alert_rule.decider).when(create()).then(created)


def test_creating_the_same_rule_again_adds_nothing() -> None:
    stored().when(create()).then_nothing()


def test_an_id_is_taken_by_its_first_rule_and_stays_taken() -> None:
    stored().when(create(name="Another")).then_refused("already_exists")
    stored().when(DeleteAlertRule(rule_id=ID), create()).then_refused("already_exists")


def test_threshold_and_window_are_filled_from_the_condition() -> None:
    settings = settled(condition="error_count > 7 in 2 hours")
    assert (settings.threshold, settings.time_window) == (7, "2h")


def test_with_two_comparisons_the_first_fills_them() -> None:
    settings = settled(condition="error_count > 7 in 2h and regressions > 1 in 1d")
    assert (settings.threshold, settings.time_window) == (7, "2h")


def test_the_fields_stand_where_any_comparison_names_them() -> None:
    settings = settled(
        condition="error_count > 7 in 2h and regressions > threshold in time_window",
        threshold=3,
        time_window="1 day",
    )
    assert explain(condition_of(settings)) == (
        "More than 7 occurrences within 2 hours and more than 3 resolved errors that came back"
        " within 1 day."
    )


def test_fields_that_repeat_the_condition_are_welcome() -> None:
    settings = settled(condition="error_count > 50 in 60m", threshold=50.0, time_window="1h")
    assert (settings.threshold, settings.time_window) == (50, "60m")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": " "}, "name: must have 1 to 200 characters, and not only blanks"),
        ({"name": "x" * 201}, "name: must have 1 to 200 characters, and not only blanks"),
        (
            {"condition": "error_count > abc"},
            "condition: at 15: expected a number or 'threshold', found 'abc'",
        ),
        (
            {"condition": "error_count > 60 in 5m"},
            "threshold: is 50, and the condition says 60: leave it out, or write 'threshold' in"
            " the condition",
        ),
        (
            {"condition": "error_count > 50 in 1h"},
            "time_window: is 5 minutes, and the condition says 1 hour: leave it out, or write"
            " 'time_window' in the condition",
        ),
        (
            {
                "condition": "error_count > threshold in time_window where code = E1"
                " and app in (shop, test)"
            },
            "condition: at 60: expected the rule's own application 'default',"
            " found 'shop' or 'test'",
        ),
        (
            {"threshold": -1},
            "threshold: must be a number from 0 to 1000000000000 with at most 4 decimal places",
        ),
        (
            {"threshold": 0.00001},
            "threshold: must be a number from 0 to 1000000000000 with at most 4 decimal places",
        ),
        (
            {"time_window": "5"},
            "time_window: must be 1 minute to 30 days, written as 5m, 1h, 30d or '5 minutes'",
        ),
        (
            {"cooldown": "1s"},
            "cooldown: must be 1 minute to 30 days, written as 5m, 1h, 30d or '5 minutes'",
        ),
        (
            {"notifications": ("email", "pigeon")},
            "notifications: holds 'pigeon'; the channels are slack, email, webhook, sms",
        ),
        ({"notifications": ("sms", "sms")}, "notifications: names a channel twice"),
        ({"severity": "awful"}, "severity: must be one of low, medium, high, critical"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(fields: dict[str, Any], reason: str) -> None:
    refused = given(alert_rule.decider).when(create(app="default", **fields))
    refused.then_refused("invalid")
    assert refused.refusal is not None
    assert refused.refusal.reason == reason


@pytest.mark.parametrize("field", ["name", "condition", "threshold", "time_window"])
def test_what_a_rule_needs_cannot_be_left_out(field: str) -> None:
    fields = {name: value for name, value in DOCUMENTED.items() if name != field}
    command = CreateAlertRule(rule_id=ID, wish=RuleWish(**fields))
    given(alert_rule.decider).when(command).then_refused("invalid")


def test_a_rule_for_all_applications_may_ask_for_one() -> None:
    settings = settled(condition="error_count > 1 in 5m where app = shop", app="*")
    assert settings.app == "*"


def test_a_change_tells_before_and_after_and_counts() -> None:
    expected = AlertRuleChanged(
        rule_id=ID,
        created_at=START,
        version=2,
        before=SETTINGS,
        settings=msgspec.structs.replace(SETTINGS, enabled=False),
    )
    stored().when(change(enabled=False)).then(expected)


def test_a_threshold_that_the_condition_names_can_change_alone() -> None:
    (event,) = stored().when(change(threshold=10)).events
    assert explain(condition_of(event.settings)) == "More than 10 occurrences within 5 minutes."


def test_a_threshold_that_the_condition_holds_cannot_change_alone() -> None:
    rule = stored(condition="error_count > 50 in 5m")
    rule.when(change(threshold=10)).then_refused("invalid")


def test_a_new_condition_with_its_own_numbers_replaces_the_old_ones() -> None:
    (event,) = stored().when(change(condition="error_count > 9 in 1h")).events
    assert (event.settings.threshold, event.settings.time_window) == (9, "1h")


def test_a_new_condition_with_names_keeps_the_numbers() -> None:
    rule = stored(condition="error_count > 50 in 5m")
    (event,) = rule.when(change(condition="new_errors > threshold in time_window")).events
    assert (event.settings.threshold, event.settings.time_window) == (50, "5m")


def test_a_cooldown_of_none_is_the_window_again() -> None:
    (event,) = stored(cooldown="1 hour").when(change(cooldown=None)).events
    assert (event.before.cooldown, event.settings.cooldown) == ("1h", None)


def test_a_stale_version_is_refused() -> None:
    wish = RuleWish(threshold=1)
    stale = ChangeAlertRule(rule_id=ID, wish=wish, expected_version=2)
    stored().when(stale).then_refused("conflict")
    stored().when(DeleteAlertRule(rule_id=ID, expected_version=2)).then_refused("conflict")
    stored().when(ChangeAlertRule(rule_id=ID, wish=wish, expected_version=1)).then_kinds(
        AlertRuleChanged
    )


def test_a_rule_of_another_application_is_not_there() -> None:
    wish = RuleWish(threshold=1)
    for command in (
        ChangeAlertRule(rule_id=ID, wish=wish, seen_by="shop"),
        DeleteAlertRule(rule_id=ID, seen_by="shop"),
    ):
        stored().when(command).then_refused("not_found")
        stored(app="*").when(command).then_refused("not_found")


def test_a_deleted_rule_is_gone() -> None:
    delete = DeleteAlertRule(rule_id=ID)
    stored().when(delete).then(AlertRuleDeleted(rule_id=ID, app="default"))
    stored().when(delete, delete).then_refused("not_found")
    stored().when(delete, change(threshold=1)).then_refused("not_found")


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["High Error Rate", "Another"]),
        "condition": st.sampled_from(
            ["error_count > threshold in time_window", "new_errors > threshold in 1h"]
        ),
        "threshold": st.sampled_from([50, 50.0, 2.5]),
        "enabled": st.booleans(),
        "cooldown": st.sampled_from([None, "5m", "1 hour"]),
        "notifications": st.sampled_from([(), ("email", "slack")]),
    },
)


@for_all(CHANGES)
def test_repeating_a_change_adds_nothing(fields: dict[str, Any]) -> None:
    wish = change(**fields)
    once, twice = stored().when(wish), stored().when(wish, wish)
    assert once.refusal is None
    assert once.events == twice.events


def silence(until: datetime | None, **fields: Any) -> SilenceAlertRule:
    """A wish to hear nothing of the rule until a time."""
    return SilenceAlertRule(rule_id=ID, until=until, now=START, **fields)


TOMORROW = START + timedelta(days=1)


def test_a_silence_is_a_fact_and_no_new_version() -> None:
    created = given(alert_rule.decider).when(create())
    silenced = given(alert_rule.decider, *created.events).when(silence(TOMORROW), silence(TOMORROW))
    silenced.then(AlertRuleSilenced(rule_id=ID, app="default", until=TOMORROW))
    state = given(alert_rule.decider, *created.events, *silenced.events).state
    assert (state.version, state.silenced_until) == (1, TOMORROW)


def test_a_silence_is_ended_by_nothing_and_survives_a_change() -> None:
    past = given(alert_rule.decider).when(create(), silence(TOMORROW), change(threshold=9)).events
    assert given(alert_rule.decider, *past).state.silenced_until == TOMORROW
    ended = AlertRuleSilenced(rule_id=ID, app="default", until=None)
    given(alert_rule.decider, *past).when(silence(None), silence(None)).then(ended)


def test_a_silence_that_would_be_over_already_is_refused() -> None:
    created = given(alert_rule.decider).when(create()).events
    given(alert_rule.decider, *created).when(silence(START)).then_refused("invalid")


def test_only_a_rule_that_is_there_to_see_can_be_silenced() -> None:
    given(alert_rule.decider).when(silence(TOMORROW)).then_refused("not_found")
    created = given(alert_rule.decider).when(create()).events
    past = given(alert_rule.decider, *created)
    past.when(silence(TOMORROW, seen_by="shop")).then_refused("not_found")
    past.when(silence(TOMORROW, expected_version=2)).then_refused("conflict")
