"""Windows that count different users: each keeps when it last saw whom, the longest ago first.

A user is in the window while their newest entry is. A window keeps as many of the most recently
seen users as it has to tell apart; beyond `FINE` users it keeps a sample of them, those whose
hash ends in so many zero bits, and counts each for 2, 4, 8 ... users (adaptive sampling: Wegman;
Flajolet, "On Adaptive Sampling", Computing 43, 1990; standard error about 1.2 / sqrt(FINE)).
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Any

from projections.alerting.limits import ENDLESS, Limits
from projections.alerting.windows import FINE, Ends, Place, Trail, Window


class Crowd(Trail):
    """The users who count for one thing, as every window on them sees them."""

    __slots__ = ("stamp", "windows")

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[Users] = []
        self.stamp = -1

    def add(self, now: int, position: int, user: str | None, place: Place) -> bool:
        """One more entry; whether a window has to be looked at. Without a user it is none."""
        if user is None:
            return False
        self.note(place, position)
        due = False
        for window in self.windows:
            due |= window.see(user, now, position)
        return due

    def woken(self) -> list[Any]:
        """The evaluations that have to look."""
        return [window.evaluation for window in self.windows if window.total >= window.wake]

    def open(self, span: int, capacity: int) -> Users:
        """A window on whoever comes from here on."""
        window = Users(self, span, capacity)
        self.windows.append(window)
        return window


class Users(Window):
    """One window's users. `total` counts those that were new to it when they came."""

    __slots__ = ("bits", "crowd", "seen", "total")

    def __init__(self, crowd: Crowd, span: int, capacity: int) -> None:
        super().__init__(span, capacity)
        self.crowd = crowd
        self.seen: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self.total = 0
        self.bits = 0

    def see(self, user: str, now: int, position: int) -> bool:
        """A user's entry; whether the window has to be looked at."""
        if self.bits and not _sampled(user, self.bits):
            return False
        if user in self.seen:
            self.seen.move_to_end(user)
            self.seen[user] = (now, position)
            return False
        self._forget(now)
        self.seen[user] = (now, position)
        self.total += 1 << self.bits
        if len(self.seen) > self.capacity >> self.bits:
            self.seen.popitem(last=False)
        elif len(self.seen) > FINE:
            self._thin()
        return self.total >= self.wake

    def count(self, now: int) -> int:
        """How many users, told apart up to the capacity."""
        self._forget(now)
        return min(len(self.seen) << self.bits, self.capacity)

    def arm(self, more: int) -> None:
        """Wake with so many more users."""
        self.wake = ENDLESS if more >= ENDLESS else self.total + more

    def next_change(self, count: int, limits: Limits) -> int | None:
        """When the user leaves who was seen the longest ago."""
        if limits.fewer(count) is None or not self.seen:
            return None
        return next(iter(self.seen.values()))[0] + self.span

    def ends(self, count: int) -> Ends | None:
        """When these users were last seen: the first and the last of them."""
        if not self.seen:
            return None
        oldest, newest = next(iter(self.seen.values())), next(reversed(self.seen.values()))
        return Ends(*oldest, *newest)

    def place(self) -> Place | None:
        """Where the newest entry came from."""
        return self.crowd.last

    def moved(self) -> int:
        """Since when all entries have come from there."""
        return self.crowd.moved

    def positions(self, now: int) -> list[int]:
        """Each user's newest entry, oldest first."""
        self._forget(now)
        return [position for _, position in self.seen.values()]

    def close(self) -> None:
        """Look no more."""
        self.crowd.windows.remove(self)

    def _forget(self, now: int) -> None:
        seen, left = self.seen, now - self.span
        while seen and next(iter(seen.values()))[0] <= left:
            seen.popitem(last=False)

    def _thin(self) -> None:
        while len(self.seen) > FINE:
            self.bits += 1
            for user in [user for user in self.seen if not _sampled(user, self.bits)]:
                del self.seen[user]


def _sampled(user: str, bits: int) -> bool:
    digest = blake2b(user.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return not int.from_bytes(digest, "big") & ((1 << bits) - 1)
