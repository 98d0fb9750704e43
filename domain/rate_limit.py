"""How many requests a key may make: the classes of requests, and what is left to a key."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Rate(StrEnum):
    """A class of requests with a limit of its own."""

    REPORTS = "reports"
    """What reports errors."""
    ANALYTICS = "analytics"
    """Statistics, trends, monitoring."""
    GENERAL = "general"
    """Everything else that needs a key."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a request is within its limit, and what is left after it. `reset` are the seconds
    until the whole limit is there again, `wait` those until the next request is allowed (0 where
    it is now); both rounded up."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    wait: int
