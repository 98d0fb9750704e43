"""A mute: that an error alerts nobody, and when that ends.

An error is muted until a time, until its n-th further occurrence, or until somebody says so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from domain.failures import Invalid

WakeReason = Literal["asked", "time", "count"]

MAX_MUTED_COUNT = 1_000_000_000


class Mute(msgspec.Struct, frozen=True, omit_defaults=True):
    """Until when, or the number of the occurrence that ends it; neither: until somebody says so."""

    until: datetime | None = None
    wakes_at: int | None = None

    def woken_by(self, count: int, now: datetime | None) -> WakeReason | None:
        """Why the occurrence of this number, which arrives now, ends it; None where it does not."""
        if self.wakes_at is not None and count >= self.wakes_at:
            return "count"
        return "time" if now is not None and self.over(now) else None

    def over(self, now: datetime) -> bool:
        """Whether its time has come."""
        return self.until is not None and now >= self.until

    def left(self, count: int) -> int | None:
        """How many occurrences are left after this one until it ends."""
        return None if self.wakes_at is None else self.wakes_at - count


def mute_of(until: datetime | None, further: int | None, count: int) -> Mute:
    """The mute of an error that has occurred `count` times."""
    return Mute(until, None if further is None else count + further)


def flaws(until: datetime | None, further: int | None, now: datetime) -> list[Invalid]:
    """What is wrong with a mute that somebody asks for. `until` and `count` are its fields."""
    problems = []
    if until is not None and further is not None:
        problems.append(Invalid("count", "and until exclude each other"))
    if until is not None and until <= now:
        problems.append(Invalid("until", "must lie in the future"))
    if further is not None and not 1 <= further <= MAX_MUTED_COUNT:
        problems.append(Invalid("count", f"must be a whole number from 1 to {MAX_MUTED_COUNT}"))
    return problems
