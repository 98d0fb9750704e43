"""What the API asks about consistency: is what it answers what the log says?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from projections.findings import Verdict

State = Literal["running", "done", "failed"]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All read models compared with the log: under way, with the events folded so far and the read
    model that is being compared, or ended, with the verdicts or the reason why there are none."""

    state: State
    started_at: datetime
    finished_at: datetime | None = None
    position: int = 0
    target: int = 0
    comparing: str | None = None
    verdicts: Sequence[Verdict] = ()
    reason: str | None = None


class Consistency(Protocol):
    """Compares what is live with the log. Raises Unavailable, RedisError."""

    async def of_error(self, error_id: UUID) -> Sequence[Verdict]:
        """The verdict of each read model that holds anything of an error; none for one that the
        log does not know."""
        ...

    async def of_all(self) -> Comparison:
        """The comparison of all that is under way, or ended in the last minute; or else one that
        has just been begun."""
        ...
