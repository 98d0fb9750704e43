"""The JSON of one error, made of two objects that change apart.

A report brings nearly all of it; whether the error is resolved, and when it last changed, is its
standing. Each is written whole by the events that change it, so nothing is ever read back, and
joining them is joining bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.error_group import ErrorRegressed, ErrorReported, ErrorResolved
from domain.message import Recorded


class _Grouping(msgspec.Struct, frozen=True):
    version: int
    parts: tuple[str, ...]
    reasons: tuple[str, ...]


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    app: str
    type: str | None
    message: str
    level: str
    fatal: bool
    source: str
    environment: str
    release: str | None
    stack_trace: str | None
    context: msgspec.Raw | None
    tags: dict[str, str] | None
    user: msgspec.Raw | None
    url: str | None
    user_agent: str | None
    ip_address: str | None
    fingerprint: str
    grouping: _Grouping
    event_id: str
    timestamp: datetime
    count: int
    first_seen: datetime
    last_seen: datetime
    created_at: datetime


class _Standing(msgspec.Struct, frozen=True):
    resolved: bool
    resolved_at: datetime | None
    updated_at: datetime


def document_of(recorded: Sequence[Recorded[Any]]) -> bytes:
    """The error as it is after one report, from what the report committed: an ErrorReported,
    followed by an ErrorRegressed where the group was resolved. A JSON object, the same as the
    read model answers once it has folded these events.

    Raises ValueError for any other sequence.
    """
    events = [one.event for one in recorded]
    if not events or not isinstance(events[0], ErrorReported):
        raise ValueError("a report commits an ErrorReported first")
    expected = [ErrorReported, ErrorRegressed] if events[0].resolved else [ErrorReported]
    if [type(event) for event in events] != expected:
        raise ValueError("a report commits an ErrorRegressed too if and only if it was resolved")
    return joined(report_of(recorded[0]), standing_of(recorded[-1]))


def left_by(recorded: Recorded[ErrorReported]) -> bytes:
    """The error as one of its reports left it, without what has happened to it since: for an
    answer from the log alone."""
    return joined(report_of(recorded), standing_of(recorded))


def report_of(recorded: Recorded[ErrorReported]) -> bytes:
    """What a report says of its group: a JSON object. `event_id` is the client's own id of the
    occurrence, or else the log's."""
    event = recorded.event
    occurrence = event.occurrence
    grouping = event.grouping
    return msgspec.json.encode(
        _Report(
            id=recorded.stream_id,
            app=event.app,
            type=grouping.type,
            message=occurrence.message,
            level=occurrence.level,
            fatal=occurrence.fatal,
            source=occurrence.source,
            environment=occurrence.environment,
            release=occurrence.release,
            stack_trace=occurrence.stack_trace,
            context=occurrence.context,
            tags=occurrence.tags,
            user=occurrence.user,
            url=occurrence.url,
            user_agent=occurrence.user_agent,
            ip_address=occurrence.ip_address,
            fingerprint=event.fingerprint,
            grouping=_Grouping(grouping.version, grouping.parts, grouping.reasons),
            event_id=occurrence.event_id or str(recorded.event_id),
            timestamp=_utc(occurrence.timestamp),
            count=event.count,
            first_seen=_utc(event.first_seen),
            last_seen=_utc(event.last_seen),
            created_at=_utc(event.created_at or recorded.recorded_at),
        )
    )


def standing_of(recorded: Recorded[Any]) -> bytes:
    """How a group stands after an event: resolved by an ErrorResolved, open after any other. Not
    for the report of a resolved group, which says nothing of the standing. A JSON object."""
    now = _utc(recorded.recorded_at)
    resolved = isinstance(recorded.event, ErrorResolved)
    return msgspec.json.encode(_Standing(resolved, now if resolved else None, now))


def joined(report: bytes, standing: bytes) -> bytes:
    """One JSON object with the members of both."""
    return b"%b,%b" % (report[:-1], standing[1:])


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo is UTC else time.astimezone(UTC)
