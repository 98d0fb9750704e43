"""CORS: which pages of other origins may call the API from a browser. No credentials, ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.answers import Answer, Headers

_METHODS = b"GET, HEAD, POST, PUT, DELETE, OPTIONS"
_ALLOWED = (
    b"Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-Match, "
    b"If-None-Match, Last-Event-ID, X-API-Key, X-Min-Position, X-Request-ID"
)
_EXPOSED = (
    b"ETag, X-Event-Position, X-Read-Position, X-Request-ID, Retry-After, RateLimit-Limit, "
    b"RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset"
)
_MAX_AGE = b"86400"


class Cors:
    """The rules for a set of origins; "*" among them allows any."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, request: Mapping[bytes, bytes]) -> Headers:
        """What an answer to this request says; nothing to an origin that is not allowed."""
        origin = request.get(b"origin")
        if origin is None:
            return ()
        exposed = (b"access-control-expose-headers", _EXPOSED)
        if self._any:
            return ((b"access-control-allow-origin", b"*"), exposed)
        if origin in self._origins:
            vary = (b"vary", b"Origin")
            return ((b"access-control-allow-origin", origin), vary, exposed)
        return ((b"vary", b"Origin"),)

    def is_preflight(self, method: str, request: Mapping[bytes, bytes]) -> bool:
        """Whether a browser asks before it sends the request itself."""
        return (
            method == "OPTIONS"
            and b"origin" in request
            and b"access-control-request-method" in request
        )

    def preflight(self) -> Answer:
        """The answer to a preflight, besides `headers`."""
        return Answer(
            204,
            headers=(
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", _ALLOWED),
                (b"access-control-max-age", _MAX_AGE),
            ),
        )
