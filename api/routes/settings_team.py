"""/api/settings/team: members, invitations, roles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict, cast
from uuid import UUID

from litestar import delete, get, post, put

from api.answers import Answer, deleted, encode_json, success
from api.auth import Principal
from api.call import Call
from api.form import Form
from api.key_usage import known_minutes, used_at
from api.new_keys import new_key, new_token
from api.reading import caught_up, up_to_date
from api.routes.settings_team_described import (
    ACCEPT_INVITE,
    CHANGE_ROLE,
    INVITE_MEMBER,
    LIST_MEMBERS,
    REMOVE_MEMBER,
)
from api.settings_schemas import (
    InvitedBody,
    JoinedBody,
    MemberBody,
    MemberListBody,
    MemberStatus,
    PermissionName,
    RoleName,
)
from domain.api_key import (
    ChangePersonalKey,
    IssueApiKey,
    RevokePersonalKey,
    key_hash,
    key_preview,
    personal_key_id,
    role_permissions,
)
from domain.failures import NotFound
from domain.member import (
    EMAIL_RULE,
    ROLE_RULE,
    AcceptInvite,
    ChangeRole,
    Granter,
    InviteMember,
    Member,
    RemoveMember,
    is_email,
    member_id,
    token_hash,
)
from domain.message import Committed
from domain.permissions import ROLES
from domain.vocabulary import ANY_APP
from projections.directory.members import ListedMember

MEMBERS = "members"


@get("/settings/team", opt={"operation": LIST_MEMBERS})
async def list_members(request: Call) -> Answer:
    """The team."""
    request.auth.require_all_apps()
    await up_to_date(request, MEMBERS)
    members = await request.container.members.all()
    if not members:
        await caught_up(request, MEMBERS)
        members = await request.container.members.all()
    minutes = await known_minutes(request.container.key_usage)
    return success(encode_json(MemberListBody([_listed(one, minutes) for one in members])))


@post("/settings/team/invite", opt={"operation": INVITE_MEMBER})
async def invite_member(request: Call) -> Answer:
    """An invitation; its token is shown this once."""
    request.auth.require_all_apps()
    form = Form(await request.json_body())
    email, role = form.required_text("email").strip(), form.required_text("role")
    if email and not is_email(email):
        form.wrong("email", EMAIL_RULE)
    if role and role not in ROLES:
        form.wrong("role", ROLE_RULE)
    form.check()
    token = new_token()
    command = InviteMember(
        email=email,
        role=role,
        token_hash=token_hash(token),
        invited_at=request.container.clock(),
        by=_granter(request.auth),
    )
    committed = await request.container.store.execute(command, request.context)
    member = _member(committed, member_id(command.token_hash))
    body = InvitedBody(
        **_shown(member, None), invite_token=token, invite_expires_at=member.expires_at
    )
    return success(encode_json(body), status=201, position=committed.position)


@post("/api/settings/team/accept", opt={"operation": ACCEPT_INVITE})
async def accept_invite(request: Call) -> Answer:
    """Join, with the token from the invitation in place of a key; the new key is shown this once.

    The member and their key are stored together, or neither is."""
    form = Form(await request.json_body())
    token, name = form.required_text("token"), form.required_text("name")
    form.check()
    hashed = token_hash(token)
    joining = member_id(hashed)
    role = await _invited_to(request, joining)
    permissions = role_permissions(role)
    key, now = new_key(permissions), request.container.clock()
    accept = AcceptInvite(token_hash=hashed, name=name, role=role, accepted_at=now)
    issue = IssueApiKey(
        key_id=personal_key_id(joining),
        key_name=f"{name} (personal)"[:200],
        key_hash=key_hash(key),
        key_preview=key_preview(key),
        app=ANY_APP,
        permissions=permissions,
        granted_by=ROLES[role],
        issued_at=now,
        member_id=joining,
        role=role,
    )
    context = request.context_of(f"member:{joining}")
    joined, issued = await request.container.store.execute_all((accept, issue), context)
    body = JoinedBody(
        **_shown(_member(joined, joining), None),
        api_key=key,
        key_id=issue.key_id,
        permissions=cast("list[PermissionName]", list(permissions)),
    )
    return success(encode_json(body), status=201, position=issued.position)


@put("/settings/team/{member_id:str}", opt={"operation": CHANGE_ROLE})
async def change_role(request: Call) -> Answer:
    """Another role, for the member and for their key together."""
    request.auth.require_all_apps()
    changing = request.path_id("member_id")
    form = Form(await request.json_body())
    role = form.required_text("role")
    form.check()
    changed, rekeyed = await request.container.store.execute_all(
        (
            ChangeRole(member_id=changing, role=role, by=_granter(request.auth)),
            ChangePersonalKey(member_id=changing, role=role),
        ),
        request.context,
    )
    minutes = await known_minutes(request.container.key_usage)
    member = _member(changed, changing)
    body = MemberBody(**_shown(member, used_at(minutes, personal_key_id(changing))))
    return success(encode_json(body), position=rekeyed.position)


@delete("/settings/team/{member_id:str}", status_code=200, opt={"operation": REMOVE_MEMBER})
async def remove_member(request: Call) -> Answer:
    """Out of the team, with their key."""
    request.auth.require_all_apps()
    leaving = request.path_id("member_id")
    _, revoked = await request.container.store.execute_all(
        (
            RemoveMember(member_id=leaving, by=_granter(request.auth)),
            RevokePersonalKey(member_id=leaving),
        ),
        request.context,
    )
    return deleted(revoked.position)


def _granter(principal: Principal) -> Granter:
    """How the team sees a key that may manage it: one without a role acts as an admin."""
    return Granter(principal.permissions, principal.role or "admin")


async def _invited_to(request: Call, joining: UUID) -> str:
    """The role that an invitation is for. Whether it still holds is for the team to decide.

    Raises NotFound."""
    member = await request.container.members.one(joining)
    if member is None:
        await caught_up(request, MEMBERS)
        member = await request.container.members.one(joining)
    if member is None:
        raise NotFound("no such invitation: the token is unknown, or was withdrawn")
    return member.role


def _member(committed: Committed, wanted: UUID) -> Member:
    member: Member = committed.state.members[wanted]
    return member


class _Shown(TypedDict):
    id: UUID
    name: str | None
    email: str
    role: RoleName
    status: MemberStatus
    last_active: datetime | None
    created_at: datetime


def _shown(member: Member, last_active: datetime | None) -> _Shown:
    return _Shown(
        id=member.member_id,
        name=member.name,
        email=member.email,
        role=cast("RoleName", member.role),
        status="active" if member.active else "invited",
        last_active=last_active,
        created_at=member.invited_at,
    )


def _listed(member: ListedMember, minutes: Mapping[str, int]) -> MemberBody:
    return MemberBody(
        id=member.id,
        name=member.name,
        email=member.email,
        role=cast("RoleName", member.role),
        status=member.status,
        last_active=used_at(minutes, personal_key_id(member.id)),
        created_at=member.created_at,
    )
