"""The fold of numbers: a page of events in, one script with its sums out.

The events of a page are sorted by error, and each error adds only the net of its story. How many
errors and occurrences there are is the difference between what the first event found and what the
last one leaves; the hours are counted event by event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from domain import error_group
from domain.error_group import ErrorDeleted, ErrorReopened, ErrorReported, ErrorResolved
from domain.message import Recorded
from domain.occurrence import Occurrence
from projections.all_events import ALL_EVENTS
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write
from projections.stats.layout import (
    ERRORS,
    OCCURRENCES,
    RESOLUTIONS,
    RESOLVED,
    RESOLVING_MS,
    Kind,
    Layout,
    counts_of,
    group_of,
    slot_of,
)
from projections.stats.script import CHANGE

Story = list[Recorded[Any]]
"""The events of one error in a page, oldest first."""

_MILLISECOND = timedelta(milliseconds=1)
_CRITICAL, _OTHER = Kind.CRITICAL, Kind.OTHER  # to look up an enum's member takes 0.1 us


class Stats(RedisReadModel):
    """Keeps what statistics and trends are computed from."""

    name = "stats"
    version = 1
    folds = error_group.RESOLVING | {ErrorReported, ErrorDeleted}
    ignores = (ALL_EVENTS - error_group.EVENTS) | error_group.MUTING

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The command that brings this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        stories: defaultdict[int, Story] = defaultdict(list)
        for recorded in events:
            kind = type(recorded.event)
            if kind in self.folds:
                stories[recorded.stream_id.int].append(recorded)
            elif kind not in self.ignores:
                raise Indigestible(recorded, "stats neither folds nor ignores it")
        page = _Changes()
        for group, story in stories.items():
            page.tell(f"{group:032x}", story)
        return page.writes(Layout(keyspace))


class _Sums:
    """What a page adds to the numbers of one application, or of all."""

    def __init__(self) -> None:
        self.totals: defaultdict[str, int] = defaultdict(int)
        self.slots: defaultdict[int, int] = defaultdict(int)

    def add(self, more: _Sums) -> None:
        """Add those of another application."""
        for field, number in more.totals.items():
            self.totals[field] += number
        for slot, number in more.slots.items():
            self.slots[slot] += number


class _Changes:
    """What a page adds and takes out."""

    def __init__(self) -> None:
        self._deleted: list[str] = []
        self._sums: defaultdict[str, _Sums] = defaultdict(_Sums)
        self._of_groups: list[str | int] = []

    def tell(self, group: str, story: Story) -> None:
        """Add the net of one error's story."""
        first, last = story[0].event, story[-1].event
        (before, was_resolved), (after, is_resolved) = state_before(first), state_after(last)
        sums = self._sums[first.app]
        sums.totals[OCCURRENCES] += after - before
        sums.totals[ERRORS] += bool(after) - bool(before)
        sums.totals[RESOLVED] += is_resolved - was_resolved
        alive = _since_deletion(story)
        if before and len(alive) < len(story):
            self._deleted += (group_of(group), counts_of(first.app))
        if alive:
            self._count(sums, group_of(group), alive)

    def _count(self, sums: _Sums, key: str, story: Story) -> None:
        slots: defaultdict[int, int] = defaultdict(int)
        resolutions = resolving = 0
        for recorded in story:
            event = recorded.event
            match event:
                case ErrorReported():
                    slots[_slot_of(event.occurrence)] += 1
                case ErrorResolved():
                    slots[slot_of(recorded.recorded_at, Kind.RESOLUTION)] += 1
                    resolutions += 1
                    resolving += _milliseconds(event.open_since, recorded.recorded_at)
                case ErrorReopened():
                    slots[slot_of(event.resolved_at, Kind.RESOLUTION)] -= 1
                    resolutions -= 1
                    start = event.open_since or event.first_seen
                    resolving -= _milliseconds(start, event.resolved_at)
        sums.totals[RESOLUTIONS] += resolutions
        sums.totals[RESOLVING_MS] += resolving
        for slot, number in slots.items():
            sums.slots[slot] += number
        self._of_groups += _flat(key, slots)
        if resolving:
            self._of_groups += (key, RESOLVING_MS, resolving)

    def writes(self, layout: Layout) -> list[Write]:
        """The command; none where nothing changes."""
        of_all = _Sums()
        for sums in self._sums.values():
            of_all.add(sums)
        totals: list[str | int] = []
        slots: list[str | int] = []
        for owner, sums in [(None, of_all), *self._sums.items()]:
            totals += _flat(counts_of(owner), sums.totals)
            slots += _flat(counts_of(owner), sums.slots)
        changes = (self._deleted, totals + self._of_groups, slots)
        if not any(changes):
            return []
        packed = msgspec.msgpack.encode(changes)
        return [("EVAL", CHANGE, 1, layout.counts(None), layout.prefix, packed)]


def state_before(event: Any) -> tuple[int, bool]:
    """An error's occurrences until this event, 0 before the first; whether it was resolved."""
    match event:
        case ErrorReported():
            return event.count - 1, event.resolved
        case ErrorDeleted():
            return event.count, event.resolved
    return event.count, not isinstance(event, ErrorResolved)


def state_after(event: Any) -> tuple[int, bool]:
    """An error's occurrences from this event on, 0 once it is deleted; whether it is resolved."""
    match event:
        case ErrorReported():
            return event.count, event.resolved
        case ErrorDeleted():
            return 0, False
    return event.count, isinstance(event, ErrorResolved)


def _since_deletion(story: Story) -> Story:
    """What comes after the last deletion; all of it where there is none."""
    for number in range(len(story), 0, -1):
        if type(story[number - 1].event) is ErrorDeleted:
            return story[number:]
    return story


def _slot_of(occurrence: Occurrence) -> int:
    kind = _CRITICAL if occurrence.level == "error" else _OTHER
    return slot_of(occurrence.timestamp, kind)


def _milliseconds(start: datetime, end: datetime) -> int:
    """How long a resolution took; 0 where the application's clock ran ahead of ours."""
    return max(0, (end - start) // _MILLISECOND)


def _flat(key: str, sums: Mapping[Any, int]) -> Iterable[Any]:
    """(key, field or slot, number) of each sum that is not zero, without parentheses."""
    for field, number in sums.items():
        if number:
            yield from (key, field, number)
