"""What windows keep is bounded; beyond a million entries, counts are near enough."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from domain.condition import Comparison, Operator, parse_window
from projections.alerting import Alerting, rules, users, windows
from projections.alerting.limits import limits_of
from projections.alerting.users import Crowd
from projections.alerting.windows import Place, Tape
from tests.projections.alerting.logs import Log, at

MINUTE = 60_000_000
PLACE = Place("default", "production", "web", None, UUID(int=1))


def test_a_tape_keeps_about_twice_what_its_largest_window_tells_apart() -> None:
    tape = Tape()
    window = tape.open(MINUTE, 100)
    for position in range(10_000):
        tape.add(position, position, None, PLACE)
        assert len(tape.times) <= 201
    assert window.count(10_000) == 100


def test_a_tape_forgets_what_has_left_its_longest_window() -> None:
    tape = Tape()
    window = tape.open(MINUTE, 100_000)
    for second in range(10_000):
        tape.add(second * 1_000_000, second, None, PLACE)
        assert len(tape.times) <= 128
    assert window.count(9_999 * 1_000_000) == 60


def test_errors_of_which_nothing_is_left_leave_nothing_behind() -> None:
    log = Log()
    log.create("error_count > 1 in 5m and affected_users > 0 in 1m per error")
    log.create("new_errors > 0 in 10m per error", name="other")
    manager = Alerting()
    manager.fold(log.events)
    before = len(manager.snapshot())
    created = len(log.events)
    for number in range(50):
        log.after(1).report(f"error {number}", times=2, user_id="u")
    manager.fold(log.events[created:])
    assert len(manager.snapshot()) > before + 5_000
    manager.advance(at(3_600))
    assert len(manager.snapshot()) < before + 500  # the last report, and larger numbers


def test_users_are_kept_up_to_what_is_told_apart() -> None:
    crowd = Crowd()
    window = crowd.open(MINUTE, 10)
    for number in range(1_000):
        crowd.add(number, number, f"user {number}", PLACE)
    assert len(window.seen) == 10
    assert window.count(1_000) == 10


def test_a_coarse_tape_counts_within_its_grain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "FINE", 1_000)
    tape = Tape()
    window = tape.open(MINUTE, 10**9)
    for position in range(100_000):
        tape.add(position, position, None, PLACE)
        assert len(tape.times) <= 2_001
    assert window.count(100_000) == pytest.approx(100_000, rel=0.002)
    half_gone = MINUTE + 50_000
    assert window.count(half_gone) == pytest.approx(49_999, rel=0.005)


def test_a_coarse_crowd_counts_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "FINE", 1_000)
    crowd = Crowd()
    window = crowd.open(MINUTE, 10**9)
    for number in range(50_000):
        crowd.add(number, number, f"user {number}", PLACE)
        assert len(window.seen) <= 1_001
    assert window.count(50_000) == pytest.approx(50_000, rel=0.15)


def test_a_rule_with_a_coarse_tape_has_it_for_itself() -> None:
    text = f"error_count > {windows.FINE + 1} in 30d"
    comparison = Comparison(
        metric="error_count", operator=">", threshold=windows.FINE + 1, window=parse_window("30d")
    )
    clause = rules._clause(comparison, "default", 7, 10)
    assert clause.counted is not None, text
    assert clause.counted.owner == -7


@pytest.mark.parametrize("operator", [">", ">=", "<", "<=", "==", "!="])
@pytest.mark.parametrize("threshold", [0, 0.5, 1, 2.5, 7])
def test_limits_say_of_every_count_what_the_comparison_says(
    operator: Operator, threshold: float
) -> None:
    words = {">": "__gt__", ">=": "__ge__", "<": "__lt__", "<=": "__le__"}
    words |= {"==": "__eq__", "!=": "__ne__"}
    limits = limits_of(
        Comparison(
            metric="error_count", operator=operator, threshold=threshold, window=parse_window("5m")
        )
    )
    for count in range(12):
        expected = getattr(float(count), words[operator])(float(threshold))
        assert limits.hold(count) == expected, count
        told_apart = min(count, limits.known)
        assert limits.hold(told_apart) == expected, count


def test_windows_on_one_tape_do_not_disturb_each_other() -> None:
    dice = random.Random(1)
    tape, entries = Tape(), []
    spans = [(tape.open(span, capacity), span, capacity) for span, capacity in ((50, 9), (900, 3))]
    now = 0
    for position in range(2_000):
        now += dice.choice((0, 1, 30))
        tape.add(now, position, None, PLACE)
        entries.append(now)
        for window, span, capacity in spans:
            expected = sum(one > now - span for one in entries)
            assert window.count(now) == min(expected, capacity)
