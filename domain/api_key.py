"""An API key: what a program shows to act on an application. Only its hash is ever in an event."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from domain.app import ANY_APP
from domain.decider import Decider
from domain.failures import AlreadyExists, Forbidden, Invalid, NotFound
from domain.message import Command, Event, Recorded
from domain.permissions import implied, may_grant


class IssueApiKey(Command, frozen=True, kw_only=True):
    """Somebody issues a key. `granted_by` are the permissions of who asks: a key never holds more.
    `issued_at` is the time of asking, against which `expires_at` is checked."""

    key_id: UUID
    key_name: str
    key_hash: str
    key_preview: str
    app: str
    permissions: tuple[str, ...]
    granted_by: frozenset[str]
    issued_at: datetime
    expires_at: datetime | None = None

    @property
    def stream_id(self) -> UUID:
        """The key's id."""
        return self.key_id


class RevokeApiKey(Command, frozen=True, kw_only=True):
    """Somebody takes a key back, for good."""

    key_id: UUID

    @property
    def stream_id(self) -> UUID:
        """The key's id."""
        return self.key_id


class ApiKeyIssued(Event, frozen=True, kw_only=True):
    """The key works from here on. `app` is the application it is bound to, or "*" for all."""

    key_id: UUID
    key_name: str
    key_hash: str
    key_preview: str
    app: str
    permissions: tuple[str, ...]
    expires_at: datetime | None = None


class ApiKeyRevoked(Event, frozen=True, kw_only=True):
    """The key works no more."""

    key_id: UUID
    key_hash: str
    app: str


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What decisions about a key, and the check of its use, need to know."""

    key_id: UUID | None = None
    key_name: str = ""
    key_hash: str = ""
    app: str = ANY_APP
    permissions: tuple[str, ...] = ()
    expires_at: datetime | None = None
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
                app=event.app,
                permissions=event.permissions,
                expires_at=event.expires_at,
            )
        case ApiKeyRevoked():
            return msgspec.structs.replace(state, revoked=True)
    return state


def decide(state: ApiKey, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where nothing changes.

    Raises Invalid for a bad name or expiry, Forbidden for more than the granter holds,
    AlreadyExists for a taken id, NotFound for a key that was never issued.
    """
    match command:
        case IssueApiKey():
            return _issue(state, command)
        case RevokeApiKey():
            return _revoke(state)
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
        ),
    )


def _revoke(state: ApiKey) -> Sequence[Event]:
    if state.key_id is None:
        raise NotFound("no such key")
    if state.revoked:
        return ()
    return (ApiKeyRevoked(key_id=state.key_id, key_hash=state.key_hash, app=state.app),)


def key_hash(key: str) -> str:
    """SHA-256 of the key, in hex. Keys hold 32 random bytes, so no salt and no stretching."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_preview(key: str) -> str:
    """What may be shown of a key for ever: its kind and its last four characters."""
    return f"{key.split('_', 1)[0]}_****{key[-4:]}"


decider = Decider(
    kind="api_key",
    state_type=ApiKey,
    state_schema=1,
    initial=ApiKey(),
    evolve=evolve,
    decide=decide,
)
