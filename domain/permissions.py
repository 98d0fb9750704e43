"""Who may do what: four permissions, four roles, and one rule of granting."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class Permission(StrEnum):
    """What a key allows."""

    INGEST = "ingest"
    """Report errors, nothing else."""
    READ = "read"
    """See errors, numbers and settings."""
    WRITE = "write"
    """Report and change errors, rules and incidents."""
    ADMIN = "admin"
    """Manage keys, team, integrations and applications, and rebuild read models."""


ALL_PERMISSIONS: frozenset[str] = frozenset(Permission)
DEFAULT_PERMISSIONS: tuple[str, ...] = (Permission.READ,)
"""What a new key gets where nothing is asked for."""

OWNER = "owner"
ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        OWNER: ALL_PERMISSIONS,
        "admin": ALL_PERMISSIONS,
        "developer": frozenset({Permission.INGEST, Permission.READ, Permission.WRITE}),
        "viewer": frozenset({Permission.READ}),
    }
)
"""The permissions of each role. Owner and admin differ in one thing: see `may_manage`."""


def implied(permissions: Iterable[str]) -> frozenset[str]:
    """`permissions` and those that they include: write includes ingest, nothing else is implied.

    `admin` is the permission over keys, team, integrations, applications and rebuilds. A key with
    `admin` alone neither reads nor changes errors; the roles owner and admin hold all four.
    """
    held = frozenset(permissions)
    return held | {Permission.INGEST} if Permission.WRITE in held else held


def parse_permissions(values: object) -> tuple[str, ...]:
    """The permissions named by `values` (from JSON), each once, in the order of `Permission`.

    Raises ValueError, with what is allowed, for anything but a list of known names and for an
    empty list: a key that may do nothing is a mistake.
    """
    allowed = ", ".join(Permission)
    if not isinstance(values, (list, tuple)) or not values:
        raise ValueError(f"must be a list of at least one permission of: {allowed}")
    for value in values:
        if not isinstance(value, str) or value not in ALL_PERMISSIONS:
            raise ValueError(f"unknown permission {value!r}; allowed are: {allowed}")
    return tuple(permission.value for permission in Permission if permission in values)


def may_grant(granter: frozenset[str], wanted: Iterable[str]) -> bool:
    """Whether a holder of `granter` may give `wanted` away: never more than it holds itself."""
    return implied(wanted) <= implied(granter)


def may_manage(role: str, other: str) -> bool:
    """Whether a member in `role` may invite, change or remove one in the role `other`.

    Only owners manage owners; beyond that the permission `admin` and `may_grant` decide. Unknown
    roles manage nobody and are managed by nobody.
    """
    if role not in ROLES or other not in ROLES or Permission.ADMIN not in ROLES[role]:
        return False
    return other != OWNER or role == OWNER
