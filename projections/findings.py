"""Discrepancies in words: which read model, key and field, what was found, what was expected.

Keys and members are as each read model's layout says. Where one holds the id of a stream, such as
an error's, that is shown; documents are compared field by field, packed counts hour by hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from projections.stats.layout import COUNTS, EPOCH, HOURS, Kind
from projections.verification import Discrepancy, Suspect, Value

LONGEST = 200
"""Characters of a value that are shown."""

_ID = 16
_HEX_ID = re.compile(rb"(?:^|:)([0-9a-f]{32})$")
_PARTS = {b"r": "latest report", b"s": "standing"}
_BUCKET = re.compile(rb"([hd]?)(-?\d+)([cu]?)(.*)", re.DOTALL)
_WHAT = {b"": "occurrences", b"c": "codes ", b"u": "users "}
_PACKED_DAY = HOURS * COUNTS.size + COUNTS.size
_KINDS = {
    Kind.CRITICAL: "occurrences of level error",
    Kind.OTHER: "other occurrences",
    Kind.RESOLUTION: "resolutions",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as the log says. `key` is the Redis key without the read model's
    prefix; `field` what of it; `found` and `expected` are None for what is not there.

    `stream_id` is whose it is, where it belongs to one error, key, rule, ...; `since` then is the
    position of the event since which the live value has been wrong, having been right before; None
    where that cannot be told: a sum over many, or a value that never was right. `last_event` is the
    last event of that stream. Both are None for what events of other streams have made too."""

    key: str
    field: str | None
    found: str | None
    expected: str | None
    stream_id: UUID | None = None
    since: int | None = None
    last_event: int | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a read model is what the log says, at one position. `keys` of it were compared (rows
    of the index in PostgreSQL); `different` is the number of things that differ, of which
    `findings` tell the first; where `complete` is false, more may differ than were counted."""

    read_model: str
    version: int
    position: int
    keys: int
    different: int
    complete: bool
    findings: list[Finding]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.different


def stream_of(one: Discrepancy) -> UUID | None:
    """The stream whose id a key or a member holds."""
    hex_id = _HEX_ID.search(one.key)
    if hex_id is not None:
        return UUID(hex_id[1].decode())
    member = one.member
    if len(member) == _ID or (len(member) == _ID + 1 and member[_ID:] in _PARTS):
        return UUID(bytes=member[:_ID])
    return None


def suspects_of(stream: UUID, held: Mapping[bytes, Iterable[bytes]]) -> list[Suspect]:
    """What may be of one stream: of some keys with their members, those that hold its id, and
    where read models keep what they know of a stream, whether it is there or not."""
    own_id = stream.bytes
    names = [own_id, *(own_id + part for part in _PARTS)]
    found = {Suspect(key, name) for key in (b"documents", b"words") for name in names}
    for key, members in held.items():
        if key.endswith(stream.hex.encode()):
            found |= {Suspect(key, member) for member in members}
        else:
            found |= {Suspect(key, member) for member in members if member in names}
    return sorted(found)


def in_words(read_model: str, one: Discrepancy) -> Iterator[Finding]:
    """What a discrepancy comes to: a finding for each field of a document, or just one."""
    key, member = _text(one.key), _member(read_model, one)
    if _is_day(one):
        for hour, count, right_count in _hours(one):
            yield Finding(key=key, field=hour, found=count, expected=right_count)
        return
    found_document, expected_document = _document(one.found), _document(one.expected)
    if found_document is None or expected_document is None:
        found, expected = _shown(one.found), _shown(one.expected)
        yield Finding(key=key, field=member, found=found, expected=expected)
        return
    for name in sorted(found_document.keys() | expected_document.keys()):
        pair = found_document.get(name), expected_document.get(name)
        if pair[0] != pair[1]:
            found, expected = map(_json, pair)
            yield Finding(key=key, field=f"{member}: {name}", found=found, expected=expected)


def _member(read_model: str, one: Discrepancy) -> str | None:
    if not one.member:
        return None
    if read_model == "stats" and one.key.startswith(b"group:") and one.member.isdigit():
        hour, kind = divmod(int(one.member), len(Kind))
        return f"{_hour(hour)} {_KINDS[Kind(kind)]}"
    bucket = _BUCKET.fullmatch(one.member) if read_model == "dashboard_trends" else None
    if bucket is not None and not one.key.startswith(b"values:"):
        number, what = int(bucket[2]), _WHAT[bucket[3]] + _text(bucket[4])
        when = _day(number) if bucket[1] == b"d" else _hour(number)
        return f"{when} {what}".rstrip()
    if one.member[_ID:] in _PARTS and stream_of(one) is not None:
        return f"{UUID(bytes=one.member[:_ID])} {_PARTS[one.member[_ID:]]}"
    if len(one.member) == _ID and stream_of(one) is not None:
        return str(UUID(bytes=one.member))
    return _text(one.member)


def _is_day(one: Discrepancy) -> bool:
    """Whether it is of a day's packed counts."""
    sizes = {len(value) for value in (one.found, one.expected) if isinstance(value, bytes)}
    return one.member.isdigit() and sizes == {_PACKED_DAY}


def _hours(one: Discrepancy) -> Iterator[tuple[str, str, str]]:
    nothing = bytes(_PACKED_DAY)
    both = [value if isinstance(value, bytes) else nothing for value in (one.found, one.expected)]
    first = int(one.member) * HOURS
    pairs = zip(*(COUNTS.iter_unpack(packed) for packed in both), strict=True)
    for hour, (found, expected) in enumerate(pairs):
        when = _day(int(one.member)) if hour == HOURS else _hour(first + hour)
        for kind, name in _KINDS.items():
            if found[kind] != expected[kind]:
                yield f"{when} {name}", f"{found[kind]}", f"{expected[kind]}"


def _hour(number: int) -> str:
    """An hour since 1970."""
    return f"{EPOCH + timedelta(hours=number):%Y-%m-%d %H:00}"


def _day(number: int) -> str:
    """A day since 1970."""
    return f"{EPOCH + timedelta(days=number):%Y-%m-%d}"


def _document(value: Value | None) -> dict[str, Any] | None:
    if not isinstance(value, bytes) or not value.startswith(b"{"):
        return None
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _shown(value: Value | None) -> str | None:
    if value is None:
        return None
    if value is True:
        return "there"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else repr(value)
    return _short(_text(bytes(value)))


def _json(value: Any) -> str | None:
    return None if value is None else _short(msgspec.json.encode(value).decode())


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"
    return text if text.isprintable() else text.encode("unicode_escape").decode()
