"""Answers kept for a while in the memory of this process.

What is kept belongs to an edition of the read model that it was made from: the position, and how
often the read model has gone back. Once either has changed it is not found any more, so an answer
from here is never older than the position that it names (docs/decisions/0013-caching.md).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from api.call import Call

MAX_ENTRIES = 2_000
MAX_BYTES = 32 * 1024 * 1024
LARGEST_PART = 8
"""An answer over an eighth of the whole is not kept: it would push out too many others."""

_OVERHEAD = 1_024
"""Bytes that an entry takes besides its body, more or less: its question above all."""


class Kind(NamedTuple):
    """What is kept: its name in the metrics, and for how many seconds."""

    name: str
    seconds: float


# The times of the first document.
ERROR_LISTS = Kind("error_lists", 120)
STATISTICS = Kind("stats", 300)
TRENDS = Kind("trends", 300)
SERVICES = Kind("services", 30)
HOST_METRICS = Kind("metrics", 30)
PERFORMANCE = Kind("performance", 60)
UPTIMES = Kind("uptime", 300)


class Computed(NamedTuple):
    """A body just made. One that is not `settled`, because it says that something is not known or
    not well, is not kept: the next look may say more, and people wait for it."""

    body: bytes
    settled: bool = True


class _Entry(NamedTuple):
    edition: Hashable
    until: float
    body: bytes


class Cache:
    """A bounded number of answers, and of bytes; the longest unused ones give way first."""

    def __init__(
        self,
        entries: int = MAX_ENTRIES,
        size: int = MAX_BYTES,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._most = entries
        self._room = size
        self._largest = size // LARGEST_PART
        self._clock = clock
        self.size = 0
        """Bytes in use."""

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Hashable, edition: Hashable) -> bytes | None:
        """The answer to `key` of exactly this edition; None where it is not kept or too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.edition != edition or entry.until <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.body

    def keep(self, key: Hashable, edition: Hashable, body: bytes, seconds: float) -> None:
        """Keep an answer, in place of an older edition's."""
        self._drop(key)
        size = _size(body)
        if size > self._largest:
            return
        self._entries[key] = _Entry(edition, self._clock() + seconds, body)
        self.size += size
        while self.size > self._room or len(self._entries) > self._most:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= _size(entry.body)


async def cached(
    call: Call,
    kind: Kind,
    read_models: Sequence[str],
    question: Hashable,
    compute: Callable[[], Awaitable[Computed]],
) -> bytes:
    """The answer to `question`: the one that is kept, or else what `compute` says, kept from now.

    `question` holds everything that the answer depends on besides the read models' events: what
    was asked, the applications that the key may see, and the time as far as it matters. Where there
    are measurements in it, that no event is about, they may be as old as the time limit.

    Call it after `up_to_date`. While Redis is silent nothing is answered from memory: how far the
    log is by now is not known then, and the contract's answer is 503."""
    positions = call.container.positions
    # The edition of before: while `compute` reads, the read models can only become newer.
    edition = tuple(map(positions.edition, read_models))
    key = (kind.name, question, call.as_of)
    body = call.parts.cache.find(key, edition) if positions.certain else None
    call.container.meter.cached(kind.name, hit=body is not None)
    if body is None:
        body, settled = await compute()
        if settled:
            call.parts.cache.keep(key, edition, body, kind.seconds)
    return body


def _size(body: bytes) -> int:
    return len(body) + _OVERHEAD
