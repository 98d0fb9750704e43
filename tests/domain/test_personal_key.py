"""A member's own key: it follows its member, and an owner's is only taken by an owner."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain import api_key
from domain.api_key import (
    ApiKeyIssued,
    ApiKeyRevoked,
    ApiKeyRoleChanged,
    ChangePersonalKey,
    IssueApiKey,
    RevokeApiKey,
    RevokePersonalKey,
    personal_key_id,
    role_permissions,
)
from domain.message import Event
from domain.permissions import ROLES
from tests.spec import START, given

MEMBER = UUID(int=7)
ID = personal_key_id(MEMBER)


def issued(role: str = "developer", **changes: Any) -> Event:
    wish: dict[str, Any] = {
        "key_id": ID,
        "key_name": "Ann (personal)",
        "key_hash": "hash",
        "key_preview": "sk_****7890",
        "app": "*",
        "permissions": role_permissions(role),
        "granted_by": ROLES[role],
        "issued_at": START,
        "member_id": MEMBER,
        "role": role,
    }
    (event,) = given(api_key.decider).when(IssueApiKey(**(wish | changes))).events
    return event


def test_a_personal_key_names_its_member_and_role() -> None:
    event = issued()
    assert isinstance(event, ApiKeyIssued)
    assert (event.member_id, event.role) == (MEMBER, "developer")


def test_commands_about_a_member_find_the_key() -> None:
    assert ChangePersonalKey(member_id=MEMBER, role="viewer").stream_id == ID
    assert RevokePersonalKey(member_id=MEMBER).stream_id == ID


def test_another_role_brings_its_permissions() -> None:
    given(api_key.decider, issued()).when(ChangePersonalKey(member_id=MEMBER, role="viewer")).then(
        ApiKeyRoleChanged(
            key_id=ID,
            key_name="Ann (personal)",
            key_preview="sk_****7890",
            app="*",
            permissions=("read",),
            issued_at=START,
            member_id=MEMBER,
            role="viewer",
        )
    )


def test_the_same_role_changes_nothing() -> None:
    change = ChangePersonalKey(member_id=MEMBER, role="developer")
    given(api_key.decider, issued()).when(change).then_nothing()


def test_who_has_no_key_loses_none() -> None:
    given(api_key.decider).when(RevokePersonalKey(member_id=MEMBER)).then_nothing()
    given(api_key.decider).when(ChangePersonalKey(member_id=MEMBER, role="viewer")).then_nothing()


def test_a_key_leaves_with_its_member() -> None:
    given(api_key.decider, issued()).when(RevokePersonalKey(member_id=MEMBER)).then(
        ApiKeyRevoked(key_id=ID, key_hash="hash", app="*")
    )


def test_a_revoked_key_takes_no_other_role() -> None:
    past = given(api_key.decider, issued()).when(RevokeApiKey(key_id=ID)).events
    change = ChangePersonalKey(member_id=MEMBER, role="viewer")
    given(api_key.decider, issued(), *past).when(change).then_nothing()


def test_only_an_owner_revokes_the_key_of_an_owner() -> None:
    owned = given(api_key.decider, issued("owner"))
    owned.when(RevokeApiKey(key_id=ID, by_owner=False)).then_refused("forbidden")
    owned.when(RevokeApiKey(key_id=ID)).then_kinds(ApiKeyRevoked)


def test_for_a_key_of_one_application_there_are_no_others() -> None:
    given(api_key.decider, issued()).when(RevokeApiKey(key_id=ID, within="shop")).then_refused(
        "not_found"
    )
