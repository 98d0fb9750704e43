"""The manager answers what a naive evaluation answers, however the log is cut and time passes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.alerting import Action, Alerting, windows
from tests.faults.rounds import rounds
from tests.projections.alerting.logs import Log, rule_named
from tests.projections.alerting.naive import Naive
from tests.projections.alerting.outcomes import of_rule, outcomes
from tests.projections.alerting.random_logs import RULES, logs

LATER = timedelta(hours=1)

relaxed = settings(
    max_examples=rounds(2_000, quick=50),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def answered(log: Log) -> list[Action]:
    """What the manager answers to a whole log and the hour after it."""
    manager = Alerting()
    return manager.fold(log.events) + manager.advance(log.now + LATER)


@relaxed
@given(logs())
def test_the_manager_answers_what_a_naive_evaluation_does(log: Log) -> None:
    expected = [_rounded(one) for one in Naive().run(log.events, log.now + LATER)]
    found = outcomes(answered(log))
    for name in RULES:
        rule_id = rule_named(name)
        assert of_rule(found, rule_id) == of_rule(expected, rule_id)


@relaxed
@given(logs())
def test_what_a_threshold_does_not_need_decides_nothing(log: Log) -> None:
    """Windows that keep as little as they may answer at the same instants as those that keep
    more."""
    with patch.object(windows, "_ROOM", 1):
        manager = Alerting(told_apart=1)
        found = manager.fold(log.events) + manager.advance(log.now + LATER)
    assert [one.command.event_id for one in found] == [
        one.command.event_id for one in answered(log)
    ]


@relaxed
@given(logs(), st.data())
def test_neither_pages_nor_calls_of_advance_nor_snapshots_change_an_answer(
    log: Log, data: st.DataObject
) -> None:
    manager = Alerting()
    actions: list[Action] = []
    sizes, parts = st.integers(1, 5), st.sampled_from((None, 0.0, 0.3, 1.0))
    events = log.events
    while events:
        size = data.draw(sizes)
        page, events = events[:size], events[size:]
        actions += manager.fold(page)
        part = data.draw(parts)
        if events and part is not None:
            last = page[-1].recorded_at
            actions += manager.advance(last + (events[0].recorded_at - last) * part)
        if data.draw(st.booleans()):
            manager = Alerting.restored(manager.snapshot())
    for seconds in sorted(data.draw(st.lists(st.integers(0, 900)))):
        actions += manager.advance(log.now + timedelta(seconds=seconds))
        manager = Alerting.restored(manager.snapshot())
    actions += manager.advance(log.now + LATER)
    assert actions == answered(log)


def _rounded(outcome: tuple[Any, ...]) -> tuple[Any, ...]:
    if outcome[0] != "triggered":
        return outcome
    values = tuple(float(round(value, 4)) for value in outcome[4])
    return (*outcome[:4], values, *outcome[5:])
