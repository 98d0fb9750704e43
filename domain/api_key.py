"""An API key: what a program shows to act on an application. Only its hash is ever in an event.

A member of the team has one personal key. Its id follows from the member's, so whatever changes
the member changes the key in the same commit, without looking for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from domain.decider import Decider
from domain.failures import AlreadyExists, Forbidden, Invalid, NotFound
from domain.message import Command, Event, Recorded, derived_id
from domain.permissions import OWNER, ROLES, implied, may_grant
from domain.vocabulary import ANY_APP

# -- commands ------------------------------------------------------------------------------------


class IssueApiKey(Command, frozen=True, kw_only=True):
    """Somebody issues a key. `granted_by` are the permissions of who asks: a key never holds more.
    `issued_at` is the time of asking, against which `expires_at` is checked. `member_id` makes it
    a member's personal key, `role` says in which role it acts."""

    key_id: UUID
    key_name: str
    key_hash: str
    key_preview: str
    app: str
    permissions: tuple[str, ...]
    granted_by: frozenset[str]
    issued_at: datetime
    expires_at: datetime | None = None
    member_id: UUID | None = None
    role: str | None = None

    @property
    def stream_id(self) -> UUID:
        """The key's id."""
        return self.key_id


class RevokeApiKey(Command, frozen=True, kw_only=True):
    """Somebody takes a key back, for good. `within` is the application of who asks: for others
    than its own keys there are none. Only owners revoke the key of an owner."""

    key_id: UUID
    within: str = ANY_APP
    by_owner: bool = True

    @property
    def stream_id(self) -> UUID:
        """The key's id."""
        return self.key_id


class _PersonalKeyCommand(Command, frozen=True, kw_only=True):
    member_id: UUID

    @property
    def stream_id(self) -> UUID:
        """The id of the member's personal key."""
        return personal_key_id(self.member_id)


class ChangePersonalKey(_PersonalKeyCommand, frozen=True, kw_only=True):
    """A member's role changes, and with it what their key allows; whoever has no key needs none."""

    role: str


class RevokePersonalKey(_PersonalKeyCommand, frozen=True, kw_only=True):
    """A member leaves, and their key with them, if there is one."""


# -- events --------------------------------------------------------------------------------------


class ApiKeyIssued(Event, frozen=True, kw_only=True):
    """The key works from here on. `app` is the application it is bound to, or "*" for all."""

    key_id: UUID
    key_name: str
    key_hash: str
    key_preview: str
    app: str
    permissions: tuple[str, ...]
    expires_at: datetime | None = None
    member_id: UUID | None = None
    role: str | None = None


class ApiKeyRoleChanged(Event, frozen=True, kw_only=True):
    """A personal key acts in another role, with that role's permissions. The rest is as it was
    issued (at `issued_at`), and is here for those who show keys."""

    key_id: UUID
    key_name: str
    key_preview: str
    app: str
    permissions: tuple[str, ...]
    expires_at: datetime | None = None
    issued_at: datetime
    member_id: UUID
    role: str


class ApiKeyRevoked(Event, frozen=True, kw_only=True):
    """The key works no more."""

    key_id: UUID
    key_hash: str
    app: str


EVENTS: frozenset[type[Event]] = frozenset({ApiKeyIssued, ApiKeyRoleChanged, ApiKeyRevoked})

