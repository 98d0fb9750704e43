"""Connections to Redis: one place that knows the URL schemes and the patience."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis
import redis.asyncio as async_redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import TimeoutError as NoAnswer
from redis.retry import Retry

T = TypeVar("T")

CLUSTER_SCHEME = "redis+cluster://"

ANSWER_SECONDS = 2.0
"""How long an event loop waits for Redis: somebody waits for an answer that is made of it."""

WORK_SECONDS = 5.0
"""How long workers and commands wait: their pages are large, and nobody waits for them."""

_CONNECT_SECONDS = 2.0

# A connection that turns out dead is opened once more, no more often: who asks decides whether to
# wait while Redis is away. A Redis that is silent had its time, and may yet do what it was asked.
_RETRIED = (ConnectionLost,)


def connect(url: str) -> redis.Redis:
    """A blocking client; nothing is sent yet. `redis+cluster://` gives a cluster's."""
    patience = _patience(WORK_SECONDS)
    if url.startswith(CLUSTER_SCHEME):
        cluster: Any = redis.RedisCluster.from_url(_plain(url), **patience)
        return cluster  # type: ignore[no-any-return]  # the same commands under another class
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 1, _RETRIED), **patience)


def connect_async(url: str) -> async_redis.Redis:
    """The same for an event loop."""
    patience = _patience(ANSWER_SECONDS)
    if url.startswith(CLUSTER_SCHEME):
        cluster: Any = async_redis.RedisCluster.from_url(_plain(url), **patience)
        return cluster  # type: ignore[no-any-return]
    return async_redis.Redis.from_url(url, retry=_OnceMore(NoBackoff(), 1, _RETRIED), **patience)


class _OnceMore(AsyncRetry):
    """Tells silence from a lost connection while it connects, too: over a Unix socket the client
    wraps the one in the other."""

    async def call_with_retry(
        self, do: Callable[[], Awaitable[T]], *arguments: Any, **options: Any
    ) -> T:
        async def told_apart() -> T:
            try:
                return await do()
            except ConnectionLost as error:
                if isinstance(error.__cause__, NoAnswer):
                    raise error.__cause__ from None
                raise

        return await super().call_with_retry(told_apart, *arguments, **options)


def _patience(seconds: float) -> dict[str, Any]:
    return {"socket_timeout": seconds, "socket_connect_timeout": _CONNECT_SECONDS}


def _plain(url: str) -> str:
    return "redis://" + url.removeprefix(CLUSTER_SCHEME)
