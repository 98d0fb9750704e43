"""Connections to Redis: one place that knows the URL schemes and the patience."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio as async_redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

CLUSTER_SCHEME = "redis+cluster://"
_PATIENCE: dict[str, Any] = {"socket_timeout": 5.0, "socket_connect_timeout": 2.0}


def connect(url: str) -> redis.Redis:
    """A blocking client; nothing is sent yet. `redis+cluster://` gives a cluster's.

    A connection that turns out dead is opened once more, no more often: who asks decides
    whether to wait while Redis is away.
    """
    if url.startswith(CLUSTER_SCHEME):
        cluster: Any = redis.RedisCluster.from_url(_plain(url), **_PATIENCE)
        return cluster  # type: ignore[no-any-return]  # the same commands under another class
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 1), **_PATIENCE)


def connect_async(url: str) -> async_redis.Redis:
    """The same for an event loop."""
    if url.startswith(CLUSTER_SCHEME):
        cluster: Any = async_redis.RedisCluster.from_url(_plain(url), **_PATIENCE)
        return cluster  # type: ignore[no-any-return]
    return async_redis.Redis.from_url(url, retry=AsyncRetry(NoBackoff(), 1), **_PATIENCE)


def _plain(url: str) -> str:
    return "redis://" + url.removeprefix(CLUSTER_SCHEME)
