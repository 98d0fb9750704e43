"""The shapes of settings: keys, team, integrations, applications."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from api.schemas import ShortText, Time
from domain.integration import IntegrationStatus, Preview
from domain.vocabulary import Channel

PermissionName = Literal["ingest", "read", "write", "admin"]
RoleName = Literal["owner", "admin", "developer", "viewer"]
MemberStatus = Literal["invited", "active"]
Token = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
AppName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9._-]*)$",
        description='The application the key is bound to, or "*" for all.',
    ),
]


# -- API keys ------------------------------------------------------------------------------------


class ApiKeyRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A wish for a key. It never holds more than the key that asks."""

    name: ShortText
    permissions: Annotated[
        Annotated[list[PermissionName], Meta(min_length=1)] | None,
        Meta(description="Absent: read."),
    ] = None
    expires_at: Annotated[Time | None, Meta(description="In the future. Absent: never.")] = None
    app: Annotated[
        AppName | None, Meta(description="Absent: all, or the application of the key that asks.")
    ] = None


class ApiKeyBody(msgspec.Struct, kw_only=True):
    """A key without itself. `last_used` is to the minute, and null where no use is known;
    `member_id` and `role` are set on a member's personal key."""

    id: UUID
    name: str
    key_preview: str
    permissions: list[PermissionName]
    expires_at: Time | None
    last_used: Time | None
    created_at: Time
    app: str
    member_id: UUID | None
    role: RoleName | None


class ApiKeyListBody(msgspec.Struct):
    """All keys that were not revoked, expired ones too, oldest first."""

    api_keys: list[ApiKeyBody]


class NewApiKeyBody(msgspec.Struct, kw_only=True):
    """A new key, with the key itself: this once, never again."""

    id: UUID
    name: str
    api_key: str
    key_preview: str
    permissions: list[PermissionName]
    expires_at: Time | None
    created_at: Time
    app: str


# -- team ----------------------------------------------------------------------------------------


class InviteRequest(msgspec.Struct):
    """Whom to invite, into which role. An e-mail address is in the team once, in any case."""

    email: Annotated[str, Meta(max_length=200, extra_json_schema={"format": "email"})]
    role: RoleName


class AcceptRequest(msgspec.Struct):
    """The token from the invitation, and the name to be known by."""

    token: Token
    name: ShortText


class RoleRequest(msgspec.Struct):
    """The role to have from now on."""

    role: RoleName


class MemberBody(msgspec.Struct, kw_only=True):
    """A member. `name` is null while they are invited; `last_active` is the last use of their
    personal key, to the minute."""

    id: UUID
    name: str | None
    email: str
    role: RoleName
    status: MemberStatus
    last_active: Time | None
    created_at: Time


class MemberListBody(msgspec.Struct):
    """The team, oldest first."""

    members: list[MemberBody]


class InvitedBody(MemberBody, kw_only=True):
    """The invited member, with the token that lets them join: this once, never again."""

    invite_token: str
    invite_expires_at: Time


class JoinedBody(MemberBody, kw_only=True):
    """The member who joined, with their personal key: this once, never again."""

    api_key: str
    key_id: UUID
    permissions: list[PermissionName]


# -- integrations --------------------------------------------------------------------------------


class IntegrationRequest(msgspec.Struct):
    """What to configure, as a whole; null takes the configuration away."""

    config: dict[str, Any] | None


class IntegrationBody(msgspec.Struct, kw_only=True):
    """An integration. `config` shows `****` for secrets; `configured` becomes `connected` or
    `failing` with its first test, and `reason` says why it fails."""

    name: Channel
    status: IntegrationStatus
    config: Preview
    last_test: Time | None
    reason: str | None


class IntegrationListBody(msgspec.Struct):
    """All integrations there are, configured or not."""

    integrations: list[IntegrationBody]


# -- applications --------------------------------------------------------------------------------


class AppRequest(msgspec.Struct):
    """An application to register."""

    id: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    name: ShortText


class AppBody(msgspec.Struct):
    """An application."""

    id: str
    name: str
    created_at: Time


class AppListBody(msgspec.Struct):
    """All applications that the key may act on, oldest first."""

    apps: list[AppBody]


class NewAppBody(AppBody, kw_only=True):
    """A new application, with its ingest key: this once, never again."""

    api_key: str
    key_id: UUID
