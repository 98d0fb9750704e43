"""Limits on the requests of each key, counted in Redis for all processes together.

The generic cell rate algorithm (ITU-T I.371) with one number for each key and class: the time at
which its whole budget is there again. A request moves that time on by a minute / limit, and is
refused where it would come to lie more than a minute ahead. So the budget of a minute can be spent
at once, and comes back evenly. Refused requests cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

from domain.rate_limit import Allowance, Rate

log = structlog.get_logger("errata.limits")

MINUTE = 60_000_000
"""Microseconds."""

PATIENCE = 0.25
"""Seconds after which Redis counts as away."""

RETRY_SECONDS = 1.0
"""How long nobody asks Redis again then, so that requests do not wait for it one by one."""

# The time is Redis's own: one clock for all processes, to the microsecond. Numbers of Lua are exact
# up to 2^53, which microseconds reach in the year 2255; tostring would round them.
_TAKE = """
local step, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local wait = full + step - step * limit - now
if wait > 0 then
  return {0, full - now, wait}
end
full = full + step
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return {1, full - now, math.max(full + step - step * limit - now, 0)}
"""


class RateLimits:
    """The limits of all keys, in requests a minute for each class."""

    def __init__(self, client: redis.Redis, limits: Mapping[Rate, int]) -> None:
        self._client = client
        self._limits = dict(limits)
        self._away_until = 0.0
        self._away = False

    async def take(self, key_id: str, rate: Rate) -> Allowance | None:
        """Count one request of a key. None, which lets it pass, while Redis is away."""
        if monotonic() < self._away_until:
            return None
        limit = self._limits[rate]
        step = MINUTE // limit
        try:
            async with asyncio.timeout(PATIENCE):
                answer: Any = await self._client.eval(
                    _TAKE, 1, f"errata:limit:{rate}:{key_id}", str(step), str(limit)
                )
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            return None
        if self._away:
            self._away = False
            log.info("requests are limited again")
        allowed, owed, wait = answer
        return Allowance(
            allowed=bool(allowed),
            limit=limit,
            remaining=max(0, limit - _up(owed, step)),
            reset=_up(owed, 1_000_000),
            wait=_up(wait, 1_000_000),
        )

    def _lost(self, error: Exception) -> None:
        self._away_until = monotonic() + RETRY_SECONDS
        if not self._away:
            self._away = True
            reason = str(error) or "no answer in time"
            log.warning("Redis is away: requests are not limited", reason=reason)


def _up(amount: int, unit: int) -> int:
    """How many units, the last one begun."""
    return -(-amount // unit)
