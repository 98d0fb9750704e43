"""What the routes of histories and of the audit trail ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol

from domain.history import AuditPage, HistoryPage, Subject, Wanted
from domain.message import Recorded

Format = Literal["ndjson", "csv"]


class History(Protocol):
    """The log as auditors see it. Raises Unavailable while it is away or damaged.

    A file is given in pieces, and is closed (`aclose`) when nobody wants the rest."""

    def as_of(self, position: int) -> History:
        """The histories of subjects as they were when the log ended there."""
        ...

    async def newest(self, subject: Subject) -> Recorded[Any] | None:
        """The last event about a subject; None where there is none."""
        ...

    async def of(self, subject: Subject, before: int | None, limit: int) -> HistoryPage:
        """Entries of one subject below a version of its stream, newest first."""
        ...

    async def trail(
        self, wanted: Wanted, reached: int | None, limit: int, *, backwards: bool
    ) -> AuditPage:
        """Entries of the whole log, going on from a position."""
        ...

    def file_of(self, subject: Subject, form: Format) -> AsyncIterator[bytes]:
        """A subject's whole history, oldest first. Raises NotFound where it has none."""
        ...

    def file(self, wanted: Wanted, form: Format) -> AsyncIterator[bytes]:
        """All wanted events, oldest first."""
        ...
