"""The read model of the team.

members   HASH  <member id, 16 bytes> -> the member, a JSON object
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from domain import member
from domain.member import MemberInvited, MemberJoined, MemberRemoved, MemberRoleChanged
from domain.message import Recorded
from projections.all_events import ALL_EVENTS
from projections.directory.hashes import hash_writes
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write


class ListedMember(msgspec.Struct, frozen=True):
    """A member as the API shows them. `name` is null while they are only invited."""

    id: UUID
    name: str | None
    email: str
    role: str
    status: Literal["invited", "active"]
    created_at: datetime


class Members(RedisReadModel):
    """Keeps who is in the team, or invited to it."""

    name = "members"
    version = 1
    folds = member.EVENTS
    ignores = ALL_EVENTS - member.EVENTS

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        members: dict[bytes, bytes | None] = {}
        for recorded in events:
            match recorded.event:
                case MemberInvited() as event:
                    members[event.member_id.bytes] = _listed(event, None, recorded.recorded_at)
                case MemberJoined() | MemberRoleChanged() as event:
                    members[event.member_id.bytes] = _listed(event, event.name, event.invited_at)
                case MemberRemoved() as event:
                    members[event.member_id.bytes] = None
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "members neither folds nor ignores it")
        return hash_writes(_key(keyspace), members)


class MemberQueries:
    """Reads one version of the team."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._key = _key(keyspace)

    async def all(self) -> list[ListedMember]:
        """All members, oldest first."""
        found = await self._redis.hvals(self._key)
        members = [msgspec.json.decode(one, type=ListedMember) for one in found]
        return sorted(members, key=lambda one: (one.created_at, one.id))

    async def one(self, member_id: UUID) -> ListedMember | None:
        """A member; None where there is none, or no more."""
        found = await self._redis.hget(self._key, member_id.bytes)
        return None if found is None else msgspec.json.decode(found, type=ListedMember)


def _listed(
    event: MemberInvited | MemberJoined | MemberRoleChanged,
    name: str | None,
    invited_at: datetime,
) -> bytes:
    return msgspec.json.encode(
        ListedMember(
            id=event.member_id,
            name=name,
            email=event.email,
            role=event.role,
            status="invited" if name is None else "active",
            created_at=invited_at,
        )
    )


def _key(keyspace: Keyspace) -> str:
    return f"{keyspace.prefix}members"
