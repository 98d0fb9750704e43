"""An error: all reports of one application that share a fingerprint.

The stream's id follows from application and fingerprint, so it is stable for ever. Every event
carries the routing keys and absolute numbers that read models need, so that none of them has to
read anything back: what a report, a resolution or a deletion changes is in the event itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal, TypedDict
from uuid import UUID

import msgspec

from domain.decider import Decider
from domain.failures import NotFound
from domain.message import Command, Event, Recorded, derived_id
from domain.mute import Mute, WakeReason, flaws, mute_of
from domain.occurrence import Facets, GroupingRecord, Occurrence, facets_of, kept_grouping

Status = Literal["absent", "open", "resolved"]

# -- commands ------------------------------------------------------------------------------------


class ReportError(Command, frozen=True, kw_only=True):
    """An application reports one occurrence, which arrived at `now`: None where nobody says when,
    and then it wakes no error whose time has come."""

    app: str
    fingerprint: str
    grouping: GroupingRecord
    occurrence: Occurrence
    now: datetime | None = None

    @property
    def stream_id(self) -> UUID:
        """The group's id."""
        return group_id(self.app, self.fingerprint)


class _GroupCommand(Command, frozen=True, kw_only=True):
    """`app` is the application whose error it must be, for who may act on that one only."""

    error_id: UUID
    app: str | None = None

    @property
    def stream_id(self) -> UUID:
        """The group's id."""
        return self.error_id


class ResolveError(_GroupCommand, frozen=True, kw_only=True):
    """Somebody says the error is fixed."""


class ReopenError(_GroupCommand, frozen=True, kw_only=True):
    """Somebody says it is not."""


class DeleteError(_GroupCommand, frozen=True, kw_only=True):
    """Somebody takes the error, with all its occurrences, out of every answer."""


class MuteError(_GroupCommand, frozen=True, kw_only=True):
    """Somebody wants no alerts of this error: until a time, until its `count`-th occurrence from
    now on, or until they say otherwise."""

    until: datetime | None = None
    count: int | None = None
    now: datetime


class UnmuteError(_GroupCommand, frozen=True, kw_only=True):
    """Somebody wants alerts of this error again."""


class WakeError(_GroupCommand, frozen=True, kw_only=True):
    """The time until which the error is muted may have come."""

    now: datetime


# -- events --------------------------------------------------------------------------------------


class ErrorReported(Event, frozen=True, kw_only=True):
    """An occurrence was stored. `count` is its number in the group, from 1; `first_seen` and
    `last_seen` span all occurrences so far. `moved_from` holds the group's facets before this
    report where they differed. `resolved` says that the group was resolved at this moment: an
    ErrorRegressed then follows. `muted`: nobody is to be alerted of this one; until when, or how
    many occurrences are left until the error wakes."""

    app: str
    fingerprint: str
    count: int
    first_seen: datetime
    last_seen: datetime
    created_at: datetime | None = None
    moved_from: Facets | None = None
    resolved: bool = False
    muted: bool = False
    muted_until: datetime | None = None
    muted_count_left: int | None = None
    occurrence: Occurrence
    grouping: GroupingRecord


class _GroupChanged(Event, frozen=True, kw_only=True):
    app: str
    facets: Facets
    count: int
    first_seen: datetime
    last_seen: datetime


class ErrorResolved(_GroupChanged, frozen=True, kw_only=True):
    """The error was marked as fixed. `open_since` is when it was first seen or last came back:
    the start of the time it took to resolve."""

    open_since: datetime


class ErrorReopened(_GroupChanged, frozen=True, kw_only=True):
    """Somebody reopened a resolved error. `resolved_at` is the resolution that this undoes, and
    `open_since` the start of the time that it took; None in logs older than this field."""

    resolved_at: datetime
    open_since: datetime | None = None


class ErrorRegressed(_GroupChanged, frozen=True, kw_only=True):
    """A resolved error was reported again and is open now. `muted`: as its report is."""

    resolved_at: datetime
    muted: bool = False


