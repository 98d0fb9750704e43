"""What the routes of the dashboard's API read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.message import Recorded
from projections.codes import CodeQueries
from projections.dashboard_trends import DashboardTrendQueries
from projections.occurrence_index import OccurrenceIndexQueries


class SingleEvents(Protocol):
    """Events of the log, one by one. Raises Unavailable("postgres") while it is away."""

    async def events_at(self, positions: Sequence[int]) -> dict[int, Recorded[Any]]:
        """Events by their positions; those that have left the log are not among them."""
        ...

    async def known_event(self, event_ids: Sequence[UUID]) -> Recorded[Any] | None:
        """The event under one of these ids; None where the log holds none of them."""
        ...


@dataclass(frozen=True)
class Dashboard:
    """All of them."""

    index: OccurrenceIndexQueries
    codes: CodeQueries
    trends: DashboardTrendQueries
    events: SingleEvents
