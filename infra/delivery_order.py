"""What the process that sends a message is told. It starts for each one, so this imports little."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from domain.delivery import AlertRef
from domain.integration_config import Config
from domain.notification import Message


class RuleRef(msgspec.Struct, frozen=True):
    """The rule that a message comes from."""

    id: UUID
    name: str


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What programs are told beside the words. `key` is the same however often the message is
    sent, `timestamp` when it came to be; `link` a whole URL; `count` how many alerts it stands for,
    of which `alerts` names up to 100."""

    key: str
    timestamp: datetime
    link: str | None = None
    rule: RuleRef | None = None
    app: str | None = None
    count: int = 0
    alerts: tuple[AlertRef, ...] = ()


class Delivery(msgspec.Struct, frozen=True):
    """What the sending process is told."""

    config: Config
    message: Message
    about: About
    allow_private: bool
