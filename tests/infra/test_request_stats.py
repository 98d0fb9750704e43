"""Counting the API's own requests, in several processes, through an outage of Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as async_redis
from redis.exceptions import RedisError

from infra.redis import connect_async
from infra.request_stats import RequestStats

NOON = 1_756_468_805.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[async_redis.Redis]:
    connected = connect_async(redis_url)
    yield connected
    await connected.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_all_processes_count_together(client: async_redis.Redis, clock: Clock) -> None:
    for _ in range(2):
        process = RequestStats(client, clock=clock)
        process.count("GET", "/api/errors", 200, 0.010)
        process.count("POST", "/api/errors", 503, 0.030)
        await process.flush()
    counts = await RequestStats(client, clock=clock).recent()
    assert (counts.requests, counts.failures) == (4, 2)
    assert counts.milliseconds == pytest.approx(80.0)


@pytest.mark.parametrize("route", ["/health", "/health/live", "/metrics", "/docs/openapi.json"])
async def test_what_watches_us_does_not_count(
    client: async_redis.Redis, clock: Clock, route: str
) -> None:
    stats = RequestStats(client, clock=clock)
    stats.count("GET", route, 200, 0.01)
    await stats.flush()
    assert (await stats.recent()).requests == 0


async def test_after_five_minutes_a_request_is_not_recent(
    client: async_redis.Redis, clock: Clock
) -> None:
    stats = RequestStats(client, clock=clock)
    stats.count("GET", "/api/errors", 200, 0.01)
    await stats.flush()
    clock.now += 280
    assert (await stats.recent()).requests == 1
    clock.now += 20
    assert (await stats.recent()).requests == 0


@pytest.mark.parametrize("hours", [1, 6, 24, 24 * 30])
async def test_requests_are_counted_over_long_times(
    client: async_redis.Redis, clock: Clock, hours: int
) -> None:
    stats = RequestStats(client, clock=clock)
    stats.count("GET", "/api/errors", 200, 0.01)
    clock.now += hours * 3600
    stats.count("GET", "/api/errors", 200, 0.01)
    await stats.flush()
    found = await stats.since(clock.now - hours * 3600)
    assert found.requests == 2
    assert hours * 3600 <= found.seconds < (hours + 1) * 3600
    assert (await stats.since(clock.now - 61)).requests == 1


async def test_what_redis_could_not_take_is_kept(
    client: async_redis.Redis, clock: Clock, tmp_path: Path
) -> None:
    away = async_redis.Redis(unix_socket_path=str(tmp_path / "nobody"))
    stats = RequestStats(away, clock=clock)
    stats.count("GET", "/api/errors", 200, 0.01)
    with pytest.raises(RedisError):
        await stats.flush()
    stats.count("GET", "/api/errors", 200, 0.01)
    stats._client = client
    await stats.flush()
    assert (await stats.recent()).requests == 2


async def test_the_rest_is_told_at_the_end(client: async_redis.Redis, clock: Clock) -> None:
    stats = RequestStats(client, clock=clock)
    await stats.start()
    stats.count("GET", "/api/errors", 200, 0.01)
    await stats.stop()
    assert (await stats.recent()).requests == 1
