"""What a replay answers is what the live manager answers, and an explanation what was counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from domain.alert_rule import AlertRuleCreated
from domain.error_group import group_id
from domain.message import Recorded
from projections.alerting import Action
from projections.alerting.explain import POSITIONS, Explanation, Inspection, explained
from projections.alerting.replay import Bucket, GivenRule, replay
from projections.alerting.replay import Replay as Running
from tests.faults.rounds import rounds
from tests.projections.alerting.logs import START, Log, at
from tests.projections.alerting.naive import Naive, Rule, value
from tests.projections.alerting.outcomes import with_subjects
from tests.projections.alerting.random_logs import logs
from tests.projections.alerting.test_against_naive import LATER, answered

relaxed = settings(
    max_examples=rounds(1_000, quick=25),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def steady(log: Log) -> list[Recorded[AlertRuleCreated]]:
    """The creations of rules to which nothing has happened afterwards."""
    created = {one.stream_id: one for one in log.events if isinstance(one.event, AlertRuleCreated)}
    versions = [one.stream_id for one in log.events if one.stream_id in created]
    return [one for rule_id, one in created.items() if versions.count(rule_id) == 1]


def given_rule(created: Recorded[AlertRuleCreated]) -> GivenRule:
    return GivenRule(rule_id=created.stream_id, settings=created.event.settings)


def of(actions: list[Action], rule_id: UUID) -> list[Action]:
    return [action for action, rule, _ in with_subjects(actions) if rule == rule_id]


@relaxed
@given(logs())
def test_a_replay_of_the_log_s_own_rules_is_what_happened(log: Log) -> None:
    assert replay(log.events, None, START, log.now + LATER).actions == answered(log)


@relaxed
@given(logs())
def test_a_rule_tried_on_the_past_answers_what_it_answered_live(log: Log) -> None:
    live = answered(log)
    for created in steady(log):
        running = Running(
            [given_rule(created)],
            created.recorded_at,
            log.now + LATER,
            after=created.position,
            every=timedelta(minutes=1),
        )
        running.take(log.events)
        assert running.finish().actions == of(live, created.stream_id)


@relaxed
@given(logs(), st.data())
def test_an_explanation_counts_what_a_naive_evaluation_counts(log: Log, data: Any) -> None:
    created = steady(log)
    assume(created)
    one = data.draw(st.sampled_from(created))
    moment = one.recorded_at + timedelta(seconds=data.draw(st.integers(0, 2_000)))
    rule = Rule(one.event.settings, one.recorded_at, one.position)
    naive = Naive()
    naive.log = [event for event in log.events if event.recorded_at <= moment]
    error_id = group_id("default", "a") if rule.condition.per_error else None
    found = explained(
        log.events,
        given_rule(one),
        one.recorded_at,
        moment,
        after=one.position,
        error_id=error_id,
    )
    if not rule.settings.enabled:
        assert found.since is None
        return
    for shown, comparison in zip(found.comparisons, rule.condition.comparisons, strict=True):
        count, positions = naive._count(rule, comparison, error_id, moment)
        assert shown.counted == count
        assert shown.value == float(round(value(comparison, count), 4))
        if comparison.metric != "service_down":
            assert shown.positions == tuple(sorted(positions, reverse=True))


def test_a_replay_knows_which_services_were_down_before_it() -> None:
    log = Log()
    log.service("shop", up=False)
    log.after(100).report()
    rule_id = log.create("service_down > 0 in 5m")
    rule = given_rule(log.events[-1])
    [action] = replay(log.events, [rule], at(50), at(60)).actions
    assert action.at == at(50)
    assert rule.rule_id == rule_id


def test_a_series_holds_the_highest_value_of_each_bucket() -> None:
    log = Log()
    log.create("error_count > 5 in 1m")
    rule = given_rule(log.events[0])
    log.after(10).report(times=3)
    log.after(60).report()
    found = replay(log.events, [rule], START, at(150), every=timedelta(minutes=1))
    assert found.series[rule.rule_id] == [
        Bucket(at(0), 3),
        Bucket(at(60), 3),
        Bucket(at(120), 1),
    ]


def test_a_series_says_where_more_was_there_than_was_counted() -> None:
    log = Log()
    log.create("error_count > 30 in 1m per error")
    rule = given_rule(log.events[0])
    log.report(times=20)
    log.after(1).report(times=20)
    found = replay(log.events, [rule], START, at(1), every=timedelta(seconds=1))
    assert found.series[rule.rule_id] == [Bucket(at(0), 20), Bucket(at(1), 32, at_least=True)]


# -- explanations --------------------------------------------------------------------------------


def stands(log: Log, seconds: float, error_id: UUID | None = None) -> Explanation:
    """The explanation of the log's first rule so long after the start."""
    created = log.events[0]
    return explained(
        log.events,
        given_rule(created),
        created.recorded_at,
        at(seconds),
        after=created.position,
        error_id=error_id,
    )


