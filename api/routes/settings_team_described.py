"""What the routes of /api/settings/team say of themselves."""

from __future__ import annotations

from typing import Any

from api.operations import MIN_POSITION, AsOf, Body, Operation, Reply
from api.settings_schemas import (
    AcceptRequest,
    InvitedBody,
    InviteRequest,
    JoinedBody,
    MemberBody,
    MemberListBody,
    RoleRequest,
)
from domain.permissions import Permission

_TOKEN = "b1Zk0Qx8v3mT7yR2sW5nL9cH4jD6fG0aPqEuIoKzXyM"  # noqa: S105 - an example
_INVITED: dict[str, Any] = {
    "id": "3e0c8f6a-1b7d-5c2e-9f40-6a5b4c3d2e1f",
    "name": None,
    "email": "newuser@company.com",
    "role": "viewer",
    "status": "invited",
    "last_active": None,
    "created_at": "2025-08-29T12:00:00Z",
}
_ACTIVE = {**_INVITED, "name": "Ann Example", "status": "active"}
_SEEN = {**_ACTIVE, "role": "developer", "last_active": "2025-08-29T12:30:00Z"}

LIST_MEMBERS = Operation(
    summary="List the team",
    tag="settings",
    permission=Permission.ADMIN,
    description="Members and open invitations, oldest first.",
    parameters=(MIN_POSITION,),
    replies={200: Reply("The team.", MemberListBody, example={"members": [_SEEN]})},
    failures=(400,),
    as_of=AsOf(("members",)),
)

INVITE_MEMBER = Operation(
    summary="Invite somebody to the team",
    tag="settings",
    permission=Permission.ADMIN,
    description=(
        "The answer holds the token that lets them join, this once; it lasts 7 days. An address is "
        "in the team once. Nobody gives a role that includes more than they hold, and only owners "
        "make owners."
    ),
    body=Body(InviteRequest, {"viewer": {"email": "newuser@company.com", "role": "viewer"}}),
    replies={
        201: Reply(
            "The invited member, with the token.",
            InvitedBody,
            example={
                **_INVITED,
                "invite_token": _TOKEN,
                "invite_expires_at": "2025-09-05T12:00:00Z",
            },
            position=True,
        )
    },
    failures=(400, 409, 413, 415),
)

ACCEPT_INVITE = Operation(
    summary="Join the team",
    tag="settings",
    description=(
        "The token from the invitation takes the place of a key. The answer holds a personal key "
        "with the role's permissions, this once. 409: the token was used, or is too old."
    ),
    body=Body(AcceptRequest, {"accept": {"token": _TOKEN, "name": "Ann Example"}}),
    replies={
        201: Reply(
            "The member, with their key.",
            JoinedBody,
            example={
                **_ACTIVE,
                "api_key": "sk_live_3q2-7wQ0mZ0bWf0c9Yl1oJr8e5tXvK2uHs4dGa6n7890",
                "key_id": "0d9f3c1e-6a0b-4d0e-8f5a-3f1f7c2b9a10",
                "permissions": ["read"],
            },
            position=True,
        )
    },
    failures=(400, 404, 409, 413, 415, 503),
)

CHANGE_ROLE = Operation(
    summary="Change a member's role",
    tag="settings",
    permission=Permission.ADMIN,
    description=(
        "Their personal key changes with them, everywhere within a second. Only owners make or "
        "change owners; 409 for the last one."
    ),
    body=Body(RoleRequest, {"developer": {"role": "developer"}}),
    replies={200: Reply("The member.", MemberBody, example=_SEEN, position=True)},
    failures=(400, 404, 409, 413, 415),
)

REMOVE_MEMBER = Operation(
    summary="Remove a member or an invitation",
    tag="settings",
    permission=Permission.ADMIN,
    description=(
        "Their personal key is revoked with them. Only owners remove owners; 409 for the last one."
    ),
    replies={204: Reply("They are out.", position=True)},
    failures=(400, 404, 409),
)
