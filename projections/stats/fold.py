"""The fold of numbers: a page of events in, one script with its sums out.

The events of a page are sorted by error, and each error adds only the net of its story. How many
errors and occurrences there are is the difference between what the first event found and what the
last one leaves; the hours are counted event by event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from domain import (
    alert_rule,
    api_key,
    app,
    check,
    error_group,
    incident,
    integration,
    member,
    service,
)
from domain.error_group import (
    ErrorDeleted,
    ErrorReopened,
    ErrorReported,
    ErrorResolved,
)
from domain.message import Recorded
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


class Stats(RedisReadModel):
    """Keeps what statistics and trends are computed from."""

    name = "stats"
    version = 1
    folds = error_group.EVENTS
    ignores = (
        app.EVENTS
        | api_key.EVENTS
        | member.EVENTS
        | integration.EVENTS
        | alert_rule.EVENTS
        | incident.EVENTS
        | check.EVENTS
        | service.EVENTS
    )

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The command that brings this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        stories: defaultdict[str, Story] = defaultdict(list)
        for recorded in events:
            kind = type(recorded.event)
            if kind in self.folds:
                stories[recorded.stream_id.hex].append(recorded)
            elif kind not in self.ignores:
                raise Indigestible(recorded, "stats neither folds nor ignores it")
        page = _Changes()
        for group, story in stories.items():
            page.tell(group, story)
        return page.writes(Layout(keyspace))


class _Standing(NamedTuple):
    """An error between two events: its occurrences, 0 where it does not exist."""

    occurrences: int
    resolved: bool


class _Changes:
    """What a page adds and takes out."""

    def __init__(self) -> None:
        self._deleted: list[str] = []
        self._totals: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._slots: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._by_group: list[str | int] = []

    def tell(self, group: str, story: Story) -> None:
        """Add the net of one error's story."""
        owner = story[0].event.app
        before, after = standing_before(story[0].event), standing_after(story[-1].event)
        self._total(owner, ERRORS, bool(after.occurrences) - bool(before.occurrences))
        self._total(owner, RESOLVED, after.resolved - before.resolved)
        self._total(owner, OCCURRENCES, after.occurrences - before.occurrences)
        alive = _since_deletion(story)
        if before.occurrences and len(alive) < len(story):
            self._deleted += (group_of(group), counts_of(owner))
        if alive:
            self._count(owner, group, alive)

    def _count(self, owner: str, group: str, story: Story) -> None:
        slots: defaultdict[int, int] = defaultdict(int)
        resolutions = resolving = 0
        for recorded in story:
            event = recorded.event
            match event:
                case ErrorReported(occurrence=occurrence):
                    critical = occurrence.level == "error"
                    kind = Kind.CRITICAL if critical else Kind.OTHER
                    slots[slot_of(occurrence.timestamp, kind)] += 1
                case ErrorResolved():
                    slots[slot_of(recorded.recorded_at, Kind.RESOLUTION)] += 1
                    resolutions += 1
                    resolving += _milliseconds(event.open_since, recorded.recorded_at)
                case ErrorReopened():
                    slots[slot_of(event.resolved_at, Kind.RESOLUTION)] -= 1
                    resolutions -= 1
                    start = event.open_since or event.first_seen
                    resolving -= _milliseconds(start, event.resolved_at)
        self._total(owner, RESOLUTIONS, resolutions)
        self._total(owner, RESOLVING_MS, resolving)
        key = group_of(group)
        for slot, number in slots.items():
            if number:
                self._slots[owner, slot] += number
                self._by_group += (key, slot, number)
        if resolving:
            self._by_group += (key, RESOLVING_MS, resolving)

    def _total(self, owner: str, field: str, number: int) -> None:
        if number:
            self._totals[owner, field] += number

    def writes(self, layout: Layout) -> list[Write]:
        """The command; none where nothing changes."""
        sums = [*_flat(self._totals), *self._by_group]
        changes = (self._deleted, sums, list(_flat(self._slots)))
        if not any(changes):
            return []
        packed = msgspec.msgpack.encode(changes)
        return [("EVAL", CHANGE, 1, layout.counts(None), layout.prefix, packed)]


def standing_before(event: Any) -> _Standing:
    """How an error stood until this event."""
    match event:
        case ErrorReported():
            return _Standing(event.count - 1, event.resolved)
        case ErrorDeleted():
            return _Standing(event.count, event.resolved)
    return _Standing(event.count, not isinstance(event, ErrorResolved))


def standing_after(event: Any) -> _Standing:
    """How an error stands from this event on."""
    match event:
        case ErrorReported():
            return _Standing(event.count, event.resolved)
        case ErrorDeleted():
            return _Standing(0, resolved=False)
    return _Standing(event.count, isinstance(event, ErrorResolved))


def _since_deletion(story: Story) -> Story:
    """What comes after the last deletion; all of it where there is none."""
    for number in range(len(story), 0, -1):
        if type(story[number - 1].event) is ErrorDeleted:
            return story[number:]
    return story


def _milliseconds(start: datetime, end: datetime) -> int:
    """How long a resolution took; 0 where the application's clock ran ahead of ours."""
    return max(0, (end - start) // _MILLISECOND)


def _flat(sums: Mapping[tuple[str, Any], int]) -> Iterable[str | int]:
    """(key, field, number) of each sum, for its application and for all."""
    totals: defaultdict[Any, int] = defaultdict(int)
    for (owner, field), number in sums.items():
        totals[field] += number
        if number:
            yield from (counts_of(owner), field, number)
    for field, number in totals.items():
        if number:
            yield from (counts_of(None), field, number)