def test_an_explanation_tells_the_value_the_verdict_and_the_cooldown() -> None:
    log = Log()
    log.create("error_count > 1 in 5m", cooldown="1h")
    log.after(10).report(times=3)
    found = stands(log, 20)
    [shown] = found.comparisons
    assert (shown.value, shown.holds, shown.positions) == (3, True, (4, 3, 2))
    assert shown.window_start == at(0)
    assert (found.verdict, found.firing_since) == (True, at(10))
    assert (found.last_triggered, found.cooldown_until) == (at(10), at(3_610))
    assert found.words == "error_count is 3 in 5m; asked is error_count > 1: true."


def test_an_explanation_tells_when_a_rule_will_recover() -> None:
    log = Log()
    log.create("error_count > 0 in 5m")
    log.report()
    found = stands(log, 400)
    assert (found.verdict, found.false_since, found.recovers_at) == (False, at(300), at(600))
    assert found.comparisons[0].window_start == at(100)


def test_an_explanation_tells_until_when_it_waits() -> None:
    log = Log()
    log.create("error_count == 0 in 5m")
    found = stands(log, 100)
    assert (found.verdict, found.comparisons[0].waits_until) == (False, at(300))


@pytest.mark.parametrize("error", ["a", "z"])
def test_an_explanation_is_of_one_error(error: str) -> None:
    log = Log()
    log.create("error_count > 0 in 5m per error")
    log.after(1).report("a")
    found = stands(log, 10, group_id("default", error))
    assert found.comparisons[0].value == (1 if error == "a" else 0)
    assert found.verdict == (error == "a")


def test_positions_are_the_newest_thousand_and_the_count_is_exact() -> None:
    log = Log()
    log.create("error_count > 1 in 5m")
    log.after(1).report()
    log.events += [_moved(log.events[-1], position) for position in range(3, 1_503)]
    found = stands(log, 10).comparisons[0]
    assert (found.counted, len(found.positions)) == (1_501, POSITIONS)
    assert found.positions[:2] == (1_502, 1_501)


def test_the_errors_of_a_rule_on_each_error_are_listed_by_what_was_counted() -> None:
    log = Log()
    log.create("error_count > 2 in 5m per error")
    log.after(1).report("a", times=2)
    log.report("b", times=3)
    inspection = Inspection(given_rule(log.events[0]), START, at(10), after=1)
    inspection.take(log.events)
    inspection.finish()
    found = [(one.error_id, one.values, one.firing) for one in inspection.errors()]
    assert found == [
        (group_id("default", "b"), (3,), True),
        (group_id("default", "a"), (2,), False),
    ]


def _moved(recorded: Recorded[Any], position: int) -> Recorded[Any]:
    return Recorded(position, *(getattr(recorded, name) for name in FIELDS))


FIELDS = [name for name in Recorded.__struct_fields__ if name != "position"]
