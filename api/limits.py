"""Rate limits as clients see them: RateLimit-* headers, and 429 with the time to come back."""

from __future__ import annotations

from api.call import Call
from api.container import Limiter
from api.failures import TooManyRequests
from api.operations import Operation
from domain.permissions import Permission
from domain.rate_limit import Rate

ANALYTICS_TAGS = frozenset({"analytics", "monitoring"})


def rate_of(operation: Operation) -> Rate:
    """The class whose limit a route counts against, from what the route says of itself."""
    if operation.permission is Permission.INGEST:
        return Rate.REPORTS
    return Rate.ANALYTICS if operation.tag in ANALYTICS_TAGS else Rate.GENERAL


async def count(call: Call, limiter: Limiter, key_id: str, operation: Operation) -> None:
    """Count this request. Its answer says what is left (draft-ietf-httpapi-ratelimit-headers-06).

    Raises TooManyRequests."""
    rate = rate_of(operation)
    left = await limiter.take(key_id, rate)
    if left is None:
        return
    call.envelope.added.extend(
        (
            (b"ratelimit-limit", b"%d" % left.limit),
            (b"ratelimit-remaining", b"%d" % left.remaining),
            (b"ratelimit-reset", b"%d" % left.reset),
            (b"ratelimit-policy", b"%d;w=60" % left.limit),
        )
    )
    if not left.allowed:
        raise TooManyRequests(rate, left.limit, left.wait)
