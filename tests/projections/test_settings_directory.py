"""The read models of the team and of integrations, and of keys that change with their members."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.api_key import ChangePersonalKey, IssueApiKey, RevokePersonalKey, personal_key_id
from domain.integration import (
    ClearIntegration,
    ConfigureIntegration,
    Integration,
    RecordIntegrationTest,
    Sealed,
)
from domain.member import (
    AcceptInvite,
    ChangeRole,
    Granter,
    InviteMember,
    RemoveMember,
    member_id,
    token_hash,
)
from domain.permissions import ALL_PERMISSIONS
from projections.directory.api_keys import ApiKeyQueries, ApiKeys
from projections.directory.integrations import IntegrationQueries, Integrations
from projections.directory.members import ListedMember, MemberQueries, Members
from tests.projections.helpers import START, Log, content, folded

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from domain.message import Command

MEMBERS, INTEGRATIONS, KEYS = Members(), Integrations(), ApiKeys()
OWNER = Granter(ALL_PERMISSIONS, "owner")
TOKEN = token_hash("token")
ANN = member_id(TOKEN)

INVITE = InviteMember(
    email="ann@example.com", role="viewer", token_hash=TOKEN, invited_at=START, by=OWNER
)
ACCEPT = AcceptInvite(token_hash=TOKEN, name="Ann", role="viewer", accepted_at=START)
ISSUE = IssueApiKey(
    key_id=personal_key_id(ANN),
    key_name="Ann (personal)",
    key_hash="hash",
    key_preview="sk_****7890",
    app="*",
    permissions=("read",),
    granted_by=ALL_PERMISSIONS,
    issued_at=START,
    member_id=ANN,
    role="viewer",
)
PROMOTE = ChangeRole(member_id=ANN, role="admin", by=OWNER)
PROMOTE_KEY = ChangePersonalKey(member_id=ANN, role="admin")
CONFIGURE = ConfigureIntegration(
    integration="slack",
    preview={"webhook_url": "https://hooks.slack.com/****"},
    sealed=Sealed("ciphertext", "digest"),
)
TEST = RecordIntegrationTest(integration="slack", digest="digest", succeeded=False, reason="why")


def log_of(*commands: Command) -> Log:
    log = Log()
    for command in commands:
        log.execute(command)
    return log


async def test_an_invited_member_has_no_name(redis: Redis) -> None:
    await folded(redis, MEMBERS, log_of(INVITE).events)
    assert await MemberQueries(redis, MEMBERS.keyspace()).all() == [
        ListedMember(ANN, None, "ann@example.com", "viewer", "invited", START)
    ]


async def test_a_member_keeps_the_time_of_the_invitation(redis: Redis) -> None:
    await folded(redis, MEMBERS, log_of(INVITE, ACCEPT, PROMOTE).events)
    found = await MemberQueries(redis, MEMBERS.keyspace()).one(ANN)
    assert found == ListedMember(ANN, "Ann", "ann@example.com", "admin", "active", START)


async def test_a_removed_member_is_gone(redis: Redis) -> None:
    log = log_of(INVITE, ACCEPT, RemoveMember(member_id=ANN, by=OWNER))
    await folded(redis, MEMBERS, log.events)
    assert await MemberQueries(redis, MEMBERS.keyspace()).all() == []


async def test_a_personal_key_shows_its_new_role_and_its_age(redis: Redis) -> None:
    await folded(redis, KEYS, log_of(ISSUE, PROMOTE_KEY).events)
    (key,) = await ApiKeyQueries(redis, KEYS.keyspace()).all()
    assert (key.role, key.permissions) == ("admin", ("admin", "ingest", "read", "write"))
    assert (key.member_id, key.created_at) == (ANN, START)


async def test_a_key_that_changed_and_ended_in_one_page_is_gone(redis: Redis) -> None:
    log = log_of(ISSUE, PROMOTE_KEY, RevokePersonalKey(member_id=ANN))
    await folded(redis, KEYS, log.events[:1])
    await folded(redis, KEYS, log.events[1:])
    assert await ApiKeyQueries(redis, KEYS.keyspace()).all() == []


async def test_integrations_are_there_before_anything_is_configured(redis: Redis) -> None:
    found = await IntegrationQueries(redis, INTEGRATIONS.keyspace()).all()
    assert found == dict.fromkeys(("slack", "email", "webhook", "sms"), Integration())


async def test_an_integration_shows_its_last_test(redis: Redis) -> None:
    await folded(redis, INTEGRATIONS, log_of(CONFIGURE, TEST).events)
    found = await IntegrationQueries(redis, INTEGRATIONS.keyspace()).one("slack")
    assert (found.status, found.reason) == ("failing", "why")
    assert found.tested_at == START + timedelta(seconds=1)
    assert found.sealed == Sealed("ciphertext", "digest")


async def test_a_cleared_integration_is_not_configured(redis: Redis) -> None:
    log = log_of(CONFIGURE, TEST, ClearIntegration(integration="slack"))
    await folded(redis, INTEGRATIONS, log.events)
    queries = IntegrationQueries(redis, INTEGRATIONS.keyspace())
    assert (await queries.one("slack")).status == "not_configured"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, 10)))
async def test_pages_of_any_size_leave_the_same_content(redis: Redis, cuts: set[int]) -> None:
    clear = ClearIntegration(integration="slack")
    remove = RemoveMember(member_id=ANN, by=OWNER)
    story = (INVITE, ACCEPT, ISSUE, CONFIGURE, PROMOTE, PROMOTE_KEY, TEST)
    events = log_of(*story, clear, CONFIGURE, remove, RevokePersonalKey(member_id=ANN)).events
    contents = []
    for borders in ([0, len(events)], [0, *sorted(cuts), len(events)]):
        await redis.flushall()
        for start, end in pairwise(borders):
            for read_model in (MEMBERS, KEYS, INTEGRATIONS):
                await folded(redis, read_model, events[start:end])
        contents.append(await content(redis))
    assert contents[0] == contents[1]
