"""Events as a file that can be proved whole: JSON lines, or CSV for spreadsheets.

JSON lines begin with a header that says which positions the file covers; both formats end with a
trailer: how many events, and the SHA-256 of every byte before it. A file without a trailer is not
whole. Each event carries the SHA-256 of its row in the log, and the trailer the end of the chain of
these, in which each value holds all before it. That number depends on the log alone: two exports
of the same positions have it in common whoever made them, in whatever format, secrets masked or
not, and so does the log itself as long as nobody has changed it.
"""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec

from domain.catalog import EVENTS
from domain.history import KIND_OF_EVENT, Entry, has_secrets, shown
from infra.event_store.codec import Row, encode_metadata, from_row

FORMAT = 1
NDJSON, CSV = "ndjson", "csv"
Format = Literal["ndjson", "csv"]
MEDIA_TYPES: dict[Format, str] = {"ndjson": "application/x-ndjson", "csv": "text/csv"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_START = bytes(32)
_COMMON = ("position", "recorded_at", "kind", "name", "stream_id", "stream_version", "event_id")
_WHO = ("actor", "correlation_id", "causation_id", "address")

_encode = msgspec.json.Encoder().encode
_pack_fixed = struct.Struct("!q16sq16sqI").pack
_pack_length = struct.Struct("!I").pack


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file covers: all events of positions (after, until] that the filter lets through.
    Of a verbatim file the secrets are those of the log, and a log can be made of it."""

    errata_export: int = FORMAT
    what: Literal["events", "history"]
    after: int
    until: int
    verbatim: bool = False
    filter: dict[str, Any] = {}


class Trailer(msgspec.Struct, frozen=True, kw_only=True):
    """The last line. `sha256` is of all bytes before this line, `chain` the end of the events'
    chain; None in a history, whose lines hold no whole events. The rest is the header's once more,
    for files that have none."""

    end: Literal[True] = True
    what: Literal["events", "history"]
    filter: dict[str, Any]
    events: int
    after: int
    until: int
    chain: str | None
    sha256: str


class BrokenOff(msgspec.Struct, frozen=True, kw_only=True):
    """In the trailer's place where a file could not be finished."""

    end: Literal[False] = False
    error: str


class Line(NamedTuple):
    """One event of a file; `digest` is that of its row in the log, where it is known."""

    row: Row
    payload: bytes
    digest: bytes | None


def event_line(row: Row, *, verbatim: bool) -> Line:
    """An event with its data."""
    return Line(row, row.data if verbatim else shown_data(row), row_digest(row))


def history_line(entry: Entry) -> Line:
    """An event with what it changed."""
    one = entry.recorded
    row = Row(
        one.position,
        one.stream_id,
        one.stream_version,
        one.name,
        one.event_id,
        one.recorded_at,
        encode_metadata(one.context),
        b"",
    )
    return Line(row, _encode(entry.changes), None)


def shown_data(row: Row) -> bytes:
    """An event's data as it may be shown: secrets masked; null for one that nobody here knows."""
    event = EVENTS.get(row.name)
    if event is None:
        return b"null"
    return _encode(shown(from_row(row).event)) if has_secrets(event) else row.data


def row_digest(row: Row) -> bytes:
    """The SHA-256 of a row of the log: position, stream (16 bytes), version, event id (16 bytes)
    and microseconds since 1970, then name, metadata and data, each after its length; numbers of 8
    bytes and lengths of 4, big-endian."""
    name = row.name.encode()
    microseconds = (row.recorded_at - _EPOCH) // _MICROSECOND
    return sha256(
        b"".join(
            (
                _pack_fixed(
                    row.position,
                    row.stream_id.bytes,
                    row.stream_version,
                    row.event_id.bytes,
                    microseconds,
                    len(name),
                ),
                name,
                _pack_length(len(row.metadata)),
                row.metadata,
                _pack_length(len(row.data)),
                row.data,
            )
        )
    ).digest()


class Seal:
    """What the trailer says, kept while a file is written or read."""

    def __init__(self) -> None:
        self._sha = sha256()
        self._chain: bytes | None = _START
        self.events = 0

    def text(self, text: bytes) -> None:
        """Bytes of the file."""
        self._sha.update(text)

    def event(self, digest: bytes | None) -> None:
        """The next event."""
        self.events += 1
        if digest is None or self._chain is None:
            self._chain = None
        else:
            self._chain = sha256(self._chain + digest).digest()

    def trailer(self, header: Header) -> Trailer:
        """As of now."""
        return Trailer(
            what=header.what,
            filter=header.filter,
            events=self.events,
            after=header.after,
            until=header.until,
            chain=None if self._chain is None else self._chain.hex(),
            sha256=self._sha.hexdigest(),
        )


class Writer:
    """Makes the bytes of one file."""

    def __init__(self, header: Header, form: Format) -> None:
        self._header = header
        self._seal = Seal()
        self._payload = "data" if header.what == "events" else "changes"
        self._csv = form == CSV

    def begin(self) -> bytes:
        """The header; of a CSV file the names of its columns."""
        if self._csv:
            return self._sealed(_csv_text([(*_COMMON, *_WHO, self._payload, "digest")]))
        return self._sealed(_encode(self._header) + b"\n")

    def lines(self, lines: Iterable[Line]) -> bytes:
        """Some events."""
        kept = list(lines)
        for line in kept:
            self._seal.event(line.digest)
        if self._csv:
            return self._sealed(_csv_text(map(_csv_cells, kept)))
        return self._sealed(b"".join([_json_line(line, self._payload) for line in kept]))

    def end(self) -> bytes:
        """The trailer. Of a CSV file it is a row too: "end", and the trailer in the last but one
        cell."""
        return self._last(_encode(self.trailer()))

    def trailer(self) -> Trailer:
        """What the trailer says, as of now."""
        return self._seal.trailer(self._header)

    def broken_off(self, reason: str) -> bytes:
        """In the trailer's place, where a file cannot be finished."""
        return self._last(_encode(BrokenOff(error=reason)))

    def _last(self, trailer: bytes) -> bytes:
        if not self._csv:
            return trailer + b"\n"
        blanks = ("",) * (len(_COMMON) + len(_WHO) - 1)
        return _csv_text([("end", *blanks, trailer.decode(), "")])

    def _sealed(self, text: bytes) -> bytes:
        self._seal.text(text)
        return text


def _json_line(line: Line, payload: str) -> bytes:
    row = line.row
    digest = b"" if line.digest is None else b',"digest":"%b"' % line.digest.hex().encode()
    return (
        b'{"position":%d,"recorded_at":%b,"kind":%b,"name":%b,"stream_id":"%b",'
        b'"stream_version":%d,"event_id":"%b","context":%b,"%b":%b%b}\n'
    ) % (
        row.position,
        _encode(row.recorded_at.astimezone(UTC)),
        _encode(KIND_OF_EVENT.get(row.name, "")),
        _encode(row.name),
        str(row.stream_id).encode(),
        row.stream_version,
        str(row.event_id).encode(),
        _on_one_line(row.metadata),
        payload.encode(),
        _on_one_line(line.payload),
        digest,
    )


def _on_one_line(text: bytes) -> bytes:
    """JSON as it is; as a string that holds it where it has line breaks of its own, which someone
    who reported it has put there."""
    return _encode(text.decode()) if b"\n" in text or b"\r" in text else text


def _csv_cells(line: Line) -> tuple[object, ...]:
    row = line.row
    context: dict[str, Any] = msgspec.json.decode(row.metadata)
    return (
        row.position,
        f"{row.recorded_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        KIND_OF_EVENT.get(row.name, ""),
        row.name,
        row.stream_id,
        row.stream_version,
        row.event_id,
        *(context.get(name, "") for name in _WHO),
        line.payload.decode(),
        "" if line.digest is None else line.digest.hex(),
    )


def _csv_text(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
