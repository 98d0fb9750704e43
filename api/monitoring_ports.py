"""What the routes of monitoring read from. All calls raise RedisError while Redis is away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from domain.observation import HostReport, Look, RequestCounts, Timeframe
from projections.directory.checks import CheckQueries
from projections.uptime import UptimeQueries


class Board(Protocol):
    """Where the latest look at each service is."""

    async def looks(self) -> Mapping[str, Look]:
        """The latest look at every service, by its name."""
        ...


class Requests(Protocol):
    """What all API processes together have answered."""

    async def recent(self) -> RequestCounts:
        """The requests of the last five minutes."""
        ...

    async def since(self, begin: float) -> RequestCounts:
        """How many there were since about this Unix time."""
        ...


class Host(Protocol):
    """What the host was like."""

    async def report(self, timeframe: Timeframe) -> HostReport | None:
        """The host over a timeframe that ends now; None where nothing is known of it."""
        ...


@dataclass(frozen=True)
class Monitoring:
    """All of them, with the read models of uptime and checks."""

    uptime: UptimeQueries
    checks: CheckQueries
    board: Board
    requests: Requests
    host: Host
