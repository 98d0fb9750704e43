"""The occurrences of one error, newest first, read from its own stream in the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.error_group import ErrorDeleted, ErrorReported
from domain.message import Recorded

StreamReader = Callable[[UUID, int | None, int], Awaitable[Sequence[Recorded[Any]]]]
"""(stream, before version or None, limit) -> its events, newest first."""

_PAGE = 200


class OccurrencePage(msgspec.Struct, frozen=True):
    """A page of occurrences; `next_before` continues it, None at the end."""

    occurrences: list[Recorded[ErrorReported]]
    next_before: int | None


class OccurrenceQueries:
    """Reads occurrences through a stream reader; a deletion hides all that came before it."""

    def __init__(self, read_stream: StreamReader) -> None:
        self._read_stream = read_stream

    async def of_error(self, error_id: UUID, *, before: int | None, limit: int) -> OccurrencePage:
        """Up to `limit` occurrences with stream versions below `before`."""
        found: list[Recorded[ErrorReported]] = []
        cursor = before
        while True:
            events = await self._read_stream(error_id, cursor, min(_PAGE, limit + 2))
            for recorded in events:
                if isinstance(recorded.event, ErrorDeleted):
                    return OccurrencePage(found, None)
                if isinstance(recorded.event, ErrorReported):
                    if len(found) == limit:
                        return OccurrencePage(found, found[-1].stream_version)
                    found.append(recorded)
                cursor = recorded.stream_version
            if not events:
                return OccurrencePage(found, None)
