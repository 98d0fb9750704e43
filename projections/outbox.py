"""Which notifications wait to be sent, in which order, and where to: a pure fold of the log.

No read model: nobody is shown it. The scheduler that leads folds it beside the alerts, sends what
is due, and tells the log what became of it; the fold of that outcome takes it off the list here. A
process that dies between the two leaves it on the list, so it is sent again, under the same id.

The messages of one rule by one channel stand in line. Only the first is ever tried, and the others
wait until it is sent or given up. What has gathered behind it by then is summed up in one message,
queued as an event like any other. Which ones those are follows from the log alone, so whoever takes
over sums up the same ones; and as nobody had tried them, no alert is told under two ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain.alert_message import summed_up
from domain.delivery import (
    MAX_ALERTS,
    NotificationFailed,
    NotificationQueued,
    NotificationSent,
    QueueNotification,
)
from domain.integration import IntegrationCleared, IntegrationConfigured, Sealed
from domain.message import Event, Recorded, derived_id
from domain.vocabulary import Channel

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
PATIENCE = timedelta(hours=24)
"""How long a notification is tried."""

MAX_SUMMED_UP = 10_000
"""How many messages are summed up in one: a week of one a minute. An event names them all."""


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


class _Line(msgspec.Struct):
    """The messages of one rule by one channel, in the order of the log. The first `together` of
    them, if any, go nowhere until the message that sums them up is queued."""

    waiting: dict[UUID, Waiting] = {}
    together: int = 0

    def join(self, new: Waiting) -> None:
        """Queued: at the end, or in the place of those that it sums up."""
        notification = new.notification
        if notification.sums_up:
            for notification_id in notification.sums_up:
                self.waiting.pop(notification_id, None)
            self.waiting = {notification.notification_id: new} | self.waiting
            self.together = 0
        else:
            self.waiting[notification.notification_id] = new

    def failed(self, notification_id: UUID, attempts: int, due: datetime) -> None:
        """Tried, and to be tried again. It keeps its place."""
        self.waiting[notification_id] = msgspec.structs.replace(
            self.waiting[notification_id], attempts=attempts, due=due
        )

    def end(self, notification_id: UUID) -> None:
        """Sent or given up: now it is the turn of what has gathered behind it."""
        del self.waiting[notification_id]
        # Errata has not always kept the order: in an old log others may have been tried.
        untried = takewhile(lambda one: not one.attempts, self.waiting.values())
        gathered = min(sum(1 for _ in untried), MAX_SUMMED_UP)
        self.together = gathered if gathered > 1 else 0

    def first(self) -> Waiting | None:
        """What may be tried."""
        return None if self.together else next(iter(self.waiting.values()), None)

    def summary(self) -> QueueNotification | None:
        """The message that has to be queued before anything else of this line goes. Its id follows
        from what it sums up, so it is queued once however often it is asked for."""
        if not self.together:
            return None
        queued = [one.notification for one in self.waiting.values()][: self.together]
        *earlier, newest = queued
        count = sum(one.count for one in queued)
        alerts = [alert for one in queued for alert in one.alerts]
        told = [(one.at, one.message) for one in earlier]
        notification_id = derived_id("alert", "summed up", str(queued[0].notification_id))
        return QueueNotification(
            event_id=derived_id("alert", "queued", str(notification_id)),
            notification_id=notification_id,
            rule_id=newest.rule_id,
            rule_name=newest.rule_name,
            app=newest.app,
            channel=newest.channel,
            at=newest.at,
            message=summed_up(newest.rule_id, told, newest.message, count),
            alerts=tuple(alerts[-MAX_ALERTS:]),
            count=count,
            sums_up=tuple(one.notification_id for one in queued),
        )


class _Contents(msgspec.Struct):
    lines: dict[tuple[UUID, Channel], _Line] = {}
    configured: dict[Channel, Sealed] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Contents).decode


class Outbox:
    """The list of what waits, and how the channels are configured."""

    version: ClassVar[int] = 2
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
        return sum(len(line.waiting) for line in self._holds.lines.values())

    def first(self) -> Mapping[UUID, Waiting]:
        """The first of each line by its id, due or not; nothing else is ever tried."""
        firsts = (line.first() for line in self._holds.lines.values())
        return {one.notification.notification_id: one for one in firsts if one is not None}

    def due(self, now: datetime) -> Sequence[Waiting]:
        """What may be tried at this time, the longest due first. What was never tried may be at
        any time: it was recorded by a clock that need not agree with the caller's."""
        due = [one for one in self.first().values() if not one.attempts or one.due <= now]
        return sorted(due, key=lambda one: one.due)

    def summaries(self) -> Sequence[QueueNotification]:
        """What has to be queued so that lines can go on; here until the log has it."""
        found = (line.summary() for line in self._holds.lines.values())
        return [one for one in found if one is not None]

    def sealed(self, channel: Channel) -> Sealed | None:
        """How a channel is configured; None where it is not."""
        return self._holds.configured.get(channel)

    def fold(self, events: Iterable[Recorded[Any]]) -> None:
        """Take note of events; those that do not concern it change nothing."""
        configured = self._holds.configured
        for recorded in events:
            match recorded.event:
                case NotificationQueued(rule_id=rule_id, channel=channel) as queued:
                    at = recorded.recorded_at
                    line = self._holds.lines.setdefault((rule_id, channel), _Line())
                    line.join(Waiting(queued, at, 0, at))
                case NotificationSent() | NotificationFailed() as event:
                    self._tried(event)
                case IntegrationConfigured(integration=channel, sealed=sealed):
                    configured[channel] = sealed
                case IntegrationCleared(integration=channel):
                    configured.pop(channel, None)

    def _tried(self, event: NotificationSent | NotificationFailed) -> None:
        key = event.rule_id, event.channel
        line = self._holds.lines.get(key)
        if line is None or event.notification_id not in line.waiting:
            return
        if isinstance(event, NotificationFailed) and event.next_attempt_at is not None:
            line.failed(event.notification_id, event.attempt, event.next_attempt_at)
            return
        line.end(event.notification_id)
        if not line.waiting:
            del self._holds.lines[key]
