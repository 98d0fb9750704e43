"""Sliding windows, exact and bounded.

What counts for one thing is kept once, on a tape: when each entry was recorded, and where it
stands in the log. Every rule looks at the tape through a window of its own: the entries of the
last `span`, from the one on with which the rule came into force. An entry recorded at t is in the
window at `now` if now - span < t <= now.

Against a threshold of N it makes no difference whether N + 1 or more were counted. So a window
tells counts apart up to its `capacity` only, and a tape keeps about twice what the largest window
on it needs at most: 16 bytes an entry. Beyond `FINE` entries a tape becomes coarse: one entry
stands for 2, 4, 8 ... of them, and a count may be wrong by a 500,000th.

Windows say when to look again, so that nobody evaluates them for every event: `wake` is the number
of entries with which the verdict can change at the earliest, `next_change` the instant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from typing import Any, NamedTuple
from uuid import UUID

from projections.alerting.limits import ENDLESS, Limits

FINE = 1_000_000
"""Entries of a tape, each standing for itself."""

_ROOM = 64


class Place(NamedTuple):
    """Where an entry came from, and of which error it is. `message` is cut; None where the event
    has none."""

    app: str
    environment: str
    source: str
    message: str | None
    error_id: UUID

    @property
    def spot(self) -> tuple[str, str, str]:
        """The place alone."""
        return self[:3]


class Ends(NamedTuple):
    """When and where in the log the oldest and the newest counted entry were recorded."""

    since: int
    first: int
    until: int
    last: int


class Window(ABC):
    """What one evaluation sees through one comparison. `evaluation` is who looks."""

    __slots__ = ("capacity", "evaluation", "span", "wake")

    def __init__(self, span: int, capacity: int) -> None:
        self.span = span
        self.capacity = capacity
        self.wake = 0
        self.evaluation: Any = None

    @abstractmethod
    def count(self, now: int) -> int:
        """How many are in the window, told apart up to the capacity. `now` never goes back."""

    @abstractmethod
    def arm(self, more: int) -> None:
        """Wake with so many more entries."""

    @abstractmethod
    def next_change(self, count: int, limits: Limits) -> int | None:
        """When a verdict on this count, the last one told, can change by itself at the earliest;
        None for never."""

    @abstractmethod
    def ends(self, count: int) -> Ends | None:
        """The ends of what the last count counted; None for an empty window."""

    @abstractmethod
    def place(self) -> Place | None:
        """Where the newest entry came from, where that is known."""

    @abstractmethod
    def moved(self) -> int:
        """Since which position all entries have come from the newest one's place."""

    @abstractmethod
    def positions(self, now: int) -> list[int]:
        """Where the counted entries stand in the log, oldest first."""

    @abstractmethod
    def close(self) -> None:
        """Look no more."""


class Trail:
    """Where entries came from: the newest one, and since which position all have come from the
    same place. That is enough to tell whether all entries of a window have."""

    __slots__ = ("last", "moved")

    def __init__(self) -> None:
        self.last: Place | None = None
        self.moved = 0

    def note(self, place: Place, position: int) -> None:
        """The next entry."""
        last = self.last
        if last is None or last[:3] != place[:3]:
            self.moved = position
        self.last = place


