"""What a benchmark is asked and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec


class Options(msgspec.Struct, frozen=True):
    """How to run: `quick` with a fraction of the load, throw-away data in folders below `data`
    (None: the system's temporary folder)."""

    quick: bool = False
    data: Path | None = None


class Goal(msgspec.Struct, frozen=True):
    """A figure to reach, in the unit of its row; `most`: at most so much, not at least."""

    value: float
    most: bool

    def met(self, measured: float) -> bool:
        """Whether a figure reaches it."""
        return measured <= self.value if self.most else measured >= self.value

    def __str__(self) -> str:
        return f"{'at most' if self.most else 'at least'} {figure(self.value)}"


def at_least(value: float) -> Goal:
    """So much or more."""
    return Goal(value, most=False)


def at_most(value: float) -> Goal:
    """So much or less."""
    return Goal(value, most=True)


class Ceiling(msgspec.Struct, frozen=True):
    """What the same machine did in the same run without our work, and what that was."""

    value: float
    what: str

    def __str__(self) -> str:
        return f"{figure(self.value)} {self.what}"


class Row(msgspec.Struct, frozen=True):
    """One figure. `value` is None where there was nothing to measure; the note says why."""

    what: str
    value: float | None
    unit: str
    goal: Goal | None = None
    note: str = ""
    ceiling: Ceiling | None = None


class Result(msgspec.Struct, frozen=True):
    """What one benchmark found, in the order in which it is read."""

    title: str
    rows: Sequence[Row]


def figure(value: float) -> str:
    """A number with three digits that mean something: 4,210 or 38.2 or 0.0512."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 else f"{value:.3f}"
