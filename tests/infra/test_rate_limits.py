"""Rate limits against a real Redis, beside a model that counts in plain numbers."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from time import monotonic
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.rate_limit import Allowance, Rate
from infra import rate_limits
from infra.rate_limits import MINUTE, PATIENCE, RateLimits
from infra.redis import connect_async

HALF_STEPS = st.lists(st.integers(0, 5), min_size=1, max_size=25)


class Bucket:
    """What limits should do: a bucket that a request fills by one and time empties evenly."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.level = Fraction(0)

    def later(self, half_steps: int) -> None:
        self.level = max(self.level - Fraction(half_steps, 2), Fraction(0))

    def take(self) -> tuple[bool, int, int]:
        """Whether it fits, what else would fit, and the half steps until one does."""
        allowed = self.level + 1 <= self.limit
        if allowed:
            self.level += 1
        wait = max(self.level + 1 - self.limit, Fraction(0))
        return allowed, int(self.limit - self.level), int(wait * 2)


async def compare(url: str, limit: int, pauses: list[int]) -> None:
    client = connect_async(url)
    limits, bucket, key = RateLimits(client, {Rate.GENERAL: limit}), Bucket(limit), str(uuid4())
    step = MINUTE // limit
    for pause in pauses:
        # Time goes on when what is kept in Redis moves back; the real one moves by next to nothing.
        stored = await client.get(f"errata:limit:general:{key}")
        if stored is not None:
            earlier = int(stored) - pause * step // 2
            await client.set(f"errata:limit:general:{key}", earlier, keepttl=True)
        bucket.later(pause)
        found = await limits.take(key, Rate.GENERAL)
        allowed, remaining, wait = bucket.take()
        assert found is not None
        assert (found.allowed, found.remaining) == (allowed, remaining)
        assert abs(found.wait - wait * step / 2_000_000) <= 1
        assert found.wait > 0 or remaining
    await client.aclose()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(limit=st.integers(1, 12), pauses=HALF_STEPS)
def test_limits_are_a_bucket_that_empties_evenly(
    redis_url: str, limit: int, pauses: list[int]
) -> None:
    asyncio.run(compare(redis_url, limit, pauses))


async def test_a_minutes_budget_can_be_spent_at_once(redis_url: str) -> None:
    client = connect_async(redis_url)
    limits = RateLimits(client, {Rate.REPORTS: 5})
    taken = [await limits.take("key", Rate.REPORTS) for _ in range(6)]
    allowed = [one.allowed for one in taken if one]
    assert allowed == [True] * 5 + [False]
    last = taken[-1]
    assert last == Allowance(allowed=False, limit=5, remaining=0, reset=60, wait=12)
    await client.aclose()


async def test_processes_share_a_budget_and_keys_and_classes_do_not(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "PATIENCE", 10.0)  # 150 at once, on a machine that is busy
    client, other = connect_async(redis_url), connect_async(redis_url)
    each = {Rate.REPORTS: 100, Rate.GENERAL: 100}
    one, two = RateLimits(client, each), RateLimits(other, each)
    asked = [limits.take("key", Rate.REPORTS) for limits in (one, two) for _ in range(75)]
    began = monotonic()
    taken = await asyncio.gather(*asked)
    refilled = (monotonic() - began) * 100 / 60
    assert 100 <= sum(found.allowed for found in taken if found) <= 101 + refilled
    for key, rate in (("key", Rate.GENERAL), ("other", Rate.REPORTS)):
        found = await one.take(key, rate)
        assert found and found.allowed and found.remaining == 99
    await client.aclose()
    await other.aclose()


async def test_what_is_kept_of_a_key_is_gone_once_its_budget_is_whole(redis_url: str) -> None:
    client = connect_async(redis_url)
    await RateLimits(client, {Rate.GENERAL: 600}).take("key", Rate.GENERAL)
    assert 0 < await client.pttl("errata:limit:general:key") <= 100
    await client.aclose()


async def test_a_silent_redis_delays_one_request_a_little_and_refuses_none() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = connect_async(f"redis://127.0.0.1:{port}")
    limits = RateLimits(client, {Rate.GENERAL: 1})
    began = monotonic()
    assert [await limits.take("key", Rate.GENERAL) for _ in range(20)] == [None] * 20
    assert monotonic() - began < 4 * PATIENCE
    await client.aclose()
    server.close()
