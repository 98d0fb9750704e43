"""From what went wrong to the answer that says so: the one place that knows both.

Domain failures carry their own codes; what HTTP itself refuses (a route, a method, a body too
large) comes as Litestar's exceptions; whatever is left is our own mistake, and is logged.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from redis.exceptions import RedisError

from api.answers import Answer, Headers, Problem, Refusal, failure
from domain.failures import Conflict, DomainError, Forbidden, Invalid, NotFound, Unavailable

log = structlog.get_logger("api")

RETRY_AFTER = b"retry-after"


class BadRequest(Exception):
    """The request cannot be understood: `text` says why, `problems` name the fields."""

    def __init__(self, text: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(text)
        self.text = text
        self.problems = problems

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> BadRequest:
        """One sentence out of several problems, in the form that domain.failures.Invalid has."""
        text = "; ".join(f"{one.field}: {one.problem}" for one in problems)
        return cls(text, problems)

    @classmethod
    def field(cls, field: str, problem: str) -> BadRequest:
        """A single field that is wrong."""
        return cls.of([Problem(field, problem)])


class Unauthorized(Exception):
    """Nobody we know: no key, or one that does not work, with the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BodyTooLarge(Exception):
    """The body is longer than the route reads; `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"over {limit} bytes")
        self.limit = limit


class UnsupportedMedia(Exception):
    """The body is not declared as JSON."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.text = _unsupported(found)
        self.headers: Headers = ()


class UnsupportedEncoding(UnsupportedMedia):
    """The body is compressed in a way that nobody here opens; `known` are those we do."""

    def __init__(self, found: str, known: Sequence[str]) -> None:
        super().__init__(found)
        self.text = f"Content-Encoding {found!r} is not one of {', '.join(known)}"
        self.headers = ((b"accept-encoding", ", ".join(known).encode()),)


class TooManyRequests(Exception):
    """The key has made more requests of a class than it may; `wait` is in seconds."""

    def __init__(self, rate: str, limit: int, wait: int) -> None:
        super().__init__(f"over {limit} a minute")
        self.text = (
            f"this key has made more requests of the class '{rate}' than the {limit} a minute "
            f"that it may; try again in {wait} s"
        )
        self.wait = wait


_DOMAIN: tuple[tuple[type[DomainError], int], ...] = (
    (NotFound, 404),
    (Forbidden, 403),
    (Conflict, 409),
)

_HTTP_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


def answer_to(error: Exception, *, method: str, path: str, request_id: str) -> Answer:
    """The answer to any exception, in the envelope of the document that `path` belongs to; what
    nobody foresaw is 500, logged with its traceback."""
    return failure(_refusal(error, method, path, request_id), path)


def _refusal(error: Exception, method: str, path: str, request_id: str) -> Refusal:
    match error:
        case BadRequest():
            return Refusal(400, "bad_request", error.text, error.problems)
        case DomainError():
            return _refused(error)
        case Unavailable() | RedisError():
            return _unavailable(error)
        case Unauthorized():
            challenge = ((b"www-authenticate", b'ApiKey realm="errata", header="X-API-Key"'),)
            return Refusal(401, "unauthorized", error.reason, headers=challenge)
        case BodyTooLarge():
            text = f"the body is larger than {error.limit} bytes"
            return Refusal(413, "too_large", text, headers=((b"connection", b"close"),))
        case UnsupportedMedia():
            return Refusal(415, "unsupported_media_type", error.text, headers=error.headers)
        case TooManyRequests():
            headers = ((RETRY_AFTER, b"%d" % error.wait),)
            return Refusal(429, "rate_limited", error.text, headers=headers)
        case HTTPException() if error.status_code < 500:
            return _http(error, method, path)
    log.error("request failed", method=method, path=path, request_id=request_id, exc_info=error)
    text = f"an error of this server, not of the request; it is logged as request {request_id}"
    return Refusal(500, "internal", text)


def _unavailable(error: Unavailable | RedisError) -> Refusal:
    """503 with the time to come back, for a part that is away."""
    if isinstance(error, RedisError):
        error = Unavailable("redis", "Redis, which holds the read models, is away")
    headers = ((RETRY_AFTER, b"%d" % error.retry_after),)
    return Refusal(503, f"{error.part}_unavailable", error.reason, headers=headers)


def _refused(error: DomainError) -> Refusal:
    if isinstance(error, Invalid):
        # As any other request that is wrong: a program need not know who found it out.
        return Refusal(400, "bad_request", error.reason, [Problem(error.field, error.problem)])
    status = next((status for kind, status in _DOMAIN if isinstance(error, kind)), 409)
    return Refusal(status, error.code, error.reason)


def _unsupported(found: str) -> str:
    return (
        f"the body is declared as {found}, and this route reads JSON: send the header "
        "Content-Type: application/json (curl: -H 'Content-Type: application/json')"
    )


def _http(error: HTTPException, method: str, path: str) -> Refusal:
    headers: Headers = ()
    text = error.detail
    if isinstance(error, NotFoundException):
        text = f"there is no {path} here; GET /docs shows what there is"
    elif isinstance(error, MethodNotAllowedException):
        allowed = (error.headers or {}).get("allow", "")
        text = f"{method} is not possible on {path}; possible: {allowed}"
        headers = ((b"allow", allowed.encode()),)
    code = _HTTP_CODES.get(error.status_code, "refused")
    return Refusal(error.status_code, code, text, headers=headers)
