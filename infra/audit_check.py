"""Proving an exported file: that it is whole, and that it is what the log says.

The first needs the file alone. The second makes the same file from the log once more, and compares
them line by line: whoever changes a file can make its sums agree again, but not the log.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from io import BytesIO
from itertools import zip_longest
from typing import IO, NamedTuple
from uuid import UUID

import msgspec

from domain.history import Subject, Wanted
from infra.audit_file import Format, Header, Seal, Trailer, row_digest
from infra.event_store.codec import Row
from infra.event_store.scan import LogScan
from infra.history import Export, events_export, history_export

_CSV_BEGINS = b"position,"


class NotProved(Exception):
    """The file is not whole, was changed, or is none of ours; the message says where."""


class Checked(NamedTuple):
    """A file that is whole in itself."""

    form: Format
    header: Header
    trailer: Trailer


class ExportedLine(msgspec.Struct, kw_only=True):
    """An event among JSON lines. `context` and `data` are JSON, or strings that hold it."""

    position: int
    recorded_at: datetime
    name: str
    stream_id: UUID
    stream_version: int
    event_id: UUID
    context: msgspec.Raw
    data: msgspec.Raw = msgspec.Raw(b"null")
    digest: str | None = None

    def row(self) -> Row:
        """The row of the log that a verbatim line holds. Raises NotProved where the line's digest
        is of another one."""
        row = Row(
            self.position,
            self.stream_id,
            self.stream_version,
            self.name,
            self.event_id,
            self.recorded_at,
            _verbatim(self.context),
            _verbatim(self.data),
        )
        if row_digest(row).hex() != self.digest:
            raise NotProved(f"the event at position {self.position} is not what its digest says")
        return row


class _End(msgspec.Struct):
    end: bool
    error: str = ""


decode_line = msgspec.json.Decoder(ExportedLine).decode
_decode_header = msgspec.json.Decoder(Header).decode
_decode_trailer = msgspec.json.Decoder(Trailer).decode
_decode_end = msgspec.json.Decoder(_End).decode
_decode_text = msgspec.json.Decoder(str).decode


def check(file: IO[bytes]) -> Checked:
    """Read a file to its end. Raises NotProved unless it is whole and agrees with its trailer."""
    try:
        return _check(file)
    except (msgspec.MsgspecError, ValueError, csv.Error) as error:
        raise NotProved(f"it cannot be read: {error}") from error


def _check(file: IO[bytes]) -> Checked:
    seal = Seal()
    first = file.readline()
    seal.text(first)
    as_csv = first.startswith(_CSV_BEGINS)
    header = None if as_csv else _decode_header(first)
    held = _HeldBack(file, seal)
    positions = _csv_positions(first, held, seal) if as_csv else _json_positions(held, seal, header)
    last = 0
    for position in positions:
        if position <= last:
            raise NotProved(f"position {position} comes after position {last}")
        last = position
    trailer = _trailer_in(held.last, as_csv=as_csv)
    if header is None:
        header = Header(
            what=trailer.what, after=trailer.after, until=trailer.until, filter=trailer.filter
        )
    _compare(seal.trailer(header), trailer, last)
    return Checked("csv" if as_csv else "ndjson", header, trailer)


def log_rows(file: IO[bytes]) -> Iterator[Row]:
    """The rows of the log that a file holds, oldest first, each of them checked.

    Raises NotProved: at once for a file that no log can be made of, and at its end for one that is
    not whole."""
    seal = Seal()
    first = file.readline()
    seal.text(first)
    header = _decode_header(first)
    if not header.verbatim or header.after or header.filter:
        raise NotProved(
            "a log is made of a whole one only: errata audit export --verbatim, without filters"
        )
    held = _HeldBack(file, seal)
    position = 0
    for text in held:
        row = decode_line(text).row()
        position += 1
        if row.position != position:
            raise NotProved(f"position {position} is missing")
        seal.event(row_digest(row))
        yield row
    _compare(seal.trailer(header), _trailer_in(held.last, as_csv=False), position)


def _compare(found: Trailer, said: Trailer, last: int) -> None:
    if found.sha256 != said.sha256:
        raise NotProved("its SHA-256 is not the one that its last line names: it was changed")
    if found != said:
        raise NotProved("its last line does not fit the rest of it")
    if said.what == "events" and not said.filter and found.events != said.until - said.after:
        raise NotProved(f"it lacks events: {found.events:,} up to position {last}")


class _HeldBack:
    """The lines of a file without the last one, which is known at their end."""

    def __init__(self, file: IO[bytes], seal: Seal) -> None:
        self._file = file
        self._seal = seal
        self.last = b""

    def __iter__(self) -> Iterator[bytes]:
        self.last = self._file.readline()
        while following := self._file.readline():
            self._seal.text(self.last)
            yield self.last
            self.last = following


def _json_positions(lines: Iterable[bytes], seal: Seal, header: Header | None) -> Iterator[int]:
    for text in lines:
        line = decode_line(text)
        if header is not None and header.verbatim:
            line.row()
        seal.event(None if line.digest is None else bytes.fromhex(line.digest))
        yield line.position


def _csv_positions(first: bytes, lines: Iterable[bytes], seal: Seal) -> Iterator[int]:
    width = len(first.split(b","))
    csv.field_size_limit(1 << 30)
    for row in csv.reader(text.decode() for text in lines):
        if len(row) != width or not row[0].isdigit():
            raise NotProved(f"a row has {len(row)} of {width} cells, or no position")
        seal.event(bytes.fromhex(row[-1]) if row[-1] else None)
        yield int(row[0])


def _trailer_in(text: bytes, *, as_csv: bool) -> Trailer:
    if as_csv and text:
        (row,) = csv.reader([text.decode()])
        if row[0] != "end":
            raise NotProved("it ends without its last line: it is not whole")
        text = row[-2].encode()
    if not text or b'"end"' not in text[:10]:
        raise NotProved("it ends without its last line: it is not whole")
    end = _decode_end(text)
    if not end.end:
        raise NotProved(f"it could not be finished when it was made: {end.error}")
    return _decode_trailer(text)


def compare_with_log(file: IO[bytes], checked: Checked, log: LogScan) -> None:
    """Make the file once more and compare. Raises NotProved at the first line that differs."""
    if checked.trailer.until > log.head():
        raise NotProved(f"it goes up to {checked.trailer.until:,}, and this log to {log.head():,}")

    for number, (made, found) in enumerate(zip_longest(_remade(checked, log), file), start=1):
        if made != found:
            raise NotProved(f"line {number} differs from the log: {_place(found or made or b'')}")


def _remade(checked: Checked, log: LogScan) -> Iterator[bytes]:
    """The same file's lines."""
    for chunk in _export(checked, log).chunks():
        yield from BytesIO(chunk)  # lines of CSV may hold carriage returns


def _export(checked: Checked, log: LogScan) -> Export:
    header = checked.header
    if header.what == "history":
        subject = msgspec.convert(header.filter, Subject)
        return history_export(log, subject, checked.form, header.until)
    bounds = {"after": header.after, "before": header.until + 1}
    wanted = msgspec.convert(header.filter | bounds, Wanted)
    return events_export(log, wanted, checked.form, verbatim=header.verbatim)


def _place(line: bytes) -> str:
    return line[:60].decode(errors="replace").rstrip()


def _verbatim(raw: msgspec.Raw) -> bytes:
    text = bytes(raw)
    return _decode_text(text).encode() if text.startswith(b'"') else text
