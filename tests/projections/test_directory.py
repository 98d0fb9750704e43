"""The read models of applications and API keys."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.api_key import IssueApiKey, RevokeApiKey
from domain.app import RegisterApp
from projections.directory.api_keys import ApiKeyQueries, ApiKeys, ListedApiKey
from projections.directory.apps import Application, AppQueries, Apps
from tests.projections.helpers import START, Log, content, folded

if TYPE_CHECKING:
    from redis.asyncio import Redis

APPS, KEYS = Apps(), ApiKeys()
FIRST, SECOND = UUID(int=2), UUID(int=1)


def issue(key_id: UUID, **fields: Any) -> IssueApiKey:
    return IssueApiKey(
        **{
            "key_id": key_id,
            "key_name": "Production",
            "key_hash": f"hash of {key_id}",
            "key_preview": "sk_****7890",
            "app": "default",
            "permissions": ("read",),
            "granted_by": frozenset({"ingest", "read", "write", "admin"}),
            "issued_at": START,
            **fields,
        }
    )


async def test_applications_are_listed_by_age(redis: Redis) -> None:
    log = Log()
    log.execute(RegisterApp(app="shop", app_name="The Shop"))
    log.execute(RegisterApp(app="blog", app_name="The Blog"))
    await folded(redis, APPS, log.events)
    assert await AppQueries(redis, APPS.keyspace()).all() == [
        Application("shop", "The Shop", START),
        Application("blog", "The Blog", START + timedelta(seconds=1)),
    ]


async def test_one_application_is_found_by_its_id(redis: Redis) -> None:
    log = Log()
    log.execute(RegisterApp(app="shop", app_name="The Shop"))
    await folded(redis, APPS, log.events)
    queries = AppQueries(redis, APPS.keyspace())
    assert await queries.one("shop") == Application("shop", "The Shop", START)
    assert await queries.one("blog") is None


async def test_a_key_is_listed_with_what_may_be_shown_of_it(redis: Redis) -> None:
    log = Log()
    expiry = START + timedelta(days=30)
    log.execute(issue(FIRST, permissions=("read", "write"), expires_at=expiry))
    await folded(redis, KEYS, log.events)
    assert await ApiKeyQueries(redis, KEYS.keyspace()).all() == [
        ListedApiKey(
            id=FIRST,
            name="Production",
            key_preview="sk_****7890",
            permissions=("read", "write"),
            expires_at=expiry,
            created_at=START,
            app="default",
        )
    ]


async def test_the_hash_of_a_key_stays_out(redis: Redis) -> None:
    log = Log()
    log.execute(issue(FIRST))
    await folded(redis, KEYS, log.events)
    assert b"hash of" not in str(await content(redis)).encode()


async def test_keys_are_listed_by_age_and_by_application(redis: Redis) -> None:
    log = Log()
    log.execute(issue(FIRST))
    log.execute(issue(SECOND, app="shop"))
    await folded(redis, KEYS, log.events)
    queries = ApiKeyQueries(redis, KEYS.keyspace())
    assert [key.id for key in await queries.all()] == [FIRST, SECOND]
    assert [key.id for key in await queries.all("shop")] == [SECOND]


async def test_a_revoked_key_leaves_the_list(redis: Redis) -> None:
    log = Log()
    log.execute(issue(FIRST))
    log.execute(issue(SECOND))
    log.execute(RevokeApiKey(key_id=FIRST))
    await folded(redis, KEYS, log.events)
    queries = ApiKeyQueries(redis, KEYS.keyspace())
    assert [key.id for key in await queries.all()] == [SECOND]
    assert await queries.one(FIRST) is None
    assert (await queries.one(SECOND)) is not None


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, 4)))
async def test_pages_of_any_size_leave_the_same_content(redis: Redis, cuts: set[int]) -> None:
    log = Log()
    log.execute(issue(FIRST))
    log.execute(RegisterApp(app="shop", app_name="The Shop"))
    log.execute(issue(SECOND))
    log.execute(RevokeApiKey(key_id=FIRST))
    log.execute(RegisterApp(app="blog", app_name="The Blog"))
    contents = []
    for borders in ([0, 5], [0, *sorted(cuts), 5]):
        await redis.flushall()
        for start, end in pairwise(borders):
            await folded(redis, APPS, log.events[start:end])
            await folded(redis, KEYS, log.events[start:end])
        contents.append(await content(redis))
    assert contents[0] == contents[1]


def test_listed_keys_have_the_documented_fields() -> None:
    fields = {field.name for field in msgspec.structs.fields(ListedApiKey)}
    assert fields >= {"id", "name", "key_preview", "permissions", "expires_at", "created_at"}
