"""The last use of keys: gathered in memory, told to Redis, the latest minute wins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import pytest
import redis.asyncio as async_redis
from redis.exceptions import ConnectionError as RedisAway

from api.auth import KeyRing
from api.key_usage import UsageFlush, known_minutes, used_at
from infra.last_used import LastUsed
from infra.redis import connect_async
from tests.api.test_auth import NOW, Source, a_key


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[async_redis.Redis]:
    found = connect_async(redis_url)
    yield found
    await found.aclose()


class Slate:
    """Keeps what it is told, call by call; may be away."""

    def __init__(self) -> None:
        self.told: list[dict[str, int]] = []
        self.away = False

    async def record(self, minutes: Mapping[str, int]) -> None:
        if self.away:
            raise RedisAway
        self.told.append(dict(minutes))

    async def minutes(self) -> Mapping[str, int]:
        raise RedisAway


def ring() -> KeyRing:
    return KeyRing(Source(a_key("k")), lambda: NOW)


async def test_an_earlier_minute_never_replaces_a_later_one(client: async_redis.Redis) -> None:
    usage = LastUsed(client)
    for minutes in ({"a": 5, "b": 1}, {"a": 4, "b": 2}, {}):
        await usage.record(minutes)
    assert await usage.minutes() == {"a": 5, "b": 2}


async def test_a_use_is_told_once_a_minute() -> None:
    keys, slate = ring(), Slate()
    flush = UsageFlush(keys, slate)
    for minute in (7, 7, 8):
        keys.last_used["a"] = minute
        await flush.flush()
    assert [told for told in slate.told if told] == [{"a": 7}, {"a": 8}]


async def test_what_cannot_be_told_is_told_later() -> None:
    keys, slate = ring(), Slate()
    flush = UsageFlush(keys, slate)
    keys.last_used["a"] = 7
    slate.away = True
    await flush.flush()
    slate.away = False
    await flush.flush()
    assert slate.told == [{"a": 7}]


async def test_stopping_tells_what_is_left() -> None:
    keys, slate = ring(), Slate()
    flush = UsageFlush(keys, slate)
    await flush.start()
    keys.last_used["a"] = 7
    await flush.stop()
    assert slate.told == [{"a": 7}]


async def test_while_redis_is_away_no_use_is_known() -> None:
    assert await known_minutes(Slate()) == {}


def test_a_minute_is_shown_as_a_time() -> None:
    assert used_at({"a": 1}, "a") == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    assert used_at({}, "a") is None