class Tape(Trail):
    """All entries that count for one thing, oldest first. `total` is how many ever came;
    `stamp` belongs to whoever keeps it; beyond `room` entries it trims itself."""

    __slots__ = (
        "_capacity",
        "_horizon",
        "dropped",
        "places",
        "room",
        "skipped",
        "stamp",
        "stride",
        "times",
        "total",
        "wake",
        "windows",
    )

    def __init__(self) -> None:
        super().__init__()
        self.times = array("q")
        self.places = array("q")
        self.dropped = 0
        self.total = 0
        self.stride = 1
        self.skipped = 0
        self.windows: list[Span] = []
        self.wake = ENDLESS
        self.stamp = -1
        self._capacity = 0
        self._horizon = 0
        self.room = _ROOM

    def add(self, now: int, position: int, user: str | None, place: Place) -> bool:
        """One more; whether a window has to be looked at."""
        self.note(place, position)
        self.total += 1
        if self.stride > 1:
            self.skipped += 1
            if self.skipped < self.stride:
                return self.total >= self.wake
            self.skipped = 0
        self.times.append(now)
        self.places.append(position)
        if len(self.times) > self.room:
            self._trim(now)
        return self.total >= self.wake

    def woken(self) -> list[Any]:
        """The evaluations that have to look."""
        total = self.total
        return [window.evaluation for window in self.windows if total >= window.wake]

    def open(self, span: int, capacity: int) -> Span:
        """A window on what comes from here on."""
        window = Span(self, span, capacity)
        window.start = self.dropped + len(self.times)
        self.windows.append(window)
        self._measure()
        return window

    def close(self, window: Span) -> None:
        """The window looks no more."""
        self.windows.remove(window)
        self._measure()

    def _measure(self) -> None:
        self._capacity = max((one.capacity for one in self.windows), default=0)
        self._horizon = max((one.span for one in self.windows), default=0)
        self.rearm()

    def rearm(self) -> None:
        """Wake for the first of the windows."""
        self.wake = min((one.wake for one in self.windows), default=ENDLESS)

    def _trim(self, now: int) -> None:
        # Seldom: as many entries have come since the last time as were kept then.
        over = len(self.times) + -self._capacity // self.stride
        self._drop(max(over, bisect_right(self.times, now - self._horizon)))
        while len(self.times) > FINE:
            later_of_each_pair = slice(1 - len(self.times) % 2, None, 2)
            self.times = self.times[later_of_each_pair]
            self.places = self.places[later_of_each_pair]
            self.stride *= 2
            self.skipped = 0
        self.room = max(_ROOM, 2 * len(self.times))

    def _drop(self, entries: int) -> None:
        if entries > 0:
            del self.times[:entries]
            del self.places[:entries]
            self.dropped += entries


class Span(Window):
    """A window on a tape. `start` is the number of its first entry, counted from the tape's
    very first."""

    __slots__ = ("_first", "start", "tape")

    def __init__(self, tape: Tape, span: int, capacity: int) -> None:
        super().__init__(span, capacity)
        self.tape = tape
        self.start = 0
        self._first = 0

    def count(self, now: int) -> int:
        """How many entries, told apart up to the capacity."""
        tape = self.tape
        first = bisect_right(tape.times, now - self.span)
        self._first = first = max(first, self.start - tape.dropped)
        return min((len(tape.times) - first) * tape.stride, self.capacity)

    def arm(self, more: int) -> None:
        """Wake with so many more entries."""
        tape = self.tape
        before = self.wake
        self.wake = tape.total + more
        if self.wake < tape.wake:
            tape.wake = self.wake
        elif before <= tape.wake:
            tape.rearm()

    def next_change(self, count: int, limits: Limits) -> int | None:
        """When the entry leaves that makes the difference."""
        down_to = limits.fewer(count)
        if down_to is None:
            return None
        times, stride = self.tape.times, self.tape.stride
        leaves = len(times) - down_to // stride - 1
        return times[max(leaves, self._first)] + self.span

    def ends(self, count: int) -> Ends | None:
        """The ends of the newest `count` entries."""
        if not count:
            return None
        tape = self.tape
        oldest = len(tape.times) - -(-count // tape.stride)
        return Ends(tape.times[oldest], tape.places[oldest], tape.times[-1], tape.places[-1])

    def place(self) -> Place | None:
        """Where the tape's newest entry came from."""
        return self.tape.last

    def moved(self) -> int:
        """Since when the tape's entries have come from there."""
        return self.tape.moved

    def positions(self, now: int) -> list[int]:
        """Those of the counted entries, oldest first."""
        count = self.count(now)
        return self.tape.places[len(self.tape.places) - count :].tolist()

    def close(self) -> None:
        """Let the tape forget what only this window needed."""
        self.tape.close(self)
