"""What goes out: an answer as an ASGI application, and the envelopes of the two documents.

Documents from read models are bytes already and are spliced into the envelope as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Literal

import msgspec
from litestar.types import Receive, Scope, Send

Headers = Sequence[tuple[bytes, bytes]]

JSON = b"application/json"
EVENT_POSITION = b"x-event-position"
ETAG = b"etag"

SECOND_DOCUMENT = ("/api/v1/", "/dashboard/api/")
"""What the paths of the second document begin with."""

encode_json = msgspec.json.Encoder().encode


class Problem(msgspec.Struct, frozen=True):
    """One field of a request and what is wrong with it."""

    field: str
    problem: str


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer that is not a success, in the first document's words. `code` is for
    programs and never changes."""

    error: str
    status: Literal["error"]
    code: str
    fields: tuple[Problem, ...] = ()


class PlainSuccess(msgspec.Struct, kw_only=True):
    """What every body of the second document begins with; its own fields stand beside it."""

    success: Literal[True] = True


class PlainFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A failure in the second document's words."""

    success: Literal[False]
    error: str
    fields: tuple[Problem, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """A failure before it is in an envelope."""

    status: int
    code: str
    text: str
    fields: Sequence[Problem] = ()
    headers: Headers = ()


class Answer:
    """A whole answer: status, headers, body. Handlers return it; Litestar calls it."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, body: bytes = b"", headers: Headers = (), content_type: bytes = JSON
    ) -> None:
        self.status = status
        self.body = body
        self.headers = [*headers, (b"content-length", b"%d" % len(body))]
        if body:
            self.headers.append((b"content-type", content_type))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def success(
    document: bytes,
    *,
    status: int = 200,
    position: int | None = None,
    version: int | None = None,
    beside: object = None,
) -> Answer:
    """`document` (JSON) in the envelope; `position` is what X-Event-Position says after a write,
    `version` becomes the ETag of something that counts its versions, as If-Match takes it;
    `beside` is what else the document shows that may change without a new version."""
    body = b'{"data":' + document + b',"status":"success"}'
    tag: Headers = () if version is None else ((ETAG, _version_tag(version, beside)),)
    return Answer(status, body, [*position_header(position), *tag])


def _version_tag(version: int, beside: object) -> bytes:
    if beside is None:
        return b'"%d"' % version
    mark = blake2b(encode_json(beside), digest_size=8).hexdigest()
    return b'"%d-%b"' % (version, mark.encode())


def deleted(position: int) -> Answer:
    """204: nothing to show but the position of the write."""
    return Answer(204, headers=position_header(position))


def position_header(position: int | None) -> Headers:
    """The header that a later read can ask for with X-Min-Position."""
    return () if position is None else ((EVENT_POSITION, b"%d" % position),)


def array(documents: Iterable[bytes]) -> bytes:
    """Documents as one JSON array."""
    return b"[" + b",".join(documents) + b"]"


def plain(body: PlainSuccess, *, position: int | None = None) -> Answer:
    """An answer of the second document."""
    return Answer(200, encode_json(body), position_header(position))


def failure(refusal: Refusal, path: str) -> Answer:
    """The error envelope of the document that the path belongs to."""
    fields = tuple(refusal.fields)
    if of_second_document(path):
        body = encode_json(PlainFailure(success=False, error=refusal.text, fields=fields))
    else:
        body = encode_json(
            Failure(error=refusal.text, status="error", code=refusal.code, fields=fields)
        )
    return Answer(refusal.status, body, refusal.headers)


def of_second_document(path: str) -> bool:
    """Whether a path is one of the second document's, which has an envelope of its own."""
    return path.startswith(SECOND_DOCUMENT)
