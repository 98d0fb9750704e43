"""The team: who is invited, who joined, in which role.

All members are one stream. A team is small, and its rules look across it: an e-mail address is
invited once, and the last owner stays.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain.decider import Decider
from domain.failures import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from domain.message import Command, Event, Recorded, derived_id
from domain.permissions import OWNER, ROLES, may_grant, may_manage

TEAM = derived_id("team")
"""The stream of all members."""

INVITE_LIFETIME = timedelta(days=7)

EMAIL_RULE = "must be an e-mail address such as ann@example.com"
ROLE_RULE = f"must be one of {', '.join(ROLES)}"

_EMAIL = re.compile(r"[^@\s,;<>\"\\]{1,64}@(?=.{1,253}\Z)[^@\s.,;<>\"\\]+(\.[^@\s.,;<>\"\\]+)+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Granter(msgspec.Struct, frozen=True):
    """Who acts on the team: the permissions they hold and the role in which they act."""

    permissions: frozenset[str]
    role: str


# -- commands ------------------------------------------------------------------------------------


class _TeamCommand(Command, frozen=True, kw_only=True):
    @property
    def stream_id(self) -> UUID:
        """The team."""
        return TEAM


class InviteMember(_TeamCommand, frozen=True, kw_only=True):
    """Somebody invites an e-mail address into a role. The token is shown once; here is its hash."""

    email: str
    role: str
    token_hash: str
    invited_at: datetime
    by: Granter


class AcceptInvite(_TeamCommand, frozen=True, kw_only=True):
    """The invited one joins, showing the token. `role` is the one their key is being made for: the
    member must still be invited to it."""

    token_hash: str
    name: str
    role: str
    accepted_at: datetime


class ChangeRole(_TeamCommand, frozen=True, kw_only=True):
    """Somebody gives a member another role."""

    member_id: UUID
    role: str
    by: Granter


class RemoveMember(_TeamCommand, frozen=True, kw_only=True):
    """Somebody takes a member, or an invitation, out of the team."""

    member_id: UUID
    by: Granter


# -- events --------------------------------------------------------------------------------------


class MemberInvited(Event, frozen=True, kw_only=True):
    """An invitation stands until `expires_at`."""

    member_id: UUID
    email: str
    role: str
    token_hash: str
    expires_at: datetime


class MemberJoined(Event, frozen=True, kw_only=True):
    """The invited one accepted."""

    member_id: UUID
    email: str
    role: str
    name: str
    invited_at: datetime


class MemberRoleChanged(Event, frozen=True, kw_only=True):
    """The member acts in `role` from here on; before it was `previous`. `name` is null while the
    member is only invited."""

    member_id: UUID
    email: str
    role: str
    previous: str
    name: str | None
    invited_at: datetime


class MemberRemoved(Event, frozen=True, kw_only=True):
    """The member, or the invitation, is gone. `expired`: a new invitation took its place."""

    member_id: UUID
    email: str
    role: str
    expired: bool = False


EVENTS: frozenset[type[Event]] = frozenset(
    {MemberInvited, MemberJoined, MemberRoleChanged, MemberRemoved}
)

# -- state ---------------------------------------------------------------------------------------


class Member(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One member. `name` is null until they have joined."""

    member_id: UUID
    email: str
    role: str
    token_hash: str
    invited_at: datetime
    expires_at: datetime
    name: str | None = None

    @property
    def active(self) -> bool:
        """Whether the invitation was accepted."""
        return self.name is not None


