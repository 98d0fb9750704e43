"""A notification on its way: queued with what it says, then tried until it is taken or given up.

The message is in the event that queues it, so whoever sends it needs nothing else, and sends the
same words again where an attempt failed. Its id is the key by which receivers know a repetition.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from domain.decider import Decider
from domain.failures import AlreadyExists, NotFound
from domain.message import Command, Event, Recorded
from domain.notification import Message
from domain.vocabulary import Channel

AlertKind = Literal["triggered", "recovered"]

MAX_ALERTS = 100
"""How many alerts a notification names; `count` says how many it stands for."""


class AlertRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """An alert that a notification tells of: its event, its error if it has one, and when."""

    event_id: UUID
    error_id: UUID | None
    at: datetime
    kind: AlertKind


def only_error(alerts: Sequence[AlertRef], count: int) -> UUID | None:
    """The error that a notification is about, where it tells of a single alert of one."""
    return alerts[0].error_id if count == 1 and alerts else None


# -- commands ------------------------------------------------------------------------------------


class _NotificationCommand(Command, frozen=True, kw_only=True):
    notification_id: UUID

    @property
    def stream_id(self) -> UUID:
        """The notification's id."""
        return self.notification_id


class QueueNotification(_NotificationCommand, frozen=True, kw_only=True):
    """A rule has something to say by one channel. More than one alert: a digest. `sums_up`: the
    messages that were queued before, were never tried, and go out in this one."""

    rule_id: UUID
    rule_name: str
    app: str
    channel: Channel
    at: datetime
    message: Message
    alerts: tuple[AlertRef, ...]
    count: int
    sums_up: tuple[UUID, ...] = ()


class RecordSent(_NotificationCommand, frozen=True, kw_only=True):
    """The receiver has taken it. Attempts count from 1."""

    attempt: int
    at: datetime


class RecordFailed(_NotificationCommand, frozen=True, kw_only=True):
    """The receiver has not; None as `next_attempt_at` gives it up."""

    attempt: int
    at: datetime
    reason: str
    next_attempt_at: datetime | None = None


# -- events --------------------------------------------------------------------------------------


class NotificationQueued(Event, frozen=True, kw_only=True):
    """The message shall be sent. `alerts` holds at most 100 of the `count` it tells of. `sums_up`
    names messages that waited and are sent in this one: that is their fate."""

    notification_id: UUID
    rule_id: UUID
    rule_name: str
    app: str
    channel: Channel
    at: datetime
    message: Message
    alerts: tuple[AlertRef, ...]
    count: int
    sums_up: tuple[UUID, ...] = ()


class NotificationSent(Event, frozen=True, kw_only=True):
    """The receiver has taken the message, at least once."""

    notification_id: UUID
    rule_id: UUID
    channel: Channel
    attempt: int
    at: datetime


class NotificationFailed(Event, frozen=True, kw_only=True):
    """An attempt failed, and why; it is tried again at `next_attempt_at`, or given up."""

    notification_id: UUID
    rule_id: UUID
    channel: Channel
    attempt: int
    at: datetime
    reason: str
    next_attempt_at: datetime | None = None


EVENTS: frozenset[type[Event]] = frozenset(
    {NotificationQueued, NotificationSent, NotificationFailed}
)


# -- state ---------------------------------------------------------------------------------------


class Notification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a notification stands. `ended`: sent or given up. What it says is in its first event
    and is not kept a second time here."""

    rule_id: UUID | None = None
    channel: Channel | None = None
    queued_at: datetime | None = None
    count: int = 0
    attempts: int = 0
    ended: bool = False


def evolve(state: Notification, recorded: Recorded[Event]) -> Notification:
    """Fold one event into the notification's state."""
    event = recorded.event
    match event:
        case NotificationQueued():
            return Notification(
                rule_id=event.rule_id, channel=event.channel, queued_at=event.at, count=event.count
            )
        case NotificationSent():
            return msgspec.structs.replace(state, attempts=event.attempt, ended=True)
        case NotificationFailed():
            ended = event.next_attempt_at is None
            return msgspec.structs.replace(state, attempts=event.attempt, ended=ended)
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: Notification, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where nothing changes: the fate of a
    notification that has ended, and of an attempt that is known already, is settled.

    Raises NotFound for the fate of what was never queued, AlreadyExists for a taken id.
    """
    match command:
        case QueueNotification():
            return _queue(state, command)
        case RecordSent() | RecordFailed():
            return _record(state, command)
    raise TypeError(f"a notification cannot decide {type(command).__name__}")


def _queue(state: Notification, command: QueueNotification) -> Sequence[Event]:
    queued = (state.rule_id, state.channel, state.queued_at, state.count)
    if queued == (command.rule_id, command.channel, command.at, command.count):
        return ()
    if state.rule_id is not None:
        raise AlreadyExists("a notification with this id exists")
    return (
        NotificationQueued(
            notification_id=command.notification_id,
            rule_id=command.rule_id,
            rule_name=command.rule_name,
            app=command.app,
            channel=command.channel,
            at=command.at,
            message=command.message,
            alerts=command.alerts[:MAX_ALERTS],
            count=command.count,
            sums_up=command.sums_up,
        ),
    )


def _record(state: Notification, command: RecordSent | RecordFailed) -> Sequence[Event]:
    if state.rule_id is None or state.channel is None:
        raise NotFound("no such notification")
    if state.ended or command.attempt <= state.attempts:
        return ()
    if isinstance(command, RecordSent):
        return (
            NotificationSent(
                notification_id=command.notification_id,
                rule_id=state.rule_id,
                channel=state.channel,
                attempt=command.attempt,
                at=command.at,
            ),
        )
    return (
        NotificationFailed(
            notification_id=command.notification_id,
            rule_id=state.rule_id,
            channel=state.channel,
            attempt=command.attempt,
            at=command.at,
            reason=command.reason,
            next_attempt_at=command.next_attempt_at,
        ),
    )


def not_configured(channel: Channel) -> str:
    """Why a notification by a channel that nobody has configured fails."""
    return f"{channel} is not configured"


decider = Decider(
    kind="notification",
    state_type=Notification,
    state_schema=1,
    initial=Notification(),
    evolve=evolve,
    decide=decide,
)
