"""Answers that a client may keep, as long as it asks whether they still hold (RFC 9110, 9111).

Every 200 to a GET has an ETag: what the route names (a version, that If-Match takes too), or else
a hash of the body. A client that sends it back as If-None-Match is told 304, without a body, where
nothing has changed. Whatever else the API says, secrets shown once among it, nobody may store.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

from litestar.types import Message, Send

from api.answers import ETAG, Headers
from api.call import Envelope

READ_POSITION = b"x-read-position"

PATHS = ("/api/", "/dashboard/api/")
"""Where answers are conditional."""

_TAG = re.compile(rb'"[\x21\x23-\x7e\x80-\xff]*"')
_REVALIDATE = (b"cache-control", b"private, max-age=0, must-revalidate")
_NO_STORE = (b"cache-control", b"no-store")
_OF_THE_BODY = (b"content-length", b"content-type")


class Conditional:
    """`send`, which makes one answer conditional. The start of a 200 waits for its body."""

    __slots__ = ("_envelope", "_reading", "_send", "_start")

    def __init__(self, send: Send, method: str, envelope: Envelope) -> None:
        self._send = send
        self._reading = method in ("GET", "HEAD")
        self._envelope = envelope
        self._start: Any = None

    async def __call__(self, message: Message) -> None:
        """Send a message, or hold it."""
        if message["type"] == "http.response.start":
            if self._reading:
                _add(message, *_position(self._envelope))
            if self._reading and message["status"] == 200:
                self._start = message
                return
            _add(message, _NO_STORE)
        elif self._start is not None:
            start, self._start = self._start, None
            self._validate(start, message)
            await self._send(start)
        await self._send(message)

    def _validate(self, start: Any, body: Any) -> None:
        """Give a 200 its validator, or make a 304 of it."""
        if body.get("more_body"):
            _add(start, _NO_STORE)  # the whole body is not there to be compared
            return
        tag = next((value for name, value in start["headers"] if name == ETAG), None)
        if tag is None:
            tag = etag_of(body["body"])
            _add(start, (ETAG, tag))
        _add(start, _REVALIDATE)
        if matches(self._envelope.headers.get(b"if-none-match"), tag):
            start["status"] = 304
            kept = [header for header in start["headers"] if header[0] not in _OF_THE_BODY]
            start["headers"] = kept
            body["body"] = b""


def _add(start: Any, *headers: tuple[bytes, bytes]) -> None:
    start["headers"] = [*start.get("headers", ()), *headers]


def _position(envelope: Envelope) -> Headers:
    """The position that an answer from read models reflects: that of the one furthest behind."""
    reads = envelope.reads.values()
    return ((READ_POSITION, b"%d" % min(reads)),) if reads else ()


def etag_of(body: bytes) -> bytes:
    """A strong validator: it differs where a single byte does."""
    return b'"%b"' % sha256(body).hexdigest()[:16].encode()


def matches(if_none_match: bytes | None, tag: bytes) -> bool:
    """Whether a client has what `tag` stands for. The header is a list of tags, or *; weak tags
    count too (RFC 9110, 13.1.2), and what is no tag is passed over."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == b"*" or tag in _TAG.findall(if_none_match)
