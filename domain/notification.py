"""A message to people, and what became of it."""

from __future__ import annotations

import msgspec

from domain.vocabulary import Severity


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """What people get to read; `kind` is for programs that receive webhooks.

    `text` holds no whole address: `link` is a path of ours, such as "/api/errors/<id>", and whoever
    sends the message knows the address in front of it."""

    kind: str
    title: str
    text: str
    link: str | None = None
    severity: Severity | None = None


class Outcome(msgspec.Struct, frozen=True):
    """Whether a message was taken by whoever delivers it; if not, why, without any secret."""

    succeeded: bool
    reason: str | None = None
