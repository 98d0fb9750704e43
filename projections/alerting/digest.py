"""What waits to be told: at most one message a rule and channel in the rule's cooldown.

The first one goes out at once. What comes before the cooldown is over waits, and goes out with
its end, all of it in one message.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from domain.alert_message import LISTED, Told, digest
from domain.delivery import MAX_ALERTS, AlertRef
from domain.notification import Message
from domain.rule_settings import RuleSettings


class Waiting(msgspec.Struct):
    """Alerts that have not been told yet: the first, some of the others, and how many."""

    first: Told
    listed: list[str]
    alerts: list[AlertRef]
    count: int = 1

    def add(self, told: Told, alert: AlertRef) -> None:
        """One more."""
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append(told.line)
        if len(self.alerts) < MAX_ALERTS:
            self.alerts.append(alert)

    def message(self, rule_id: UUID, settings: RuleSettings) -> Message:
        """All of it as one message; a single alert says what it would have said at once."""
        if self.count == 1:
            return self.first.message
        return digest(rule_id, settings, self.listed, self.count, self.alerts[0].at)


class Outbox(msgspec.Struct):
    """One rule's messages by one channel, in microseconds since 1970: when the last one went, and
    the instant for which the next is arranged."""

    last_sent: int | None = None
    waiting: Waiting | None = None
    due: int | None = None

    def put(self, told: Told, alert: AlertRef) -> int:
        """Something to tell; how many wait now."""
        if self.waiting is None:
            self.waiting = Waiting(told, [told.line], [alert])
        else:
            self.waiting.add(told, alert)
        return self.waiting.count

    def free(self, cooldown: int) -> int:
        """From when on a message may go; 0 for any time."""
        return 0 if self.last_sent is None else self.last_sent + cooldown

    def take(self, now: int) -> Waiting | None:
        """All that waits, as a message that goes now."""
        waiting = self.waiting
        if waiting is not None:
            self.last_sent = now
        self.drop()
        return waiting

    def drop(self) -> None:
        """Nothing waits any more."""
        self.waiting = self.due = None
