"""The base shapes of the language Errata speaks: commands, events, and events with their envelope.

A command is a wish in plain data: its ids and its time are already in it, so a decision needs no
clock and no randomness. An event is a fact in the past tense. Once committed it travels inside a
`Recorded`, the envelope that says where it stands in the log, when it was recorded, and who did it.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha1
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

ERRATA = UUID("6f1d0c5e-6b0a-5a0e-9a55-4c2a0e77a7a1")
"""The namespace of every id that Errata derives from names (uuid5)."""


_NAMESPACE = ERRATA.bytes
_SIXTEEN_BYTES = b"\xc4\x10"  # of MessagePack
_uuid = msgspec.msgpack.Decoder(UUID).decode


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fact that has happened. Its shape only ever grows: new fields have defaults."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to change one stream. `event_id`, when set, was chosen by a client: the log holds it
    at most once, so a repeated command adds nothing."""

    event_id: UUID | None = None

    @property
    def stream_id(self) -> UUID:
        """The stream this command is decided on."""
        raise NotImplementedError


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who wants it, and what it belongs to; stored beside every event it causes.

    `actor` is "key:<id>", "member:<id>" or "system:<part>". `correlation_id` is the id of the
    request, shared by everything that follows from it; `causation_id` is what caused the events
    directly: a command's id, or an event's. `address` is the IP address that a person's request
    came from; None for reports, which carry their own, and for what no request has caused.
    """

    actor: str
    correlation_id: str
    causation_id: str
    address: str | None = None


E_co = TypeVar("E_co", bound=Event, covariant=True)


class Recorded(msgspec.Struct, Generic[E_co], frozen=True):
    """An event in its envelope, as the log holds it.

    `position` is its place in the whole log (1, 2, 3 ... without holes), `stream_version` its
    place in its own stream (1..n). `recorded_at` is UTC and never goes back along the log.
    """

    position: int
    stream_id: UUID
    stream_version: int
    name: str
    event_id: UUID
    recorded_at: datetime
    context: Context
    event: E_co


class Committed(msgspec.Struct, frozen=True):
    """What became of a command: the stream's state after it, its events in the log, and a log
    position that covers them. Where nothing had to happen, `events` is empty and `position` is
    the log's head at the time of the decision. `known` is set when the command's event id was in
    the log already: the stream that holds it, which need not be the command's own."""

    state: Any
    events: tuple[Recorded[Any], ...]
    position: int
    known: UUID | None = None


def derived_id(*names: str) -> UUID:
    """An id that follows from names alone; equal names give the same id anywhere, at any time.

    Each name goes in with its length, so ("ab", "c") and ("a", "bc") differ.
    """
    name = "".join([f"{len(name)}:{name}" for name in names])
    # RFC 9562, section 5.5, as uuid5 has it; msgspec makes a UUID of its bytes in a tenth of the
    # time that UUID() takes to look at each way of being called.
    digest = bytearray(sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return _uuid(_SIXTEEN_BYTES + digest)
