"""The instants at which something changes by itself, the next one first."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple


class Entry(NamedTuple):
    """What is due at an instant, in the order in which it is done: rules by number, and of each
    rule first its evaluations, by error, then what it tells, by channel."""

    instant: int
    rule: int
    telling: bool
    key: int


class Calendar:
    """Entries in order. An entry may have become void: whoever takes it out knows."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self.next: float = float("inf")

    def put(self, entry: Entry) -> None:
        """Something is due then."""
        heappush(self._entries, entry)
        self.next = self._entries[0].instant

    def take(self) -> Entry:
        """The first one."""
        entry = heappop(self._entries)
        self.next = self._entries[0].instant if self._entries else float("inf")
        return entry
