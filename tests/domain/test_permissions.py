import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.permissions import (
    ALL_PERMISSIONS,
    DEFAULT_PERMISSIONS,
    ROLES,
    Permission,
    implied,
    may_grant,
    may_manage,
    parse_permissions,
)

any_permissions = st.frozensets(st.sampled_from([p.value for p in Permission]))


def test_a_viewer_only_reads() -> None:
    assert ROLES["viewer"] == {"read"}


def test_a_developer_reads_writes_and_thereby_reports() -> None:
    assert ROLES["developer"] == {"read", "write", "ingest"}


@pytest.mark.parametrize("role", ["admin", "owner"])
def test_admins_and_owners_hold_all_permissions(role: str) -> None:
    assert ROLES[role] == ALL_PERMISSIONS


def test_there_are_four_roles() -> None:
    assert set(ROLES) == {"owner", "admin", "developer", "viewer"}


def test_every_role_holds_what_its_permissions_include() -> None:
    assert all(implied(held) == held for held in ROLES.values())


def test_a_new_key_reads() -> None:
    assert DEFAULT_PERMISSIONS == ("read",)


def test_write_includes_ingest() -> None:
    assert implied(["write"]) == {"write", "ingest"}


@pytest.mark.parametrize("permission", ["ingest", "read", "admin"])
def test_other_permissions_include_nothing(permission: str) -> None:
    assert implied([permission]) == {permission}


def test_permissions_are_parsed_once_each_in_one_order() -> None:
    assert parse_permissions(["admin", "read", "read"]) == ("read", "admin")


def test_parsed_permissions_are_plain_text() -> None:
    assert all(type(value) is str for value in parse_permissions(["read"]))


def test_an_unknown_permission_is_named_with_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match="'delete'; allowed are: ingest, read, write, admin"):
        parse_permissions(["read", "delete"])


@pytest.mark.parametrize(
    "values", [None, "read", [], {}, {"read": True}, 3, [1], [["read"]], [None]]
)
def test_anything_but_a_list_of_names_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match="ingest, read, write, admin"):
        parse_permissions(values)


def test_nobody_grants_more_than_they_hold() -> None:
    assert not may_grant(frozenset({"admin"}), ["admin", "read"])


def test_a_holder_of_write_grants_ingest() -> None:
    assert may_grant(frozenset({"write"}), ["ingest"])


def test_ingest_does_not_grant_write() -> None:
    assert not may_grant(frozenset({"ingest"}), ["write"])


def test_an_unknown_permission_cannot_be_granted() -> None:
    assert not may_grant(ALL_PERMISSIONS, ["root"])


@given(any_permissions, any_permissions)
def test_what_was_granted_never_exceeds_the_granter(
    granter: frozenset[str], wanted: frozenset[str]
) -> None:
    assert may_grant(granter, wanted) == (implied(wanted) <= implied(granter))


@given(any_permissions)
def test_everybody_grants_what_they_hold(held: frozenset[str]) -> None:
    assert may_grant(held, held)


@pytest.mark.parametrize(
    ("role", "other", "allowed"),
    [
        ("owner", "owner", True),
        ("admin", "owner", False),
        ("admin", "admin", True),
        ("developer", "viewer", False),
        ("viewer", "viewer", False),
        ("owner", "ghost", False),
        ("ghost", "viewer", False),
    ],
)
def test_only_owners_manage_owners(role: str, other: str, allowed: bool) -> None:
    assert may_manage(role, other) is allowed