class ErrorDeleted(_GroupChanged, frozen=True, kw_only=True):
    """The error left all answers. `resolved` is the status that this undoes."""

    resolved: bool = False


class ErrorMuted(_GroupChanged, frozen=True, kw_only=True):
    """Nobody is alerted of this error until a time, until `further` occurrences have come, or
    until somebody says otherwise. `resolved_at`: since when it is resolved, if it is."""

    until: datetime | None = None
    further: int | None = None
    resolved_at: datetime | None = None


class ErrorWoke(_GroupChanged, frozen=True, kw_only=True):
    """The error is muted no more, and why. Beside a report, that one is the first to alert."""

    reason: WakeReason
    resolved_at: datetime | None = None


MUTING: frozenset[type[Event]] = frozenset({ErrorMuted, ErrorWoke})
"""What changes whom an error alerts, and no number of it."""

RESOLVING: frozenset[type[Event]] = frozenset({ErrorResolved, ErrorReopened, ErrorRegressed})
"""What changes whether an error is resolved, and no number of its occurrences."""

EVENTS: frozenset[type[Event]] = MUTING | RESOLVING | {ErrorReported, ErrorDeleted}

# -- state ---------------------------------------------------------------------------------------


class ErrorGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What decisions about an error need to know. `open_since` restarts when the error comes
    back; `count` restarts at 1 when a deleted error is reported again."""

    status: Status = "absent"
    app: str = ""
    facets: Facets | None = None
    count: int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    created_at: datetime | None = None
    open_since: datetime | None = None
    resolved_at: datetime | None = None
    mute: Mute | None = None


def evolve(state: ErrorGroup, recorded: Recorded[Event]) -> ErrorGroup:
    """Fold one event into the group's state."""
    event = recorded.event
    match event:
        case ErrorReported():
            fresh = event.count == 1
            # A report of an earlier time moves the start, unless the error has come back since.
            from_start = fresh or state.open_since == state.first_seen
            return ErrorGroup(
                status="resolved" if event.resolved else "open",
                app=event.app,
                facets=facets_of(event.occurrence),
                count=event.count,
                first_seen=event.first_seen,
                last_seen=event.last_seen,
                created_at=recorded.recorded_at if fresh else state.created_at,
                open_since=event.first_seen if from_start else state.open_since,
                resolved_at=None if fresh else state.resolved_at,
                mute=state.mute,
            )
        case ErrorResolved():
            return msgspec.structs.replace(
                state, status="resolved", resolved_at=recorded.recorded_at
            )
        case ErrorReopened():
            return msgspec.structs.replace(state, status="open", resolved_at=None)
        case ErrorRegressed():
            return msgspec.structs.replace(
                state, status="open", resolved_at=None, open_since=recorded.recorded_at
            )
        case ErrorDeleted():
            return ErrorGroup()
        case ErrorMuted():
            mute = mute_of(event.until, event.further, event.count)
            return msgspec.structs.replace(state, mute=mute)
        case ErrorWoke():
            return msgspec.structs.replace(state, mute=None)
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: ErrorGroup, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where nothing changes.

    Raises NotFound for an error that was never reported or is deleted, Invalid for a mute that
    could not be.
    """
    match command:
        case ReportError():
            return _report(state, command)
        case ResolveError():
            return _resolve(_existing(state, command))
        case ReopenError():
            return _reopen(_existing(state, command))
        case DeleteError():
            return _delete(_existing(state, command))
        case MuteError():
            return _mute(_existing(state, command), command)
        case UnmuteError():
            return _wake(_existing(state, command), "asked")
        case WakeError():
            return _wake_in_time(_existing(state, command), command.now)
    raise TypeError(f"an error group cannot decide {type(command).__name__}")


def _report(state: ErrorGroup, command: ReportError) -> Sequence[Event]:
    occurrence = command.occurrence
    facets = facets_of(occurrence)
    happened = occurrence.timestamp
    reported = ErrorReported(
        app=command.app,
        fingerprint=command.fingerprint,
        count=state.count + 1,
        first_seen=min(state.first_seen or happened, happened),
        last_seen=max(state.last_seen or happened, happened),
        created_at=state.created_at,
        moved_from=state.facets if state.facets != facets else None,
        resolved=state.status == "resolved",
        occurrence=occurrence,
        grouping=kept_grouping(command.grouping, occurrence, first=not state.count),
    )
    wakes = None
    if state.mute is not None:
        reported, wakes = _under(state.mute, reported, command.now)
    if state.resolved_at is None and wakes is None:
        return (reported,)
    standing = _Standing(
        app=command.app,
        facets=facets,
        count=reported.count,
        first_seen=reported.first_seen,
        last_seen=reported.last_seen,
    )
    events: list[Event] = [reported]
    if state.resolved_at is not None:
        events.append(
            ErrorRegressed(resolved_at=state.resolved_at, muted=reported.muted, **standing)
        )
    if wakes is not None:
        events.append(ErrorWoke(reason=wakes, **standing))
    return events


def _under(
    mute: Mute, reported: ErrorReported, now: datetime | None
) -> tuple[ErrorReported, WakeReason | None]:
    """A report of a muted error, and why it wakes the error if it does."""
    reason = mute.woken_by(reported.count, now)
    if reason is not None:
        return reported, reason
    left = mute.left(reported.count)
    muted = msgspec.structs.replace(
        reported, muted=True, muted_until=mute.until, muted_count_left=left
    )
    return muted, None


def _resolve(state: ErrorGroup) -> Sequence[Event]:
    if state.status == "resolved":
        return ()
    assert state.open_since is not None
    return (ErrorResolved(open_since=state.open_since, **_standing(state)),)


def _reopen(state: ErrorGroup) -> Sequence[Event]:
    if state.resolved_at is None:
        return ()
    return (
        ErrorReopened(
            resolved_at=state.resolved_at, open_since=state.open_since, **_standing(state)
        ),
    )


def _delete(state: ErrorGroup) -> Sequence[Event]:
    return (ErrorDeleted(resolved=state.status == "resolved", **_standing(state)),)


def _mute(state: ErrorGroup, command: MuteError) -> Sequence[Event]:
    until, further = command.until, command.count
    for flaw in flaws(until, further, command.now):
        raise flaw
    if state.mute == mute_of(until, further, state.count):
        return ()
    return (
        ErrorMuted(until=until, further=further, resolved_at=state.resolved_at, **_standing(state)),
    )


def _wake(state: ErrorGroup, reason: WakeReason) -> Sequence[Event]:
    if state.mute is None:
        return ()
    return (ErrorWoke(reason=reason, resolved_at=state.resolved_at, **_standing(state)),)


def _wake_in_time(state: ErrorGroup, now: datetime) -> Sequence[Event]:
    return _wake(state, "time") if state.mute is not None and state.mute.over(now) else ()


def _existing(state: ErrorGroup, command: _GroupCommand) -> ErrorGroup:
    if state.status == "absent" or command.app not in (None, state.app):
        raise NotFound("no such error")
    return state


class _Standing(TypedDict):
    app: str
    facets: Facets
    count: int
    first_seen: datetime
    last_seen: datetime


def _standing(state: ErrorGroup) -> _Standing:
    assert state.facets and state.first_seen and state.last_seen
    return _Standing(
        app=state.app,
        facets=state.facets,
        count=state.count,
        first_seen=state.first_seen,
        last_seen=state.last_seen,
    )


@lru_cache(maxsize=65536)
def group_id(app: str, fingerprint: str) -> UUID:
    """The id of an application's error: the same wherever and whenever it is computed."""
    return derived_id("error_group", app, fingerprint)


decider = Decider(
    kind="error_group",
    state_type=ErrorGroup,
    state_schema=2,
    initial=ErrorGroup(),
    evolve=evolve,
    decide=decide,
)
