"""Answers that are files of any size, sent piece by piece while they are made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

from litestar.types import Receive, Scope, Send

from api.answers import Answer
from api.call import Call
from api.history_ports import Format

MEDIA_TYPES: Mapping[str, Format] = MappingProxyType(
    {"application/x-ndjson": "ndjson", "text/csv": "csv"}
)
_DEFAULT = ("application/json", "application/*", "*/*")


def wanted_format(call: Call) -> Format | None:
    """The kind of file that Accept asks for; None for JSON. The first that is known counts."""
    for part in (call.header(b"accept") or "").split(","):
        media = part.partition(";")[0].strip().lower()
        if media in MEDIA_TYPES:
            return MEDIA_TYPES[media]
        if media in _DEFAULT:
            return None
    return None


class File(Answer):
    """A file in pieces. It ends early, and its source is closed, when the client goes away."""

    __slots__ = ("_first", "_rest")

    def __init__(self, first: bytes, rest: AsyncIterator[bytes], form: Format, name: str) -> None:
        self._first = first
        self._rest = rest
        self.status = 200
        self.body = b""
        media = next(media for media, known in MEDIA_TYPES.items() if known == form)
        self.headers = [
            (b"content-type", f"{media}; charset=utf-8".encode()),
            (b"content-disposition", f'attachment; filename="{name}.{form}"'.encode()),
            (b"vary", b"accept"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async for piece in self._rest:
                if gone.done():
                    return
                if piece:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            await _closed(self._rest)


async def file(pieces: AsyncIterator[bytes], form: Format, name: str) -> File:
    """A file, once its first piece is there: what fails until then is answered like any failure."""
    try:
        first = await anext(pieces)
    except BaseException:
        await _closed(pieces)
        raise
    return File(first, pieces, form, name)


async def _closed(pieces: AsyncIterator[bytes]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()


async def _gone(receive: Receive) -> None:
    """Return when the client has gone."""
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            continue
