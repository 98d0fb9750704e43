"""Events to bytes and back: JSON text in, JSON text out, so that an auditor can read the log.

Also the border to the `eventsourcing` library: `LogMapper` is its Mapper, `LogEntry` its
StoredEvent with the rest of our envelope. Its names (originator, topic, state) stop here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from eventsourcing.persistence import JSONTranscoder, Mapper, Notification, StoredEvent

from domain.catalog import EVENTS, NAMES, UPCASTERS, event_version
from domain.message import Context, Event, Recorded

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_encode = msgspec.json.Encoder().encode
_DECODERS: dict[str, Callable[[bytes], Event]] = {
    name: msgspec.json.Decoder(event).decode for name, event in EVENTS.items()
}


class Row(NamedTuple):
    """One row of the events table, in column order."""

    position: int
    stream_id: UUID
    stream_version: int
    name: str
    event_id: UUID
    recorded_at: datetime
    metadata: bytes
    data: bytes


class _Version(msgspec.Struct, frozen=True):
    v: int = 1


# All that one request commits has the same metadata, and most of it is read together.
_decode_context = lru_cache(maxsize=256)(msgspec.json.Decoder(Context).decode)
_decode_version = msgspec.json.Decoder(_Version).decode


class UnknownEvent(Exception):
    """The log holds an event that this version of Errata does not know, or cannot read."""

    def __init__(self, row: Row, reason: str) -> None:
        super().__init__(f"event {row.position} ({row.name}, id {row.event_id}): {reason}")
        self.row = row
        self.reason = reason


def to_row(recorded: Recorded[Any]) -> Row:
    """The row of an event."""
    (row,) = to_rows((recorded,))
    return row


def to_rows(events: Iterable[Recorded[Any]]) -> list[Row]:
    """The rows of some events. Those of one request follow each other and share their metadata,
    which is encoded once."""
    rows: list[Row] = []
    shared: tuple[Context, int] | None = None
    metadata = b""
    for recorded in events:
        version = event_version(recorded.name)
        if shared is None or shared[0] is not recorded.context or shared[1] != version:
            shared = recorded.context, version
            metadata = encode_metadata(*shared)
        rows.append(
            Row(
                recorded.position,
                recorded.stream_id,
                recorded.stream_version,
                recorded.name,
                recorded.event_id,
                recorded.recorded_at,
                metadata,
                _encode(recorded.event),
            )
        )
    return rows


def encode_metadata(context: Context, version: int = 1) -> bytes:
    """A context as the log keeps it, with the event's version ("v") where that is not the first."""
    if version == 1:
        return _encode(context)
    return _encode(msgspec.to_builtins(context) | {"v": version})


def from_row(row: Row) -> Recorded[Any]:
    """The event of a row, brought to today's shape. Raises UnknownEvent."""
    # Taken apart at once: to ask for each field by its name takes a tenth of the whole.
    position, stream_id, stream_version, name, event_id, recorded_at, metadata, data = row
    try:
        context = _decode_context(metadata)
        event = _DECODERS[name](_upcast(row) if name in UPCASTERS else data)
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        reason = "no such event name" if isinstance(error, KeyError) else str(error)
        raise UnknownEvent(row, reason) from error
    return Recorded(
        position,
        stream_id,
        stream_version,
        name,
        event_id,
        recorded_at.astimezone(UTC),  # it comes in the zone of the server's settings
        context,
        event,
    )


def _upcast(row: Row) -> bytes:
    """The data of an older version in today's shape."""
    shape: dict[str, Any] = msgspec.json.decode(row.data)
    for upcast in UPCASTERS[row.name][_decode_version(row.metadata).v - 1 :]:
        shape = upcast(shape)
    return _encode(shape)


# -- COPY ----------------------------------------------------------------------------------------

COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
COPY_END = struct.pack("!h", -1)
_pack_head = struct.Struct("!h iq i16s iq i").pack
_pack_middle = struct.Struct("!i16s iq i").pack
_pack_length = struct.Struct("!i").pack


def copy_row(row: Row) -> bytes:
    """A row in PostgreSQL's binary COPY format (its documentation, "COPY", "Binary Format"):
    the number of fields, then each field's length and bytes, big-endian; a timestamptz is
    microseconds since 2000-01-01 UTC."""
    return _copied(row, _microseconds(row.recorded_at))


def copy_rows(rows: Sequence[Row]) -> bytes:
    """All that COPY is sent for rows that were recorded at one time."""
    microseconds = _microseconds(rows[0].recorded_at)
    return b"".join((COPY_HEADER, *[_copied(row, microseconds) for row in rows], COPY_END))


def _microseconds(time: datetime) -> int:
    return (time - _POSTGRES_EPOCH) // _MICROSECOND


def _copied(row: Row, recorded_at: int) -> bytes:
    position, stream_id, stream_version, name, event_id, _, metadata, data = row
    encoded = name.encode()
    return b"".join(
        (
            _pack_head(8, 8, position, 16, stream_id.bytes, 8, stream_version, len(encoded)),
            encoded,
            _pack_middle(16, event_id.bytes, 8, recorded_at, len(metadata)),
            metadata,
            _pack_length(len(data)),
            data,
        )
    )


# -- the library's border ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LogEntry(Notification):
    """A stored event with its whole envelope. Equal to any stored event of the same place and
    content, as the library expects of what it reads back."""

    event_id: UUID
    recorded_at: datetime
    metadata: bytes

    @classmethod
    def of(cls, row: Row) -> LogEntry:
        """The row in the library's words."""
        return cls(
            originator_id=row.stream_id,
            originator_version=row.stream_version,
            topic=row.name,
            state=row.data,
            id=row.position,
            event_id=row.event_id,
            recorded_at=row.recorded_at,
            metadata=row.metadata,
        )

    def _content(self, other: StoredEvent) -> tuple[object, ...]:
        return (other.originator_id, other.originator_version, other.topic, other.state)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredEvent) and self._content(self) == self._content(other)

    def __hash__(self) -> int:
        return hash(self._content(self))


class LogMapper(Mapper[UUID]):
    """The library's Mapper over our codec, so that its Repository reads our streams."""

    def __init__(self) -> None:
        super().__init__(transcoder=JSONTranscoder())

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """A recorded event in the library's words."""
        return LogEntry.of(to_row(domain_event))

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """The recorded event of an entry of our recorder. Raises UnknownEvent."""
        assert isinstance(stored_event, LogEntry)
        assert isinstance(stored_event.originator_id, UUID)
        return from_row(
            Row(
                stored_event.id,
                stored_event.originator_id,
                stored_event.originator_version,
                stored_event.topic,
                stored_event.event_id,
                stored_event.recorded_at,
                stored_event.metadata,
                stored_event.state,
            )
        )


def name_of(event: Event) -> str:
    """The name under which the log knows an event's class."""
    return NAMES[type(event)]
