"""The JSON of one error, made of three objects that change apart.

A report brings nearly all of it; whether the error is resolved, and when it last changed, is its
standing; whether it is muted stands by itself. Each is written whole by the events that change it,
so nothing is ever read back, and joining them is joining bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.error_group import (
    MUTING,
    ErrorMuted,
    ErrorRegressed,
    ErrorReported,
    ErrorResolved,
    ErrorWoke,
)
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


class _Mute(msgspec.Struct, frozen=True):
    muted: bool
    muted_until: datetime | None = None
    muted_count_left: int | None = None


NOT_MUTED = msgspec.json.encode(_Mute(muted=False))
"""The third object of an error that is not muted, which most are: it is not kept."""


def document_of(recorded: Sequence[Recorded[Any]]) -> bytes:
    """The error as it is after one report, from what the report committed: an ErrorReported,
    followed by an ErrorRegressed where the group was resolved, and by an ErrorWoke where it wakes.
    A JSON object, the same as the read model answers once it has folded these events.

    Raises ValueError for any other sequence.
    """
    if not recorded or not isinstance(recorded[0].event, ErrorReported):
        raise ValueError("a report commits an ErrorReported first")
    further = [type(one.event) for one in recorded[1:]]
    if further and further[-1] is ErrorWoke:
        further.pop()
    if further != [ErrorRegressed] * recorded[0].event.resolved:
        raise ValueError("a report commits an ErrorRegressed too if and only if it was resolved")
    return joined(report_of(recorded[0]), standing_of(recorded[-1]), mute_of(recorded[0].event))


def left_by(recorded: Recorded[ErrorReported]) -> bytes:
    """The error as one of its reports left it, without what has happened to it since: for an
    answer from the log alone."""
    return joined(report_of(recorded), standing_of(recorded), mute_of(recorded.event))


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
    """How a group stands after an event: resolved by an ErrorResolved, as it was after a mute and
    its end, open after any other. Not for the report of a resolved group, which says nothing of
    the standing. A JSON object."""
    now = _utc(recorded.recorded_at)
    event = recorded.event
    since = now if isinstance(event, ErrorResolved) else None
    if type(event) in MUTING and event.resolved_at is not None:
        since = _utc(event.resolved_at)
    return msgspec.json.encode(_Standing(since is not None, since, now))


def mute_of(event: Any) -> bytes:
    """How a group is muted after an ErrorMuted or a report. A JSON object."""
    match event:
        case ErrorMuted():
            return msgspec.json.encode(_Mute(True, muted_until(event), event.further))
        case ErrorReported(muted=True):
            return msgspec.json.encode(_Mute(True, muted_until(event), event.muted_count_left))
    return NOT_MUTED


def muted_until(event: Any) -> datetime | None:
    """The time until which a group is muted after an event; None for any other."""
    match event:
        case ErrorMuted(until=datetime() as until):
            return _utc(until)
        case ErrorReported(muted_until=datetime() as until):
            return _utc(until)
    return None


def joined(report: bytes, standing: bytes, mute: bytes) -> bytes:
    """One JSON object with the members of all three."""
    return b"%b,%b,%b" % (report[:-1], standing[1:-1], mute[1:])


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo is UTC else time.astimezone(UTC)
