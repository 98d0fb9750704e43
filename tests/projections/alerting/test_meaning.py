"""What rules mean, one fact each: windows, cooldowns, recovery, metrics, mutes."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from domain.alert import AlertFacts, Measured, RecoverAlert, TriggerAlert
from domain.error_group import group_id
from projections.alerting import Action, Alerting
from tests.projections.alerting.logs import Log, at


def acted(log: Log, until: float) -> list[Action]:
    """What the manager answers to a log and the time up to so many seconds after the start."""
    manager = Alerting()
    return manager.fold(log.events) + manager.advance(at(until))


def triggers(log: Log, until: float = 10_000) -> list[AlertFacts]:
    return [one.command.alert for one in acted(log, until) if isinstance(one.command, TriggerAlert)]


def times(log: Log, until: float = 10_000) -> list[float]:
    """When it triggered, in seconds after the start."""
    return [_seconds(alert.at) for alert in triggers(log, until)]


def recoveries(log: Log, until: float = 10_000) -> list[RecoverAlert]:
    return [one.command for one in acted(log, until) if isinstance(one.command, RecoverAlert)]


def _seconds(moment: datetime) -> float:
    return (moment - at(0)).total_seconds()


def test_the_document_s_rule_triggers_with_the_sixth_error_and_says_why() -> None:
    log = Log()
    rule_id = log.create(
        "error_count > threshold in time_window", threshold=5, time_window="5m", severity="high"
    )
    for _ in range(6):
        log.after(1).report()
    [alert] = triggers(log, 100)
    assert alert == AlertFacts(
        rule_id=rule_id,
        rule_version=1,
        rule_name="rule",
        app="default",
        severity="high",
        condition="error_count > threshold in time_window",
        explained="More than 5 occurrences within 5 minutes.",
        at=at(6),
        value=6,
        values=(6,),
        threshold=5,
        window="5m",
        since=at(1),
        first_position=2,
        last_position=7,
        environment="production",
        source="web",
        measured=(Measured(metric="error_count", value=6, operator=">", threshold=5, window="5m"),),
        firing_since=at(6),
        latest_error_id=group_id("default", "a"),
        latest_message="message of a",
    )


def test_an_entry_is_out_of_the_window_when_the_window_s_length_has_passed() -> None:
    log = Log()
    log.create("error_count >= 2 in 1m")
    log.report()
    log.after(60).report()
    assert times(log, 60) == []


def test_an_entry_is_in_the_window_until_then() -> None:
    log = Log()
    log.create("error_count >= 2 in 1m")
    log.report()
    log.after(59.999999).report()
    assert times(log, 60) == [59.999999]


def test_while_it_stays_true_it_triggers_again_after_each_cooldown() -> None:
    log = Log()
    log.create("error_count > 0 in 5m", cooldown="2m")
    log.report()
    found = triggers(log)
    assert [_seconds(one.at) for one in found] == [0, 120, 240]
    assert [one.reminder for one in found] == [False, True, True]


def test_the_cooldown_is_the_time_window_unless_said_otherwise() -> None:
    log = Log()
    log.create("error_count > 0 in 1m")
    for _ in range(13):
        log.report()
        log.after(10)
    assert times(log) == [0, 60, 120]


def test_it_recovers_when_it_was_false_for_a_whole_window() -> None:
    log = Log()
    log.create("error_count > 0 in 1m")
    log.report()
    [recovery] = recoveries(log)
    assert recovery.at == at(120)  # false from 60 on


def test_what_becomes_true_again_meanwhile_does_not_recover() -> None:
    log = Log()
    log.create("error_count > 0 in 1m")
    log.report()
    log.after(110).report()
    assert [one.at for one in recoveries(log)] == [at(110 + 120)]


def test_the_longer_of_two_windows_decides_on_recovery() -> None:
    log = Log()
    log.create("error_count > 0 in 1m and error_count > 0 in 5m")
    log.report()
    assert [one.at for one in recoveries(log)] == [at(60 + 300)]


def test_what_holds_for_nothing_is_false_until_a_whole_window_was_watched() -> None:
    log = Log()
    log.create("error_count == 0 in 5m", cooldown="1d")
    assert times(log) == [300]


def test_too_few_is_found_when_an_entry_leaves() -> None:
    log = Log()
    log.create("error_count < 2 in 5m", cooldown="1d")
    log.after(100).report(times=2)
    assert times(log) == [400]


def test_too_few_ends_with_the_entry_that_makes_it_enough() -> None:
    log = Log()
    log.create("error_count < 3 in 5m", cooldown="1d")
    log.after(400).report(times=3)
    log.after(200).report(times=3)
    assert times(log, 800) == [300]
    assert [one.at for one in recoveries(log, 800)] == [at(400 + 300)]


def test_an_error_that_was_forgotten_by_one_rule_and_not_by_another_counts_again() -> None:
    log = Log()
    log.create("error_count > 1 in 1m per error", name="short")
    log.create("error_count > 9 in 1h per error", name="long")
    log.report()
    log.after(100).report(times=2)
    assert times(log, 110) == [100]


def test_of_an_error_nothing_is_true_once_nothing_is_left_of_it() -> None:
    log = Log()
    log.create("error_count < 3 in 1m per error", cooldown="1d")
    log.after(100).report()
    assert times(log) == [100]
    assert [one.at for one in recoveries(log)] == [at(100 + 60 + 60)]


def test_each_error_is_evaluated_on_its_own() -> None:
    log = Log()
    log.create("error_count > 1 in 5m per error")
    for name in "abab":
        log.after(1).report(name)
    found = triggers(log, 10)
    assert [(one.error_id, one.error_message) for one in found] == [
        (group_id("default", "a"), "message of a"),
        (group_id("default", "b"), "message of b"),
    ]


def test_an_error_s_cooldown_outlives_its_windows() -> None:
    log = Log()
    log.create("error_count > 0 in 1m per error", cooldown="10m")
    log.report()
    log.after(400).report()
    assert times(log, 650) == [0]


def test_a_rule_watches_its_own_application() -> None:
    log = Log()
    log.create("error_count > 0 in 1m", app="shop")
    log.report(app="default")
    log.after(1).report(app="shop")
    assert times(log, 10) == [1]


def test_reports_from_before_the_rule_do_not_count() -> None:
    log = Log()
    log.report(times=3)
    log.create("error_count > 1 in 5m")
    log.report()
    assert times(log, 10) == []


def test_reports_of_a_muted_error_do_not_count_until_it_wakes() -> None:
    log = Log()
    log.create("error_count > 1 in 5m")
    log.report()
    log.mute(count=3)
    log.after(1).report()
    log.after(1).report()
    log.after(1).report()  # wakes it
    assert times(log, 10) == [3]


def test_a_regression_of_a_muted_error_does_not_count() -> None:
    log = Log()
    log.create("regressions > 0 in 5m")
    log.report()
    log.mute()
    log.resolve()
    log.after(1).report()
    assert times(log, 10) == []


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("error_count >= 5 in 5m", [4]),
        ("critical_count >= 2 in 5m", [2]),
        ("warning_count >= 1 in 5m", [1]),
        ("new_errors >= 2 in 5m", [1]),
        ("regressions >= 1 in 5m", [4]),
        ("resolved_count >= 1 in 5m", [3]),
        ("affected_users >= 2 in 5m", [2]),
        ("error_rate >= 1 in 5m", [4]),
        ("error_rate > 1 in 5m", []),
        ("error_count >= 1 in 5m where code = E7", [2]),
        ("error_count >= 1 in 5m where fingerprint = b", [1]),
        ('error_count >= 1 in 5m where message contains "of b"', [1]),
        ('regressions >= 1 in 5m where message contains "of a" and code = E7', []),
        ("regressions >= 1 in 5m where code in (E7, E8)", [4]),
        ("resolved_count >= 1 in 5m where code = E7", [3]),
        ('resolved_count >= 1 in 5m where message contains "of b"', []),
        ("resolved_count >= 1 in 5m where fingerprint = a", [3]),
        ("error_count >= 3 in 5m and affected_users >= 2 in 5m", [2]),
        ("error_count >= 9 in 5m or warning_count >= 1 in 5m", [1]),
        ("error_count >= 2 in 5m where level in (warning, info)", []),
    ],
)
def test_metrics_and_filters(condition: str, expected: list[float]) -> None:
    log = Log()
    log.create(condition)
    log.report("a", user_id="u1")
    log.after(1).report("b", level="warning")
    log.after(1).report("a", user_id="u2", code="E7")
    log.after(1).resolve("a")
    log.after(1).report("a", times=2, user_id="u1", code="E8")
    assert times(log, 4) == expected


def test_a_service_counts_while_it_is_down_and_one_window_longer() -> None:
    log = Log()
    log.service("shop", up=True)
    log.create("service_down > 0 in 5m", cooldown="1d")
    log.after(10).service("shop", up=False)
    log.after(1_000).service("shop", up=True)
    assert times(log) == [10]
    assert [one.at for one in recoveries(log)] == [at(1_010 + 300 + 300)]


def test_a_service_that_is_down_when_the_rule_comes_counts() -> None:
    log = Log()
    log.service("shop", up=False)
    log.service("blog", up=False)
    log.after(5).service("blog", up=True)
    log.after(5).create("service_down >= 1 in 5m")
    [alert] = triggers(log, 11)
    assert (alert.value, alert.at) == (1, at(10))


def test_no_rate_is_above_a_threshold_that_it_equals() -> None:
    """0.07 times 100 is not 7 in floating point."""
    log = Log()
    log.create("error_rate > 0.07 in 100m")
    log.report(times=7)
    assert times(log, 10) == []
    log.report()
    [alert] = triggers(log, 10)
    assert alert.value == 0.08


def test_more_than_is_told_apart_is_said_to_be_at_least_so_much() -> None:
    log = Log()
    log.create("error_count > 5 in 10m per error", cooldown="1m")
    log.report(times=6)
    log.after(1).report(times=44)
    first, second = triggers(log, 61)
    assert (first.value, first.at_least) == (6, False)
    assert (second.value, second.at_least) == (20, True)


# -- rules change --------------------------------------------------------------------------------


def test_a_changed_condition_starts_with_empty_windows_and_ends_what_was_firing() -> None:
    log = Log()
    log.create("error_count > 1 in 5m")
    log.report(times=2)
    log.after(10).change(condition="error_count > 2 in 5m")
    log.after(1).report(times=2)
    assert times(log, 20) == [0]
    assert [(one.at, one.reason) for one in recoveries(log, 20)] == [(at(10), "rule changed")]


CHANGES: list[dict[str, Any]] = [
    {"name": "other"},
    {"severity": "low"},
    {"notifications": ("email",)},
    {"open_incident": True},
    {"cooldown": "1h"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_change_of_anything_else_keeps_what_was_counted(change: dict[str, Any]) -> None:
    log = Log()
    log.create("error_count > 1 in 5m")
    log.report()
    wish = dict(change)
    renamed = wish.pop("name", None)
    log.after(10).change(**({"new_name": renamed} if renamed else wish))
    log.after(1).report()
    assert times(log, 20) == [11]


def test_a_disabled_rule_counts_nothing_and_ends_what_was_firing() -> None:
    log = Log()
    log.create("error_count > 0 in 5m")
    log.report()
    log.after(10).change(enabled=False)
    log.after(1).report()
    log.after(1).change(enabled=True)
    assert times(log) == [0]
    assert [one.at for one in recoveries(log)] == [at(10)]


def test_a_deleted_rule_ends_what_was_firing() -> None:
    log = Log()
    log.create("error_count > 0 in 5m per error")
    log.report("a")
    log.report("b")
    log.after(10).delete()
    ended = {one.error_id for one in recoveries(log)}
    assert ended == {group_id("default", "a"), group_id("default", "b")}


def test_a_shorter_cooldown_counts_at_once() -> None:
    log = Log()
    log.create("error_count > 0 in 10m", cooldown="5m")
    log.report()
    log.after(100).change(cooldown="1m")
    assert times(log, 110) == [0, 100]


def test_ids_follow_from_what_happened() -> None:
    log = Log()
    log.create("error_count > 0 in 1m per error", notifications=("email",), open_incident=True)
    log.report()
    ids = [one.command.event_id for one in acted(log, 1_000)]
    assert ids == [one.command.event_id for one in acted(log, 1_000)]
    assert all(isinstance(one, UUID) for one in ids)
    assert len(set(ids)) == len(ids)
