"""Charts in characters."""

from __future__ import annotations

from errata.commands.chart import chart, time_axis


def test_bars_reach_as_high_as_their_values() -> None:
    lines = chart([0, 1, 2, 4], 2, {3}, width=20, height=4)
    assert lines == [
        "4 │   █",
        "  │   █",
        "2 │┄┄██",
        "  │ ███",
        "0 └   ▲",
    ]


def test_a_column_shows_the_highest_of_its_values_and_any_mark() -> None:
    lines = chart([1, 8, None, 2], 4, {2}, width=5, height=2)
    assert lines == ["8 │█", "4 │█▄", "0 └ ▲"]


def test_nothing_at_all_is_a_line() -> None:
    assert chart([None, 0], 5, width=10, height=2) == ["5 │┄┄", "  │", "0 └"]


def test_a_highest_value_that_was_capped_says_so() -> None:
    lines = chart([4, 2], 2, capped=True, width=10, height=2)
    assert lines == ["≥4 │█", " 2 │██", " 0 └"]


def test_a_line_close_to_the_highest_value_keeps_its_own_label() -> None:
    assert chart([102], 100, capped=True, width=10, height=3) == [
        "≥102 │█",
        " 100 │█",
        "     │█",
        "   0 └",
    ]


def test_a_line_at_nothing_is_the_axis() -> None:
    assert chart([2, 0], 0, width=10, height=2) == ["2 │█", "  │█", "0 └"]


def test_the_axis_names_both_ends() -> None:
    lines = chart([1.0] * 12, 2, width=15, height=2)
    assert time_axis(lines, "10:00", "12:00") == "   10:00  12:00"
    assert len(time_axis(lines, "10:00", "12:00")) == max(map(len, lines))
