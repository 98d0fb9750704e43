"""From what went wrong to the answer that says so: the one place that knows both.

Domain failures carry their own codes; what HTTP itself refuses (a route, a method, a body too
large) comes as Litestar's exceptions; whatever is left is our own mistake, and is logged.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from redis.exceptions import RedisError

from api.answers import Answer, Headers, Problem, failure
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
        """One sentence out of several problems."""
        text = "; ".join(f"{one.field} {one.problem}" for one in problems)
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
        self.found = found


_DOMAIN: tuple[tuple[type[DomainError], int], ...] = (
    (NotFound, 404),
    (Forbidden, 403),
    (Conflict, 409),
)

_HTTP_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


def answer_to(error: Exception, *, method: str, path: str, request_id: str) -> Answer:
    """The answer to any exception; what nobody foresaw is 500, logged with its traceback."""
    match error:
        case BadRequest():
            return failure(400, "bad_request", error.text, error.problems)
        case Invalid():
            problem = Problem(error.field, error.problem)
            return failure(400, error.code, error.reason, [problem])
        case DomainError():
            return _refused(error)
        case Unavailable():
            return unavailable(error)
        case RedisError():
            return unavailable(Unavailable("redis", "Redis, which holds the read models, is away"))
        case Unauthorized():
            challenge = ((b"www-authenticate", b'ApiKey realm="errata", header="X-API-Key"'),)
            return failure(401, "unauthorized", error.reason, headers=challenge)
        case BodyTooLarge():
            text = f"the body is larger than {error.limit} bytes"
            return failure(413, "too_large", text, headers=((b"connection", b"close"),))
        case UnsupportedMedia():
            return failure(415, "unsupported_media_type", _unsupported(error.found))
        case HTTPException() if error.status_code < 500:
            return _http(error, method, path)
    log.error("request failed", method=method, path=path, request_id=request_id, exc_info=error)
    text = f"an error of this server, not of the request; it is logged as request {request_id}"
    return failure(500, "internal", text)


def unavailable(error: Unavailable) -> Answer:
    """503 with the time to come back, for a part that is away."""
    headers = ((RETRY_AFTER, b"%d" % error.retry_after),)
    return failure(503, f"{error.part}_unavailable", error.reason, headers=headers)


def _refused(error: DomainError) -> Answer:
    status = next((status for kind, status in _DOMAIN if isinstance(error, kind)), 409)
    return failure(status, error.code, error.reason)


def _unsupported(found: str) -> str:
    return (
        f"the body is declared as {found}, and this route reads JSON: send the header "
        "Content-Type: application/json (curl: -H 'Content-Type: application/json')"
    )


def _http(error: HTTPException, method: str, path: str) -> Answer:
    headers: Headers = ()
    text = error.detail
    if isinstance(error, NotFoundException):
        text = f"there is no {path} here; GET /docs shows what there is"
    elif isinstance(error, MethodNotAllowedException):
        allowed = (error.headers or {}).get("allow", "")
        text = f"{method} is not possible on {path}; possible: {allowed}"
        headers = ((b"allow", allowed.encode()),)
    code = _HTTP_CODES.get(error.status_code, "refused")
    return failure(error.status_code, code, text, headers=headers)
