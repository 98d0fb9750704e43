"""The outermost layer: what every answer gets, whatever route or failure it comes from.

The request's id, CORS headers, the count of the request and its line in the log. It stands
around Litestar's router, so that an unknown path is answered like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import perf_counter
from typing import Any
from uuid import uuid4

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from api.call import Envelope
from api.conditional import PATHS, Conditional
from api.container import Meter
from api.cors import Cors

log = structlog.get_logger("api.access")

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_NO_ROUTE = "unmatched"


class Edge:
    """Wraps the router of the API."""

    def __init__(self, app: ASGIApp, meter: Meter, origins: Sequence[str]) -> None:
        self._app = app
        self._meter = meter
        self._cors = Cors(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what is not HTTP passes through."""
        if scope["type"] == ScopeType.HTTP:
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        headers = dict(scope["headers"])
        method = scope["method"]
        request_id = _request_id(headers)
        envelope = Envelope(request_id, headers)
        scope["state"]["envelope"] = envelope
        reply = _Reply(send, envelope, self._cors.headers(headers), method == "HEAD")
        if self._cors.is_preflight(method, headers):
            await self._cors.preflight()(scope, receive, reply)
        else:
            if method == "HEAD":
                scope["method"] = "GET"
            within = scope["path"].startswith(PATHS)
            await self._app(
                scope, receive, Conditional(reply, method, envelope) if within else reply
            )
        self._note(scope, method, reply.status, perf_counter() - started, request_id)

    def _note(
        self, scope: HTTPScope, method: str, status: int, seconds: float, request_id: str
    ) -> None:
        route = str(scope.get("path_template") or _NO_ROUTE)
        self._meter.request(method, route, status, seconds)
        write = log.debug if status < 400 else log.info if status < 500 else log.warning
        write(
            "request",
            method=method,
            route=route,
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 3),
            request_id=request_id,
        )


class _Reply:
    """`send`, which adds the headers of every answer and remembers the status."""

    __slots__ = ("_added", "_bodyless", "_extra", "_send", "status")

    def __init__(
        self, send: Send, envelope: Envelope, cors: Sequence[tuple[bytes, bytes]], bodyless: bool
    ) -> None:
        self._send = send
        self._extra = ((b"x-request-id", envelope.request_id.encode()), *cors)
        self._added = envelope.added
        self._bodyless = bodyless
        self.status = 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[Any] = [*message.get("headers", ()), *self._extra, *self._added]
            message["headers"] = headers
        elif self._bodyless and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given is not None and _SANE_ID.fullmatch(given):
        return given.decode()
    return str(uuid4())
