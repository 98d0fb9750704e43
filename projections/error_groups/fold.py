"""The fold of errors: a page of events in, few Redis commands with many arguments out.

The events of a page are sorted by group, and each group adds only the net of its story. The
first event tells where the indexes hold the group, the last one where they shall hold it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from domain import error_group
from domain.error_group import (
    MUTING,
    ErrorDeleted,
    ErrorMuted,
    ErrorReported,
    ErrorResolved,
    ErrorWoke,
)
from domain.message import Recorded
from domain.occurrence import Facets, facets_of
from projections.all_events import ALL_EVENTS
from projections.error_groups.document import mute_of, muted_until, report_of, standing_of
from projections.error_groups.layout import (
    SORTS,
    Layout,
    Place,
    Sort,
    count_score,
    moment,
    mute_field,
    report_field,
    standing_field,
)
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write

Story = list[Recorded[Any]]
"""The events of one group in a page, oldest first."""

Argument = str | bytes | int | float

# The words of a group are in its first report only, so its deletion has to look them up. All keys
# of a read model share a slot, hence the keys of the words may be made up here.
FORGET_WORDS = """
for i = 2, #ARGV do
  local words = redis.call('HGET', KEYS[1], ARGV[i])
  if words then
    for _, word in ipairs(cjson.decode(words)) do
      redis.call('SREM', ARGV[1] .. word, ARGV[i])
    end
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
"""


class ErrorGroups(RedisReadModel):
    """Keeps errors for lists, search and single answers."""

    name = "error_groups"
    version = 2
    folds = error_group.EVENTS
    ignores = ALL_EVENTS - error_group.EVENTS

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        stories: defaultdict[int, Story] = defaultdict(list)
        for recorded in events:
            kind = type(recorded.event)
            if kind in self.folds:
                stories[recorded.stream_id.int].append(recorded)
            elif kind not in self.ignores:
                raise Indigestible(recorded, "error_groups neither folds nor ignores it")
        page = _Changes(Layout(keyspace))
        for group, story in stories.items():
            page.tell(group.to_bytes(16), story)
        return page.writes()


class _Changes:
    """What a page changes, gathered by kind."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._deleted: list[bytes] = []
        self._gone: list[bytes] = []
        self._documents: list[bytes] = []
        self._woken: list[bytes] = []
        self._waking: list[Argument] = []
        self._words: list[bytes] = []
        self._groups_by_word: defaultdict[str, list[bytes]] = defaultdict(list)
        self._left: defaultdict[Place, list[bytes]] = defaultdict(list)
        self._scores: dict[Sort, defaultdict[Place, list[Argument]]] = {
            sort: defaultdict(list) for sort in SORTS
        }

    def tell(self, group: bytes, story: Story) -> None:
        """Add the net of one group's story."""
        before, after = place_before(story[0].event), place_after(story[-1].event)
        if before is not None:
            if any(type(one.event) is ErrorDeleted for one in story):
                self._deleted.append(group)
            if before != after:
                self._left[before].append(group)
            if after is None:
                self._gone += (report_field(group), standing_field(group))
        if before is not None or after is not None:
            self._mute(group, story)
        if after is not None:
            self._document(group, story)
            self._index(group, story, after, moved=before != after)

    def _document(self, group: bytes, story: Story) -> None:
        report = next((one for one in reversed(story) if type(one.event) is ErrorReported), None)
        if report is not None:
            self._documents += (report_field(group), report_of(report))
        # The report of a resolved group leaves the standing to the ErrorRegressed that the same
        # commit holds, even where a page ends between the two.
        change = next((one for one in reversed(story) if not _of_resolved(one.event)), None)
        if change is not None:
            self._documents += (standing_field(group), standing_of(change))

    def _mute(self, group: bytes, story: Story) -> None:
        last = next((one.event for one in reversed(story) if _of_mute(one.event)), None)
        if last is None:
            return
        if isinstance(last, ErrorWoke | ErrorDeleted):
            self._gone.append(mute_field(group))
        else:
            self._documents += (mute_field(group), mute_of(last))
        until = muted_until(last)
        if until is None:
            self._woken.append(group)
        else:
            self._waking += (moment(until), group)

    def _index(self, group: bytes, story: Story, place: Place, moved: bool) -> None:
        reports = [one.event for one in story if type(one.event) is ErrorReported]
        if not (moved or reports):
            return
        last = story[-1].event
        scores = self._scores
        scores["last_seen"][place] += (moment(last.last_seen), group)
        scores["count"][place] += (count_score(last.count, group), group)
        if moved or any(event.first_seen == event.occurrence.timestamp for event in reports):
            scores["first_seen"][place] += (moment(last.first_seen), group)
        first_report = next((event for event in reversed(reports) if event.count == 1), None)
        if first_report is not None and first_report.grouping.words:
            self._words += (group, msgspec.json.encode(first_report.grouping.words))
            for word in first_report.grouping.words:
                self._groups_by_word[word].append(group)

    def writes(self) -> list[Write]:
        """The commands. What goes comes before what comes: a group may do both in one page."""
        layout = self._layout
        writes: list[Write] = []
        if self._deleted:
            writes.append(
                ("EVAL", FORGET_WORDS, 1, layout.words, layout.word_prefix, *self._deleted)
            )
        if self._gone:
            writes.append(("HDEL", layout.documents, *self._gone))
        for sort in SORTS:
            writes += _by_index("ZREM", layout, sort, self._left)
        for sort in SORTS:
            writes += _by_index("ZADD", layout, sort, self._scores[sort])
        if self._documents:
            writes.append(("HSET", layout.documents, *self._documents))
        if self._woken:
            writes.append(("ZREM", layout.waking, *self._woken))
        if self._waking:
            writes.append(("ZADD", layout.waking, *self._waking))
        if self._words:
            writes.append(("HSET", layout.words, *self._words))
        for word, groups in self._groups_by_word.items():
            writes.append(("SADD", layout.word(word), *groups))
        return writes


