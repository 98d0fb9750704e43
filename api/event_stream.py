"""Server-sent events: an answer that goes on for as long as there is something to tell.

The format is that of the HTML standard, section 9.2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from litestar.types import Receive, Scope, Send

from api.answers import Answer

CONTENT_TYPE = b"text/event-stream; charset=utf-8"
QUIET_SECONDS = 10.0
"""After this time without an event a comment is sent, so that nobody takes the stream for dead."""

_COMMENT = b": still here\n\n"


def event(name: str, document: bytes) -> bytes:
    """One event with a JSON document, which has no line breaks."""
    return b"event: " + name.encode() + b"\ndata: " + document + b"\n\n"


class EventStream(Answer):
    """Sends events as they come, until there are no more or nobody listens."""

    __slots__ = ("_events",)

    def __init__(self, events: AsyncIterator[bytes]) -> None:
        super().__init__(200)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        headers = [(b"content-type", CONTENT_TYPE), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
        telling = asyncio.create_task(self._tell(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (telling, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, send: Send) -> None:
        events = aiter(self._events)
        while True:
            coming = asyncio.ensure_future(anext(events, None))
            while not (await asyncio.wait({coming}, timeout=QUIET_SECONDS))[0]:
                await send({"type": "http.response.body", "body": _COMMENT, "more_body": True})
            one = await coming
            if one is None:
                return
            await send({"type": "http.response.body", "body": one, "more_body": True})


async def _left(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        continue
