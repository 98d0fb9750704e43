"""The read model of incidents, each with its timeline.

incidents       HASH  <incident id, 16 bytes> -> the incident, a JSON object
timeline:<id>   HASH  <position in the log> -> what changed there, a JSON object
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from domain import incident
from domain.incident import IncidentChanged, IncidentFacts, IncidentOpened, Status
from domain.message import Recorded
from domain.vocabulary import Severity
from projections.all_events import ALL_EVENTS
from projections.paging import ListPage, Wanted, page_of
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class ListedIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident: what is said of it, its standing, and the alert rule that opened it."""

    id: UUID
    app: str
    facts: IncidentFacts
    version: int
    created_at: datetime
    updated_at: datetime
    rule_id: UUID | None = None


class FieldChange(msgspec.Struct, frozen=True):
    """What one field was, and what it became; null is nothing."""

    field: str
    before: str | None
    after: str | None


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of an incident: where it is in the log, who did it, and what it changed."""

    position: int
    at: datetime
    actor: str
    event: str
    changes: list[FieldChange]


Timeline = list[TimelineEntry]


class IncidentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which incidents; None is any."""

    app: str | None = None
    status: Status | None = None
    severity: Severity | None = None
    assigned_to: UUID | None = None

    def wants(self, one: ListedIncident) -> bool:
        """Whether an incident passes."""
        facts = one.facts
        return (
            self.app in (None, one.app)
            and self.status in (None, facts.status)
            and self.severity in (None, facts.severity)
            and self.assigned_to in (None, facts.assigned_to)
        )


class Incidents(RedisReadModel):
    """Keeps all incidents: none ever goes away."""

    name = "incidents"
    version = 2
    folds = incident.EVENTS
    ignores = ALL_EVENTS - incident.EVENTS

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        incidents: dict[bytes, bytes] = {}
        timelines: defaultdict[UUID, list[str | bytes | int | float]] = defaultdict(list)
        for recorded in events:
            match recorded.event:
                case IncidentOpened() | IncidentChanged() as event:
                    listed = _listed(event, recorded)
                    incidents[event.incident_id.bytes] = msgspec.json.encode(listed)
                    entry = msgspec.json.encode(_entry(event, recorded))
                    timelines[event.incident_id] += (recorded.position, entry)
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "incidents neither folds nor ignores it")
        if not incidents:
            return []
        pairs = (part for pair in incidents.items() for part in pair)
        return [
            ("HSET", _key(keyspace), *pairs),
            *(("HSET", _timeline(keyspace, one), *parts) for one, parts in timelines.items()),
        ]


class IncidentQueries:
    """Reads one version of the incidents."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._keyspace = keyspace

    async def list(self, only: IncidentFilter, wanted: Wanted) -> ListPage[ListedIncident]:
        """A page of the incidents that pass, newest first. The cost grows with all incidents.

        Raises ValueError for a cursor that no page of this list answered, or beside an offset."""
        found = await self._redis.hvals(_key(self._keyspace))
        incidents = map(_decode, found)
        list_name = ("incidents", only)
        return page_of(filter(only.wants, incidents), wanted, list_name, newest_first=True)

    async def one(self, incident_id: UUID) -> tuple[ListedIncident, Timeline] | None:
        """An incident and its timeline, oldest first, both of one moment; None where there is
        none."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hget(_key(self._keyspace), incident_id.bytes)
        pipeline.hvals(_timeline(self._keyspace, incident_id))
        found, entries = await pipeline.execute()
        if found is None:
            return None
        timeline = sorted(map(_decode_entry, entries), key=lambda entry: entry.position)
        return _decode(found), timeline


def _listed(event: IncidentOpened | IncidentChanged, recorded: Recorded[Any]) -> ListedIncident:
    changed = event if isinstance(event, IncidentChanged) else None
    return ListedIncident(
        id=event.incident_id,
        app=event.app,
        facts=event.facts,
        version=changed.version if changed else 1,
        created_at=changed.opened_at if changed else recorded.recorded_at,
        updated_at=recorded.recorded_at,
        rule_id=event.rule_id,
    )


def _entry(event: IncidentOpened | IncidentChanged, recorded: Recorded[Any]) -> TimelineEntry:
    before = None if isinstance(event, IncidentOpened) else event.before
    return TimelineEntry(
        position=recorded.position,
        at=recorded.recorded_at,
        actor=recorded.context.actor,
        event=recorded.name,
        changes=_changes(before, event.facts),
    )


def _changes(before: IncidentFacts | None, after: IncidentFacts) -> list[FieldChange]:
    changes = []
    for field in IncidentFacts.__struct_fields__:
        old = _text(getattr(before, field, None))
        new = _text(getattr(after, field))
        if old != new:
            changes.append(FieldChange(field, old, new))
    return changes


def _text(value: str | UUID | None) -> str | None:
    return None if value is None else str(value)


_decode = msgspec.json.Decoder(ListedIncident).decode
_decode_entry = msgspec.json.Decoder(TimelineEntry).decode


def _key(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}incidents"


def _timeline(keyspace: Keyspace, incident_id: UUID) -> str:
    return f"{keyspace.prefix}timeline:{incident_id}"
