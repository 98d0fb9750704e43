"""What alerting remembers from one leader to the next, as bytes."""

from __future__ import annotations

import msgspec

from infra.process_managers import Saved
from projections.alerting.manager import Alerting
from projections.outbox import Outbox

NAME = "alerting"

VERSION = 1_000 * Alerting.version + Outbox.version


class _State(msgspec.Struct, frozen=True):
    manager: bytes
    outbox: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_State).decode


def remembered(saved: Saved) -> tuple[Alerting, Outbox] | None:
    """What was saved; None where it was saved by another version, or never."""
    if saved.version != VERSION:
        return None
    state = _decode(saved.state)
    return Alerting.restored(state.manager), Outbox.restored(state.outbox)


def to_remember(manager: Alerting, outbox: Outbox) -> bytes:
    """What to save."""
    return _encode(_State(manager.snapshot(), outbox.snapshot()))


def notifications_waiting(saved: Saved) -> int:
    """How many notifications waited to be sent when it was saved."""
    if saved.version != VERSION:
        return 0
    return len(Outbox.restored(_decode(saved.state).outbox))
