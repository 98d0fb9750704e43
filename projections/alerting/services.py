"""Windows that count services: those that are down, or were at some instant of the window.

Who is down is known once for all rules. A rule counts every service that is down when it comes
into force, and of the downtimes that end none that ended before.
"""

from __future__ import annotations

from typing import Any

import msgspec

from domain.condition import LONGEST
from projections.alerting.instants import SECOND
from projections.alerting.limits import Limits
from projections.alerting.windows import Ends, Place, Window


class Downtime(msgspec.Struct, array_like=True):
    """A service's last downtime: when and where in the log it began and ended."""

    since: int
    first: int
    until: int | None = None
    last: int | None = None


class Roster:
    """The last downtime of each service, for as long as a window may ask for it."""

    __slots__ = ("downtimes", "last", "stamp", "windows")

    def __init__(self) -> None:
        self.downtimes: dict[str, Downtime] = {}
        self.windows: list[Services] = []
        self.last: Place | None = None
        self.stamp = -1

    def went_down(self, service: str, now: int, position: int) -> None:
        """A service does not answer any more."""
        self.downtimes[service] = Downtime(now, position)

    def came_back(self, service: str, now: int, position: int) -> None:
        """It answers again, or nobody looks any more."""
        downtime = self.downtimes.get(service)
        if downtime is not None and downtime.until is None:
            downtime.until, downtime.last = now, position
        oldest = now - LONGEST * SECOND
        gone = [
            name
            for name, known in self.downtimes.items()
            if known.until is not None and known.until <= oldest
        ]
        for name in gone:
            del self.downtimes[name]

    def woken(self) -> list[Any]:
        """The evaluations that have to look: all of them, for services change seldom."""
        return [window.evaluation for window in self.windows]

    def open(self, span: int, capacity: int) -> Services:
        """A window on what is down now and from here on."""
        window = Services(self, span, capacity)
        window.ended = {
            name: known.first for name, known in self.downtimes.items() if known.until is not None
        }
        self.windows.append(window)
        return window


class Services(Window):
    """One window on the services. `ended` names the downtimes that were over before it opened."""

    __slots__ = ("_counted", "ended", "roster")

    def __init__(self, roster: Roster, span: int, capacity: int) -> None:
        super().__init__(span, capacity)
        self.roster = roster
        self.ended: dict[str, int] = {}
        self._counted: dict[str, Downtime] = {}

    def count(self, now: int) -> int:
        """How many services."""
        left = now - self.span
        self._counted = {
            name: known
            for name, known in self.roster.downtimes.items()
            if (known.until is None or known.until > left) and self.ended.get(name) != known.first
        }
        return len(self._counted)

    def names(self) -> list[str]:
        """Those of the last count: who is down still comes first, then whoever was longest ago."""
        known = self._counted
        return sorted(known, key=lambda name: (known[name].until is not None, known[name].first))

    def arm(self, more: int) -> None:
        """Every change of a service wakes; there is nothing to arm."""

    def next_change(self, count: int, limits: Limits) -> int | None:
        """When the next downtime that is over leaves the window."""
        downtimes = self._counted.values()
        leaving = [known.until + self.span for known in downtimes if known.until is not None]
        return min(leaving, default=None)

    def ends(self, count: int) -> Ends | None:
        """Of all counted downtimes together."""
        if not self._counted:
            return None
        downtimes = self._counted.values()
        oldest = min(downtimes, key=lambda known: known.first)
        newest = max(downtimes, key=lambda known: known.last or known.first)
        return Ends(
            oldest.since, oldest.first, newest.until or newest.since, newest.last or newest.first
        )

    def place(self) -> Place | None:
        """Services belong to no application."""
        return None

    def moved(self) -> int:
        """Nowhere is always the same place."""
        return 0

    def positions(self, now: int) -> list[int]:
        """Where each downtime began, oldest first."""
        self.count(now)
        return sorted(known.first for known in self._counted.values())

    def close(self) -> None:
        """Look no more."""
        self.roster.windows.remove(self)
