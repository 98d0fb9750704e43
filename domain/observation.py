"""What is measured and never decided on: looks at services, requests, the host. Plain shapes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

Status = Literal["healthy", "unhealthy", "unknown"]
Timeframe = Literal["1h", "6h", "24h", "7d", "30d"]

TIMEFRAMES: Mapping[Timeframe, int] = {
    "1h": 3_600,
    "6h": 6 * 3_600,
    "24h": 24 * 3_600,
    "7d": 7 * 86_400,
    "30d": 30 * 86_400,
}
"""Seconds of each timeframe."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a service: what was found, when, and how long the answer took. `reason` says
    what is wrong where it is not healthy."""

    service: str
    status: Status
    at: datetime
    milliseconds: float | None = None
    reason: str | None = None
    details: dict[str, Any] = {}


class RequestCounts(msgspec.Struct, frozen=True):
    """The requests of a stretch of time, of `seconds` length: how many, the milliseconds they
    took together, and how many of them failed (5xx)."""

    seconds: float
    requests: int
    milliseconds: float
    failures: int


class HostPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The host over one step of a series that begins at `t`: means in percent, bytes in sum."""

    t: datetime
    cpu: float
    memory: float
    disk: float
    bytes_in: int
    bytes_out: int


class HostReport(msgspec.Struct, frozen=True, kw_only=True):
    """The host over a timeframe: means in percent, bytes in sum, the mean number of open
    connections to the API, None while nobody told of them. `since` is when the first sample was
    taken, at the earliest at its beginning."""

    since: datetime
    cpu: float
    memory: float
    disk: float
    bytes_in: int
    bytes_out: int
    connections: float | None
    series: list[HostPoint]