class Team(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All members by their ids."""

    members: dict[UUID, Member] = {}


def evolve(state: Team, recorded: Recorded[Event]) -> Team:
    """Fold one event into the team."""
    event = recorded.event
    match event:
        case MemberInvited():
            member = Member(
                member_id=event.member_id,
                email=event.email,
                role=event.role,
                token_hash=event.token_hash,
                invited_at=recorded.recorded_at,
                expires_at=event.expires_at,
            )
        case MemberJoined():
            member = msgspec.structs.replace(state.members[event.member_id], name=event.name)
        case MemberRoleChanged():
            member = msgspec.structs.replace(state.members[event.member_id], role=event.role)
        case MemberRemoved():
            others = {key: one for key, one in state.members.items() if key != event.member_id}
            return Team(members=others)
        case _:
            return state
    return Team(members=state.members | {member.member_id: member})


# -- decisions -----------------------------------------------------------------------------------


def decide(state: Team, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where nothing changes.

    Raises Invalid for a bad e-mail address, role or name, Forbidden for a role beyond the actor's
    reach, AlreadyExists for a known address, NotFound for an unknown member or token, Conflict
    for a used or expired token and for the last owner.
    """
    match command:
        case InviteMember():
            return _invite(state, command)
        case AcceptInvite():
            return _accept(state, command)
        case ChangeRole():
            return _change_role(state, command)
        case RemoveMember():
            return _remove(state, command)
    raise TypeError(f"the team cannot decide {type(command).__name__}")


def _invite(state: Team, command: InviteMember) -> Sequence[Event]:
    email = command.email.strip().lower()
    if not is_email(email):
        raise Invalid("email", EMAIL_RULE)
    _check_role(command.role)
    _check_may_give(command.by, command.role)
    invited = MemberInvited(
        member_id=member_id(command.token_hash),
        email=email,
        role=command.role,
        token_hash=command.token_hash,
        expires_at=command.invited_at + INVITE_LIFETIME,
    )
    known = next((one for one in state.members.values() if one.email == email), None)
    if known is None:
        return (invited,)
    if known.member_id == invited.member_id:
        return ()
    if known.active:
        raise AlreadyExists(f"{email} is a member already")
    if command.invited_at < known.expires_at:
        raise AlreadyExists(f"{email} is invited already; remove the invitation to make a new one")
    # An expired invitation may name a role that this actor could neither give nor take away.
    _check_may_manage(command.by, known.role)
    return (_removed(known, expired=True), invited)


def _accept(state: Team, command: AcceptInvite) -> Sequence[Event]:
    member = state.members.get(member_id(command.token_hash))
    if member is None or not hmac.compare_digest(member.token_hash, command.token_hash):
        raise NotFound("no such invitation: the token is unknown, or was withdrawn")
    if member.active:
        raise Conflict("this invitation was accepted already")
    if command.accepted_at >= member.expires_at:
        raise Conflict(f"this invitation expired at {member.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    if command.role != member.role:
        raise Conflict("the invitation's role has just been changed; try again")
    name = command.name.strip()
    if not 1 <= len(name) <= 200 or _CONTROL.search(name):
        raise Invalid("name", "1 to 200 characters, no control characters")
    return (
        MemberJoined(
            member_id=member.member_id,
            email=member.email,
            role=member.role,
            name=name,
            invited_at=member.invited_at,
        ),
    )


def _change_role(state: Team, command: ChangeRole) -> Sequence[Event]:
    member = _existing(state, command.member_id)
    _check_role(command.role)
    _check_may_manage(command.by, member.role)
    _check_may_give(command.by, command.role)
    if command.role == member.role:
        return ()
    if command.role != OWNER:
        _check_owner_left(state, member)
    return (
        MemberRoleChanged(
            member_id=member.member_id,
            email=member.email,
            role=command.role,
            previous=member.role,
            name=member.name,
            invited_at=member.invited_at,
        ),
    )


def _remove(state: Team, command: RemoveMember) -> Sequence[Event]:
    member = _existing(state, command.member_id)
    _check_may_manage(command.by, member.role)
    _check_owner_left(state, member)
    return (_removed(member),)


def _removed(member: Member, *, expired: bool = False) -> MemberRemoved:
    return MemberRemoved(
        member_id=member.member_id, email=member.email, role=member.role, expired=expired
    )


def _existing(state: Team, wanted: UUID) -> Member:
    member = state.members.get(wanted)
    if member is None:
        raise NotFound("no such member")
    return member


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise Invalid("role", ROLE_RULE)


def _check_may_manage(by: Granter, role: str) -> None:
    if not may_manage(by.role, role):
        raise Forbidden("only an owner makes, changes or removes owners")


def _check_may_give(by: Granter, role: str) -> None:
    _check_may_manage(by, role)
    if not may_grant(by.permissions, ROLES[role]):
        missing = ", ".join(sorted(ROLES[role] - by.permissions))
        raise Forbidden(f"cannot grant more than you hold: {role} includes {missing}")


def _check_owner_left(state: Team, leaving: Member) -> None:
    owners = {one.member_id for one in state.members.values() if one.active and one.role == OWNER}
    if owners == {leaving.member_id}:
        raise Conflict("the last owner stays: make somebody else an owner first")


def is_email(text: str) -> bool:
    """Whether a text looks like one e-mail address; whether it works only a message can tell."""
    return bool(_EMAIL.fullmatch(text)) and not _CONTROL.search(text)


def token_hash(token: str) -> str:
    """SHA-256 of an invitation's token, in hex. Tokens hold 32 random bytes: no salt needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def member_id(hashed_token: str) -> UUID:
    """The id of the member whom a token invites: whoever shows the token thereby names them."""
    return derived_id("member", hashed_token)


decider = Decider(
    kind="team", state_type=Team, state_schema=1, initial=Team(), evolve=evolve, decide=decide
)
