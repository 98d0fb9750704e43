"""A custom check: somebody wants to know whether something of theirs answers.

What a check says, and the rules for saying it, are in `domain.check_settings`; what it sees
becomes events of a service (`domain.service`), under the name that `check_service` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from domain.check_settings import CheckSettings, CheckWish, merged, settled
from domain.decider import Decider
from domain.failures import AlreadyExists, Conflict, NotFound
from domain.message import Command, Event, Recorded

# -- commands ------------------------------------------------------------------------------------


class CreateCheck(Command, frozen=True, kw_only=True):
    """Somebody wants something to be looked at."""

    check_id: UUID
    wish: CheckWish

    @property
    def stream_id(self) -> UUID:
        """The check's id."""
        return self.check_id


class _CheckCommand(Command, frozen=True, kw_only=True):
    check_id: UUID
    expected_version: int | None = None

    @property
    def stream_id(self) -> UUID:
        """The check's id."""
        return self.check_id


class ChangeCheck(_CheckCommand, frozen=True, kw_only=True):
    """Somebody changes a check. `expected_version` is what they have seen of it."""

    wish: CheckWish


class DeleteCheck(_CheckCommand, frozen=True, kw_only=True):
    """Somebody takes a check away, for good."""


# -- events --------------------------------------------------------------------------------------


class CheckCreated(Event, frozen=True, kw_only=True):
    """The check runs from here on."""

    check_id: UUID
    settings: CheckSettings


class CheckChanged(Event, frozen=True, kw_only=True):
    """The check says something else from here on. `version` counts from 1, the creation."""

    check_id: UUID
    created_at: datetime
    version: int
    before: CheckSettings
    settings: CheckSettings


class CheckDeleted(Event, frozen=True, kw_only=True):
    """The check runs no more."""

    check_id: UUID


EVENTS: frozenset[type[Event]] = frozenset({CheckCreated, CheckChanged, CheckDeleted})

# -- state ---------------------------------------------------------------------------------------


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of a check. The id of a deleted one stays taken."""

    check_id: UUID | None = None
    settings: CheckSettings | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int = 0


def evolve(state: Check, recorded: Recorded[Event]) -> Check:
    """Fold one event into the check's state."""
    event = recorded.event
    match event:
        case CheckCreated():
            return Check(
                check_id=event.check_id,
                settings=event.settings,
                created_at=recorded.recorded_at,
                updated_at=recorded.recorded_at,
                version=1,
            )
        case CheckChanged():
            return msgspec.structs.replace(
                state,
                settings=event.settings,
                updated_at=recorded.recorded_at,
                version=event.version,
            )
        case CheckDeleted():
            return Check(check_id=event.check_id)
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: Check, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where nothing changes.

    Raises Invalid for a value that breaks a rule, NotFound for a check that is not there, Conflict
    for a version that is no longer the latest, AlreadyExists for a taken id.
    """
    match command:
        case CreateCheck():
            return _create(state, command)
        case ChangeCheck():
            return _change(state, command)
        case DeleteCheck():
            _existing(state, command)
            return (CheckDeleted(check_id=command.check_id),)
    raise TypeError(f"a check cannot decide {type(command).__name__}")


def _create(state: Check, command: CreateCheck) -> Sequence[Event]:
    settings = settled(command.wish)
    if state.check_id is None:
        return (CheckCreated(check_id=command.check_id, settings=settings),)
    if state.version == 1 and state.settings == settings:
        return ()
    raise AlreadyExists("a check with this id exists or existed")


def _change(state: Check, command: ChangeCheck) -> Sequence[Event]:
    before = _existing(state, command)
    settings = settled(merged(command.wish, before))
    if settings == before:
        return ()
    assert state.created_at is not None
    return (
        CheckChanged(
            check_id=command.check_id,
            created_at=state.created_at,
            version=state.version + 1,
            before=before,
            settings=settings,
        ),
    )


def _existing(state: Check, command: _CheckCommand) -> CheckSettings:
    if state.settings is None:
        raise NotFound("no such check")
    if command.expected_version not in (None, state.version):
        raise Conflict(f"the check is at version {state.version} by now")
    return state.settings


def check_service(check_id: UUID) -> str:
    """The name under which a check is watched: names of checks change, and are not unique."""
    return f"check:{check_id}"


decider = Decider(
    kind="check",
    state_type=Check,
    state_schema=1,
    initial=Check(),
    evolve=evolve,
    decide=decide,
)
