"""A chart of values over time, in characters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LINE = "┄"
_MARK = "▲"
_NOTHING = 0.0


def chart(
    values: Sequence[float | None],
    line: float,
    marked: Collection[int] = (),
    *,
    capped: bool = False,
    width: int = 80,
    height: int = 10,
) -> list[str]:
    """Lines of at most `width` characters: `height` of bars with a scale on the left and a dashed
    `line`, then one with a mark under each value whose number is `marked`. `capped`: there was
    more than the highest value says.

    Where there are more values than columns, a column shows the highest of its own."""
    highest = max([line, *(value for value in values if value is not None)], default=0.0) or 1.0
    at_line = _row_of(line, highest, height)
    labels = {height - 1: f"{'≥' if capped else ''}{_number(highest)}"}
    if at_line is not None:
        labels.setdefault(at_line, _number(line))
    margin = max(map(len, labels.values()))
    columns = _columns(values, max(1, width - margin - 2))
    lines = []
    for row in reversed(range(height)):
        empty = _LINE if row == at_line else " "
        bars = "".join(_cell(value, highest, row, height, empty) for value, _ in columns)
        lines.append(f"{labels.get(row, ''):>{margin}} │{bars}".rstrip())
    marks = "".join(_MARK if marked_in(numbers, marked) else " " for _, numbers in columns)
    lines.append(f"{'0':>{margin}} └{marks}".rstrip())
    return lines


def time_axis(chart_lines: Sequence[str], start: str, end: str) -> str:
    """A line below a chart that says what its first and last columns stand for."""
    margin = chart_lines[-1].index("└") + 1
    width = max(map(len, chart_lines)) - margin
    return " " * margin + start + end.rjust(max(width - len(start), len(end) + 1))


def marked_in(numbers: range, marked: Collection[int]) -> bool:
    """Whether a column holds anything that is marked."""
    return any(number in marked for number in numbers)


def _row_of(line: float, highest: float, height: int) -> int | None:
    """Where the line goes: below the highest value, so that both have a label of their own. At 0 it
    is the axis."""
    if not line:
        return None
    top = height - 1 if line == highest else height - 2
    return min(top, max(0, round(line / highest * height) - 1))


def _columns(values: Sequence[float | None], width: int) -> list[tuple[float, range]]:
    """(highest value, numbers of the values) of each column."""
    count = len(values)
    columns = min(width, count)
    edges = [count * column // columns for column in range(columns + 1)] if columns else [0]
    return [
        (max(value or _NOTHING for value in values[first:after]), range(first, after))
        for first, after in pairwise(edges)
    ]


def _cell(value: float, highest: float, row: int, height: int, empty: str) -> str:
    eighths = round(value / highest * height * 8) - row * 8
    if value > 0 and row == 0:
        eighths = max(1, eighths)
    return empty if eighths <= 0 else _EIGHTHS[min(8, eighths)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
