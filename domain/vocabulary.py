"""Words that several aggregates share, so that none of them has to know another."""

from __future__ import annotations

from typing import Literal, get_args

Level = Literal["error", "warning", "info", "debug"]

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

Channel = Literal["slack", "email", "webhook", "sms"]
"""How people are told; each is an integration."""
CHANNELS: tuple[Channel, ...] = get_args(Channel)

DEFAULT_APP = "default"
"""The application that exists from the start."""

ANY_APP = "*"
"""What stands for every application: where a key is bound to all, or a rule watches all."""
