"""The fold of the dashboard's trends: a page of events in, one script with its sums out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from domain import (
    alert,
    alert_rule,
    api_key,
    app,
    check,
    delivery,
    error_group,
    incident,
    integration,
    member,
    service,
    source_maps,
)
from domain.error_group import ErrorDeleted, ErrorReported
from domain.message import Recorded
from projections.dashboard_trends.layout import COUNTED, SHARDS, number_of, quoted
from projections.dashboard_trends.script import CHANGE
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write

Key = tuple[str, str]
Sums = defaultdict[str, int]


class DashboardTrends(RedisReadModel):
    """Keeps what the dashboard's trends show. `counted` is for tests."""

    name = "dashboard_trends"
    version = 1
    folds = frozenset({ErrorReported, ErrorDeleted})
    ignores = (
        (error_group.EVENTS - folds)
        | app.EVENTS
        | api_key.EVENTS
        | member.EVENTS
        | integration.EVENTS
        | alert_rule.EVENTS
        | incident.EVENTS
        | check.EVENTS
        | service.EVENTS
        | source_maps.EVENTS
        | alert.EVENTS
        | delivery.EVENTS
    )

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
        changes = [part.flat() for part in parts if part.counts or part.deleted]
        if not changes:
            return []
        packed = msgspec.msgpack.encode(changes)
        arguments = (packed, keyspace.prefix, self._counted, SHARDS)
        return [("EVAL", CHANGE, 1, keyspace.checkpoint, *arguments)]


class _Part:
    """What some events add up to, and the errors that are deleted right after them."""

    def __init__(self) -> None:
        self.counts: defaultdict[Key, int] = defaultdict(int)
        self.values: defaultdict[Key, Sums] = defaultdict(_sums)
        self.groups: defaultdict[str, Sums] = defaultdict(_sums)
        self.deleted: list[str] = []

    def add(self, recorded: Recorded[ErrorReported]) -> None:
        """Count one occurrence."""
        occurrence = recorded.event.occurrence
        app_id = _quoted(recorded.event.app)
        hour = number_of(occurrence.timestamp, "hour")
        buckets = _buckets(hour)
        group = self.groups[recorded.stream_id.hex]
        group[str(hour)] += 1
        for bucket in buckets:
            self.counts[app_id, bucket] += 1
        for kind, value in (("c", occurrence.code), ("u", occurrence.user_id)):
            if value is not None:
                group[f"{hour}{kind}{value}"] += 1
                for bucket in buckets:
                    self.values[app_id, bucket + kind][value] += 1

    def flat(self) -> tuple[list[Any], list[Any], list[Any], list[str]]:
        """As the script takes it."""
        counts = [part for key, number in self.counts.items() for part in (*key, number)]
        values = [part for key, sums in self.values.items() for part in (*key, _flat(sums))]
        groups = [part for key, sums in self.groups.items() for part in (key, _flat(sums))]
        return counts, values, groups, self.deleted


def _sums() -> Sums:
    return defaultdict(int)


def _flat(sums: Sums) -> list[str | int]:
    return [part for pair in sums.items() for part in pair]


@lru_cache(maxsize=4096)
def _buckets(hour: int) -> tuple[str, str]:
    """The two buckets of what happened in an hour since 1970."""
    return f"h{hour}", f"d{hour // 24}"


_quoted = lru_cache(maxsize=4096)(quoted)
