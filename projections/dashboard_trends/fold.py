"""The fold of the dashboard's trends: a page of events in, one script with its sums out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from domain import error_group
from domain.error_group import ErrorDeleted, ErrorReported
from domain.message import Recorded
from projections.all_events import ALL_EVENTS
from projections.dashboard_trends.layout import COUNTED, HOURS, SHARDS, hour_of, quoted
from projections.dashboard_trends.script import CHANGE
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write

Flat = list[Any]
"""Names and numbers one after the other, as the script takes them."""


class DashboardTrends(RedisReadModel):
    """Keeps what the dashboard's trends show. `counted` is for tests."""

    name = "dashboard_trends"
    version = 1
    folds = frozenset({ErrorReported, ErrorDeleted})
    ignores = (ALL_EVENTS - error_group.EVENTS) | error_group.MUTING | error_group.RESOLVING

    def __init__(self, counted: int = COUNTED) -> None:
        self._counted = counted

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The command that brings this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        parts = [_Part()]
        for recorded in events:
            match recorded.event:
                case ErrorReported():
                    if parts[-1].deleted:
                        parts.append(_Part())
                    parts[-1].add(recorded)
                case ErrorDeleted() as event:
                    parts[-1].deleted += (recorded.stream_id.hex, _quoted(event.app))
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "dashboard_trends neither folds nor ignores it")
        changes = [part.flat() for part in parts if not part.is_empty]
        if not changes:
            return []
        packed = msgspec.msgpack.encode(changes)
        arguments = (packed, keyspace.prefix, self._counted, SHARDS)
        return [("EVAL", CHANGE, 1, keyspace.checkpoint, *arguments)]


class _Sums:
    """What some occurrences add up to: how many there are, of which codes, of which users."""

    __slots__ = ("codes", "count", "users")

    def __init__(self) -> None:
        self.count = 0
        self.codes: defaultdict[str, int] = defaultdict(int)
        self.users: defaultdict[str, int] = defaultdict(int)

    def add(self, more: _Sums) -> None:
        """Add those of others."""
        self.count += more.count
        for code, number in more.codes.items():
            self.codes[code] += number
        for user, number in more.users.items():
            self.users[user] += number

    def fields(self, hour: int) -> Flat:
        """As the hash of an error holds what happened in an hour."""
        fields: Flat = [str(hour), self.count]
        for kind, values in (("c", self.codes), ("u", self.users)):
            for value, number in values.items():
                fields += (f"{hour}{kind}{value}", number)
        return fields


class _Part:
    """What some events add up to, and the errors that are deleted right after them."""

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self._sums: defaultdict[tuple[int, str, int], _Sums] = defaultdict(_Sums)
        """By error, application and hour: all else follows from these, once a page."""

    def add(self, recorded: Recorded[ErrorReported]) -> None:
        """Count one occurrence."""
        occurrence = recorded.event.occurrence
        hour = hour_of(occurrence.timestamp)
        sums = self._sums[recorded.stream_id.int, recorded.event.app, hour]
        sums.count += 1
        if occurrence.code is not None:
            sums.codes[occurrence.code] += 1
        if occurrence.user_id is not None:
            sums.users[occurrence.user_id] += 1

    def flat(self) -> tuple[Flat, Flat, Flat, list[str]]:
        """As the script takes it."""
        groups: defaultdict[int, Flat] = defaultdict(list)
        hours: defaultdict[tuple[str, int], _Sums] = defaultdict(_Sums)
        for (group, app_id, hour), sums in self._sums.items():
            groups[group] += sums.fields(hour)
            hours[app_id, hour].add(sums)
        days: defaultdict[tuple[str, int], _Sums] = defaultdict(_Sums)
        for (app_id, hour), sums in hours.items():
            days[app_id, hour // HOURS].add(sums)
        counts: Flat = []
        values: Flat = []
        for letter, buckets in (("h", hours), ("d", days)):
            for (app_id, number), sums in buckets.items():
                place = _quoted(app_id), f"{letter}{number}"
                counts += (*place, sums.count)
                values += _values(*place, sums)
        by_group = [part for group, fields in groups.items() for part in (f"{group:032x}", fields)]
        return counts, values, by_group, self.deleted

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be done."""
        return not (self._sums or self.deleted)


def _values(app_id: str, bucket: str, sums: _Sums) -> Flat:
    flat: Flat = []
    for kind, values in (("c", sums.codes), ("u", sums.users)):
        if values:
            flat += (app_id, bucket + kind, [part for pair in values.items() for part in pair])
    return flat


_quoted = lru_cache(maxsize=4096)(quoted)
