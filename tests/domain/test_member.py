"""What the team decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import member
from domain.member import (
    AcceptInvite,
    ChangeRole,
    Granter,
    InviteMember,
    MemberInvited,
    MemberJoined,
    MemberRemoved,
    MemberRoleChanged,
    RemoveMember,
    is_email,
    member_id,
    token_hash,
)
from domain.message import Event
from domain.permissions import ALL_PERMISSIONS, ROLES
from tests.spec import START, Given, given

OWNER = Granter(ALL_PERMISSIONS, "owner")
ADMIN = Granter(ALL_PERMISSIONS, "admin")
ADMIN_ONLY = Granter(frozenset({"admin"}), "admin")
LATER = START + timedelta(days=1)
TOO_LATE = START + timedelta(days=7)


def ident(email: str) -> UUID:
    return member_id(token_hash(f"token of {email}"))


def invite(email: str = "ann@example.com", role: str = "viewer", **changes: Any) -> InviteMember:
    wish: dict[str, Any] = {
        "email": email,
        "role": role,
        "token_hash": token_hash(f"token of {email}"),
        "invited_at": START,
        "by": OWNER,
    }
    return InviteMember(**(wish | changes))


def accept(email: str = "ann@example.com", role: str = "viewer", **changes: Any) -> AcceptInvite:
    wish: dict[str, Any] = {
        "token_hash": token_hash(f"token of {email}"),
        "name": "Ann",
        "role": role,
        "accepted_at": LATER,
    }
    return AcceptInvite(**(wish | changes))


def team(**roles: str) -> Given:
    """A team of members who joined, each by first name."""
    past: list[Event] = []
    for name, role in roles.items():
        email = f"{name}@example.com"
        wishes = (invite(email, role), accept(email, role, name=name))
        past += given(member.decider, *past).when(*wishes).events
    return given(member.decider, *past)


def change(name: str, role: str, by: Granter = OWNER) -> ChangeRole:
    return ChangeRole(member_id=ident(f"{name}@example.com"), role=role, by=by)


def remove(name: str, by: Granter = OWNER) -> RemoveMember:
    return RemoveMember(member_id=ident(f"{name}@example.com"), by=by)


def test_an_invitation_lasts_seven_days_and_holds_no_token() -> None:
    (event,) = given(member.decider).when(invite()).events
    assert isinstance(event, MemberInvited)
    assert event.expires_at == TOO_LATE
    assert b"token of" not in msgspec.json.encode(event)


def test_an_address_is_kept_in_lower_case() -> None:
    (event,) = given(member.decider).when(invite(" Ann@Example.COM ")).events
    assert isinstance(event, MemberInvited)
    assert event.email == "ann@example.com"


def test_an_address_is_invited_once_in_any_case() -> None:
    second = invite("ANN@example.com", token_hash=token_hash("another"))
    given(member.decider).when(invite(), second).then_refused("already_exists")


def test_repeating_an_invitation_adds_nothing() -> None:
    given(member.decider, *given(member.decider).when(invite()).events).when(
        invite()
    ).then_nothing()


def test_a_member_is_not_invited_again() -> None:
    again = invite(token_hash=token_hash("another"), invited_at=START + timedelta(days=99))
    team(ann="viewer").when(again).then_refused("already_exists")


def test_an_expired_invitation_makes_room_for_a_new_one() -> None:
    first = given(member.decider).when(invite()).events
    again = invite(token_hash=token_hash("another"), invited_at=TOO_LATE)
    then = given(member.decider, *first).when(again)
    then.then_kinds(MemberRemoved, MemberInvited)


def test_an_admin_does_not_replace_the_expired_invitation_of_an_owner() -> None:
    first = given(member.decider).when(invite(role="owner")).events
    again = invite(token_hash=token_hash("another"), invited_at=TOO_LATE, by=ADMIN)
    given(member.decider, *first).when(again).then_refused("forbidden")


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (invite("nobody"), "invalid"),
        (invite("a@b"), "invalid"),
        (invite("a@b.de,c@d.de"), "invalid"),
        (invite("a b@c.de"), "invalid"),
        (invite(role="king"), "invalid"),
        (invite(role="owner", by=ADMIN), "forbidden"),
        (invite(role="developer", by=ADMIN_ONLY), "forbidden"),
        (invite(role="viewer", by=ADMIN_ONLY), "forbidden"),
        (invite(role="viewer", by=Granter(frozenset({"read"}), "viewer")), "forbidden"),
    ],
)
def test_an_invitation_is_refused(wish: InviteMember, code: str) -> None:
    given(member.decider).when(wish).then_refused(code)


@pytest.mark.parametrize("role", [role for role in ROLES if role != "owner"])
def test_an_admin_invites_to_every_role_but_owner(role: str) -> None:
    given(member.decider).when(invite(role=role, by=ADMIN)).then_kinds(MemberInvited)


def test_the_token_lets_the_invited_one_join() -> None:
    (joined,) = (
        given(member.decider, *given(member.decider).when(invite()).events)
        .when(accept(name=" Ann "))
        .events
    )
    assert joined == MemberJoined(
        member_id=ident("ann@example.com"),
        email="ann@example.com",
        role="viewer",
        name="Ann",
        invited_at=START,
    )


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (accept(token_hash=token_hash("another")), "not_found"),
        (accept(accepted_at=TOO_LATE), "conflict"),
        (accept(role="developer"), "conflict"),
        (accept(name=" "), "invalid"),
        (accept(name="a\nb"), "invalid"),
    ],
)
def test_joining_is_refused(wish: AcceptInvite, code: str) -> None:
    given(member.decider, *given(member.decider).when(invite()).events).when(wish).then_refused(
        code
    )


def test_a_token_is_used_once() -> None:
    team(ann="viewer").when(accept()).then_refused("conflict")


def test_a_token_of_a_removed_invitation_is_unknown() -> None:
    past = given(member.decider).when(invite(), remove("ann")).events
    given(member.decider, *past).when(accept()).then_refused("not_found")


def test_a_role_changes() -> None:
    team(ann="viewer").when(change("ann", "admin", ADMIN)).then(
        MemberRoleChanged(
            member_id=ident("ann@example.com"),
            email="ann@example.com",
            role="admin",
            previous="viewer",
            name="ann",
            invited_at=START,
        )
    )


def test_the_same_role_again_is_no_change() -> None:
    team(ann="viewer").when(change("ann", "viewer")).then_nothing()


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (change("bob", "admin"), "not_found"),
        (change("ann", "king"), "invalid"),
        (change("ann", "owner", ADMIN), "forbidden"),
        (change("olga", "viewer", ADMIN), "forbidden"),
        (change("ann", "developer", ADMIN_ONLY), "forbidden"),
        (change("olga", "admin"), "conflict"),
        (remove("bob"), "not_found"),
        (remove("olga", ADMIN), "forbidden"),
        (remove("olga"), "conflict"),
    ],
)
def test_a_change_is_refused(wish: Any, code: str) -> None:
    team(olga="owner", ann="viewer").when(wish).then_refused(code)


def test_an_owner_goes_where_another_stays() -> None:
    team(olga="owner", otto="owner").when(remove("olga")).then_kinds(MemberRemoved)


def test_an_invited_owner_does_not_count_as_one_who_stays() -> None:
    past = team(olga="owner")
    then = past.when(invite("otto@example.com", "owner"), remove("olga"))
    then.then_refused("conflict")


def test_an_invitation_of_an_owner_is_withdrawn_freely() -> None:
    past = team(olga="owner")
    past.when(invite("otto@example.com", "owner"), remove("otto")).then_kinds(
        MemberInvited, MemberRemoved
    )


NAMES = st.sampled_from(["ann", "bob", "olga"])
ADDRESSES = NAMES.map(lambda name: f"{name}@example.com")
ANY_ROLE = st.sampled_from([*ROLES])
WISHES = st.one_of(
    st.builds(invite, ADDRESSES, ANY_ROLE),
    st.builds(accept, ADDRESSES, ANY_ROLE),
    st.builds(change, NAMES, ANY_ROLE),
    st.builds(remove, NAMES),
)


@for_all(st.lists(WISHES, max_size=12))
def test_a_team_that_had_an_owner_always_has_one(wishes: list[Any]) -> None:
    past: list[Event] = []
    had_owner = False
    for wish in wishes:
        past += given(member.decider, *past).when(wish).events
        members = given(member.decider, *past).state.members.values()
        has_owner = any(one.active and one.role == "owner" for one in members)
        assert has_owner or not had_owner
        had_owner = has_owner


@for_all(st.lists(WISHES, max_size=8), WISHES)
def test_a_wish_repeated_adds_nothing(wishes: list[Any], last: Any) -> None:
    past: list[Event] = []
    for wish in [*wishes, last]:
        past += given(member.decider, *past).when(wish).events
    assert given(member.decider, *past).when(last).events == []


@pytest.mark.parametrize("text", ["a@b.de", "first.last+tag@sub.example.co.uk", "ü@müller.de"])
def test_what_looks_like_an_address_is_one(text: str) -> None:
    assert is_email(text)


@pytest.mark.parametrize(
    "text",
    ["", "@", "a@b", "a@.de", "a@b..de", "a@b.de\n", "a@b.de.", "a@@b.de", f"a@{'b' * 300}.de"],
)
def test_what_does_not_is_none(text: str) -> None:
    assert not is_email(text)