def place_before(event: Any) -> Place | None:
    """Where the indexes hold the group until this event; None before its first report."""
    match event:
        case ErrorReported():
            if event.count == 1:
                return None
            facets = event.moved_from or facets_of(event.occurrence)
            return _place(event.app, facets, event.resolved)
        case ErrorDeleted():
            return _place(event.app, event.facets, event.resolved)
        case ErrorMuted() | ErrorWoke():
            return _place(event.app, event.facets, event.resolved_at is not None)
    return _place(event.app, event.facets, not isinstance(event, ErrorResolved))


def place_after(event: Any) -> Place | None:
    """Where the indexes hold the group from this event on; None once it is deleted."""
    match event:
        case ErrorReported():
            return _place(event.app, facets_of(event.occurrence), event.resolved)
        case ErrorDeleted():
            return None
        case ErrorMuted() | ErrorWoke():
            return _place(event.app, event.facets, event.resolved_at is not None)
    return _place(event.app, event.facets, isinstance(event, ErrorResolved))


def _of_resolved(event: Any) -> bool:
    return type(event) is ErrorReported and event.resolved


def _of_mute(event: Any) -> bool:
    kind = type(event)
    return event.muted if kind is ErrorReported else kind in MUTING or kind is ErrorDeleted


def _place(app: str, facets: Facets, resolved: bool) -> Place:
    return Place(app, facets.source, facets.environment, facets.level, resolved)


def _by_index(
    command: str,
    layout: Layout,
    sort: Sort,
    arguments_by_place: Mapping[Place, Sequence[Argument]],
) -> Iterable[Write]:
    """One command for each sorted set that any of the places belongs to."""
    by_index: defaultdict[bytes, list[Sequence[Argument]]] = defaultdict(list)
    for place, arguments in arguments_by_place.items():
        for index in layout.indexes_of(sort, place):
            by_index[index].append(arguments)
    for index, parts in by_index.items():
        yield (command, index, *chain.from_iterable(parts))