# -- state ---------------------------------------------------------------------------------------


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What decisions about a key, and the check of its use, need to know."""

    key_id: UUID | None = None
    key_name: str = ""
    key_hash: str = ""
    key_preview: str = ""
    app: str = ANY_APP
    permissions: tuple[str, ...] = ()
    expires_at: datetime | None = None
    issued_at: datetime | None = None
    member_id: UUID | None = None
    role: str | None = None
    revoked: bool = False


def evolve(state: ApiKey, recorded: Recorded[Event]) -> ApiKey:
    """Fold one event into the key's state."""
    event = recorded.event
    match event:
        case ApiKeyIssued():
            return ApiKey(
                key_id=event.key_id,
                key_name=event.key_name,
                key_hash=event.key_hash,
                key_preview=event.key_preview,
                app=event.app,
                permissions=event.permissions,
                expires_at=event.expires_at,
                issued_at=recorded.recorded_at,
                member_id=event.member_id,
                role=event.role,
            )
        case ApiKeyRoleChanged():
            return msgspec.structs.replace(state, permissions=event.permissions, role=event.role)
        case ApiKeyRevoked():
            return msgspec.structs.replace(state, revoked=True)
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: ApiKey, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where nothing changes.

    Raises Invalid for a bad name or expiry, Forbidden for more than the granter holds and for an
    owner's key, AlreadyExists for a taken id, NotFound for a key that was never issued.
    """
    match command:
        case IssueApiKey():
            return _issue(state, command)
        case RevokeApiKey():
            return _revoke(state, command)
        case ChangePersonalKey():
            return _change_role(state, command.role)
        case RevokePersonalKey():
            return () if state.key_id is None or state.revoked else (_revoked(state),)
    raise TypeError(f"an API key cannot decide {type(command).__name__}")


def _issue(state: ApiKey, command: IssueApiKey) -> Sequence[Event]:
    if state.key_id is not None:
        if state.key_hash == command.key_hash:
            return ()
        raise AlreadyExists("a key with this id exists")
    if not 1 <= len(command.key_name.strip()) <= 200:
        raise Invalid("name", "1 to 200 characters")
    if command.expires_at is not None and command.expires_at <= command.issued_at:
        raise Invalid("expires_at", "must lie in the future")
    if not may_grant(command.granted_by, command.permissions):
        missing = sorted(implied(command.permissions) - command.granted_by)
        raise Forbidden(f"cannot grant more than you hold: {', '.join(missing)}")
    return (
        ApiKeyIssued(
            key_id=command.key_id,
            key_name=command.key_name,
            key_hash=command.key_hash,
            key_preview=command.key_preview,
            app=command.app,
            permissions=command.permissions,
            expires_at=command.expires_at,
            member_id=command.member_id,
            role=command.role,
        ),
    )


def _revoke(state: ApiKey, command: RevokeApiKey) -> Sequence[Event]:
    if state.key_id is None or command.within not in (ANY_APP, state.app):
        raise NotFound("no such key")
    if state.revoked:
        return ()
    if state.role == OWNER and not command.by_owner:
        raise Forbidden("only an owner revokes the key of an owner")
    return (_revoked(state),)


def _change_role(state: ApiKey, role: str) -> Sequence[Event]:
    if state.key_id is None or state.revoked or state.role == role:
        return ()
    assert state.member_id and state.issued_at
    return (
        ApiKeyRoleChanged(
            key_id=state.key_id,
            key_name=state.key_name,
            key_preview=state.key_preview,
            app=state.app,
            permissions=role_permissions(role),
            expires_at=state.expires_at,
            issued_at=state.issued_at,
            member_id=state.member_id,
            role=role,
        ),
    )


def _revoked(state: ApiKey) -> ApiKeyRevoked:
    assert state.key_id
    return ApiKeyRevoked(key_id=state.key_id, key_hash=state.key_hash, app=state.app)


def role_permissions(role: str) -> tuple[str, ...]:
    """What a personal key holds in this role."""
    return tuple(sorted(ROLES[role]))


def personal_key_id(member_id: UUID) -> UUID:
    """The id of a member's personal key."""
    return derived_id("api_key", "member", str(member_id))


def key_hash(key: str) -> str:
    """SHA-256 of the key, in hex. Keys hold 32 random bytes, so no salt and no stretching."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_preview(key: str) -> str:
    """What may be shown of a key for ever: its kind and its last four characters."""
    return f"{key.split('_', 1)[0]}_****{key[-4:]}"


decider = Decider(
    kind="api_key",
    state_type=ApiKey,
    state_schema=2,
    initial=ApiKey(),
    evolve=evolve,
    decide=decide,
)
