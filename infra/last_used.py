"""When each API key was last used, to the minute: kept in Redis beside the read models.

It is no event: a key is used far more often than anything worth remembering happens. When Redis is
lost, so is this, until the keys are used again.
"""

from __future__ import annotations

from collections.abc import Mapping

import redis.asyncio as redis

LAST_USED = "errata:last_used"
"""Hash: key id -> the minute (Unix time / 60) of its last use."""

# Several processes tell what they saw, each a little late: the latest minute counts.
_KEEP_LATEST = """
for i = 1, #ARGV, 2 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
  if tonumber(ARGV[i + 1]) > known then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
"""


class LastUsed:
    """Reads and writes the minutes of all keys."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    async def record(self, minutes: Mapping[str, int]) -> None:
        """Take note of uses, by key id. Raises RedisError."""
        arguments = [str(part) for pair in minutes.items() for part in pair]
        if arguments:
            await self._client.eval(_KEEP_LATEST, 1, LAST_USED, *arguments)

    async def minutes(self) -> Mapping[str, int]:
        """The minute of the last use of every key that was ever used. Raises RedisError."""
        found = await self._client.hgetall(LAST_USED)
        return {_text(key): int(minute) for key, minute in found.items()}


def _text(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.decode()
