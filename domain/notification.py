"""A message to people, and what became of it."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True):
    """What people get to read; `kind` is for programs that receive webhooks."""

    kind: str
    title: str
    text: str


class Outcome(msgspec.Struct, frozen=True):
    """Whether a message was taken by whoever delivers it; if not, why, without any secret."""

    succeeded: bool
    reason: str | None = None
