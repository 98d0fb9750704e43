"""What the API asks of the past."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from api.container import Container
    from projections.differences import Differences


class Moment(msgspec.Struct, frozen=True):
    """A moment of the log: what had been recorded by then, and what the clock said."""

    position: int
    at: datetime


class Building(msgspec.Struct, frozen=True):
    """An answer that is not ready yet: `position` of the `target` events it needs are folded."""

    position: int
    target: int


class Past(Protocol):
    """The read models as they were. Raises Unavailable while the log is away or too many moments
    are being built, RedisError."""

    async def moment(self, asked: int | datetime) -> Moment:
        """The moment that somebody names by its position or time. Raises ValueError, with the
        reason, for one that has not come yet."""
        ...

    async def container(
        self, live: Container, moment: Moment, read_models: Sequence[str], stream: UUID | None
    ) -> Container | Building:
        """The container with queries that answer as of that moment, for `read_models` alone; of one
        stream of the log alone, if one is named. It waits two seconds for that."""
        ...

    async def difference(self, start: Moment, end: Moment) -> Differences | Building:
        """What changed after `start` until `end`. It waits two seconds for that."""
        ...
