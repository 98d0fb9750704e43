"""A comparison as bounds of a whole number: what is counted against it is whole, whatever the
threshold. A rate is a count as well, against the threshold times the minutes of its window."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import msgspec

from domain.condition import Comparison

ENDLESS = 1 << 62
"""No upper bound."""

_DECIMALS = 10_000
"""Thresholds have at most four decimal places; as fractions of these they are exact."""


class Limits(msgspec.Struct, frozen=True):
    """True from `low` to `high`, both included; `negated`, everywhere else."""

    low: int
    high: int
    negated: bool = False

    def hold(self, count: int) -> bool:
        """Whether the comparison is true of a count."""
        return (self.low <= count <= self.high) != self.negated

    def more(self, count: int) -> int:
        """How many more it takes until the comparison can change."""
        if count < self.low:
            return self.low - count
        return self.high + 1 - count if count <= self.high else ENDLESS

    def fewer(self, count: int) -> int | None:
        """Down to which count it takes until the comparison can change; None where it cannot."""
        if count > self.high:
            return self.high if self.high >= 0 else None
        return self.low - 1 if count >= self.low > 0 else None

    @property
    def known(self) -> int:
        """The largest count that has to be told from larger ones, plus one."""
        return (self.low if self.high == ENDLESS else max(self.low, self.high + 1)) + 1


def limits_of(comparison: Comparison) -> Limits:
    """The bounds of a comparison, in counted things."""
    limit = Fraction(round(comparison.threshold * _DECIMALS), _DECIMALS)
    if comparison.metric == "error_rate":
        limit *= minutes_of(comparison)
    match comparison.operator:
        case ">":
            return Limits(floor(limit) + 1, ENDLESS)
        case ">=":
            return Limits(ceil(limit), ENDLESS)
        case "<":
            return Limits(0, ceil(limit) - 1)
        case "<=":
            return Limits(0, floor(limit))
    negated = comparison.operator == "!="
    whole = limit.denominator == 1
    return Limits(int(limit), int(limit), negated) if whole else Limits(1, 0, negated)


def minutes_of(comparison: Comparison) -> int:
    """The length of its window; every window is whole minutes long."""
    return comparison.window.seconds // 60


def value_of(comparison: Comparison, count: int) -> int | float:
    """The metric's value of a count: the count, or occurrences a minute with four decimals."""
    if comparison.metric != "error_rate":
        return count
    rate = round(count / minutes_of(comparison), 4)
    return int(rate) if rate == int(rate) else rate
