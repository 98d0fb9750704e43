"""Which notifications wait to be sent, and where to: a pure fold of the log.

No read model: nobody is shown it. The scheduler that leads folds it beside the alerts, sends what
is due, and tells the log what became of it; the fold of that outcome takes it off the list here. A
process that dies between the two leaves it on the list, so it is sent again, under the same id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain.delivery import NotificationFailed, NotificationQueued, NotificationSent
from domain.integration import IntegrationCleared, IntegrationConfigured, Sealed
from domain.message import Event, Recorded
from domain.vocabulary import Channel

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
PATIENCE = timedelta(hours=24)
"""How long a notification is tried."""


class Waiting(msgspec.Struct, frozen=True):
    """A notification that nobody has taken yet, tried so many times, and due again at a time."""

    notification: NotificationQueued
    queued_at: datetime
    attempts: int
    due: datetime

    def next_attempt(self, failed_at: datetime) -> datetime | None:
        """When to try again after a failure: after 5 s, doubled each time, at most an hour; None
        where that is more than a day after it was queued."""
        # The exponent is bounded, or a number of seconds would be beyond any calendar.
        pause = min(FIRST_PAUSE * 2 ** min(self.attempts, 20), LONGEST_PAUSE)
        again = failed_at + pause
        return again if again <= self.queued_at + PATIENCE else None


class _Contents(msgspec.Struct):
    waiting: dict[UUID, Waiting] = {}
    configured: dict[Channel, Sealed] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Contents).decode


class Outbox:
    """The list of what waits, and how the channels are configured."""

    version: ClassVar[int] = 1
    folds: ClassVar[frozenset[type[Event]]] = frozenset(
        {
            NotificationQueued,
            NotificationSent,
            NotificationFailed,
            IntegrationConfigured,
            IntegrationCleared,
        }
    )

    def __init__(self) -> None:
        self._holds = _Contents()

    @classmethod
    def restored(cls, snapshot: bytes) -> Outbox:
        """An outbox as it was when the snapshot was taken, by this version."""
        outbox = cls()
        outbox._holds = _decode(snapshot)
        return outbox

    def snapshot(self) -> bytes:
        """All it knows."""
        return _encode(self._holds)

    def __len__(self) -> int:
        return len(self._holds.waiting)

    def __contains__(self, notification_id: object) -> bool:
        return notification_id in self._holds.waiting

    def due(self, now: datetime) -> Sequence[Waiting]:
        """What may be tried at this time, the longest due first. What was never tried may be at
        any time: it was recorded by a clock that need not agree with the caller's."""
        due = [one for one in self._holds.waiting.values() if not one.attempts or one.due <= now]
        return sorted(due, key=lambda one: one.due)

    def sealed(self, channel: Channel) -> Sealed | None:
        """How a channel is configured; None where it is not."""
        return self._holds.configured.get(channel)

    def fold(self, events: Iterable[Recorded[Any]]) -> None:
        """Take note of events; those that do not concern it change nothing."""
        waiting, configured = self._holds.waiting, self._holds.configured
        for recorded in events:
            match recorded.event:
                case NotificationQueued() as queued:
                    at = recorded.recorded_at
                    waiting[queued.notification_id] = Waiting(queued, at, 0, at)
                case NotificationSent() as sent:
                    waiting.pop(sent.notification_id, None)
                case NotificationFailed() as failed:
                    self._failed(failed)
                case IntegrationConfigured(integration=channel, sealed=sealed):
                    configured[channel] = sealed
                case IntegrationCleared(integration=channel):
                    configured.pop(channel, None)

    def _failed(self, failed: NotificationFailed) -> None:
        before = self._holds.waiting.pop(failed.notification_id, None)
        if before is None or failed.next_attempt_at is None:
            return
        self._holds.waiting[failed.notification_id] = msgspec.structs.replace(
            before, attempts=failed.attempt, due=failed.next_attempt_at
        )
