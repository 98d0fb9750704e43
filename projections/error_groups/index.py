"""Up to eight sorted sets of groups, read as if they were one: highest score first, and highest
id first where scores are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

from redis.asyncio import Redis

Entry = tuple[float, bytes]
"""A score and the id of a group."""

NEAR = 200
"""Offsets up to this are reached by reading everything before them."""

CHUNK = 500
"""How many groups one Redis command may look at, so that it never blocks the others for long."""

AT_ONCE = 20 * CHUNK
"""As many entries Redis may send in one answer, which takes it about 2 ms."""

SCAN_BELOW = 4
"""Reading this many entries costs less than asking for one."""

_PROBES = 16
_MAX_ROUNDS = 32


class Window(NamedTuple):
    """Bounds of scores, in the notation of Redis: "(" excludes the bound."""

    least: int | str = "-inf"
    most: int | str = "+inf"


class Index:
    """The entries of `keys` that lie in `window`."""

    def __init__(self, redis: Redis, keys: Sequence[bytes], window: Window | None = None) -> None:
        self._redis = redis
        self._keys = keys
        self._window = window or Window()

    async def total(self) -> int:
        """How many entries there are."""
        return sum(await self._counts(self._window))

    async def page(
        self, offset: int, size: int, after: Entry | None = None
    ) -> tuple[int, list[Entry]]:
        """How many entries there are in all, and those of one page: `size` entries behind the
        first `offset` ones, or strictly behind the entry `after`."""
        if after is not None or offset <= NEAR:
            total, entries = await self._first(offset + size, after)
            return total, entries[offset:]
        above, counts = await self._ranges()
        total = sum(counts)
        if offset >= total:
            return total, []
        start, behind = await self._skip(above, counts, offset)
        entries = await self._from_ranks(start, behind + size, above, counts)
        return total, entries[behind : behind + size]

    async def scores(self, groups: Sequence[bytes]) -> dict[bytes, float]:
        """The scores of those of `groups` that the sorted sets hold, whatever the window."""
        sizes = await self._counts(Window())
        by_size = sorted(zip(sizes, self._keys, strict=True), reverse=True)
        keys = [key for size, key in by_size if size]
        if len(groups) * SCAN_BELOW > sum(sizes):
            wanted = set(groups)
            everything = await self.everything()
            return {group: score for group, score in everything.items() if group in wanted}
        found: dict[bytes, float] = {}
        for start in range(0, len(groups), CHUNK):
            found.update(await self._looked_up(keys, groups[start : start + CHUNK]))
        return found

    async def everything(self) -> dict[bytes, float]:
        """All groups with their scores, whatever the window, in no order."""
        found: dict[bytes, float] = {}
        for key in self._keys:
            position = -1
            while position != 0:
                entries: Any
                position, entries = await self._redis.zscan(key, max(position, 0), count=2 * CHUNK)
                found.update(entries)
        return found

    async def _looked_up(
        self, keys: Iterable[bytes], groups: Sequence[bytes]
    ) -> dict[bytes, float]:
        found: dict[bytes, float] = {}
        for key in keys:
            missing: Any = [group for group in groups if group not in found]
            if not missing:
                break
            scores = await self._redis.zmscore(key, missing)
            scored = zip(missing, scores, strict=True)
            found.update((group, score) for group, score in scored if score is not None)
        return found

    async def _first(self, size: int, after: Entry | None) -> tuple[int, list[Entry]]:
        """One round trip, unless very many entries share the score of `after`."""
        most = self._window.most if after is None else int(after[0])
        wanted = size if after is None else size + 1
        pipe = self._redis.pipeline(transaction=False)
        for key in self._keys:
            pipe.zcount(key, *self._window)
            self._read(pipe, key, most, 0, wanted)
        replies = await pipe.execute()
        total = sum(replies[::2])
        entries: list[Entry] = []
        for key, reply in zip(self._keys, replies[1::2], strict=True):
            part = _behind(after, reply)
            if after is not None and len(part) < size and len(reply) == wanted:
                part = await self._past_equals(key, size, after)
            entries += part
        entries.sort(reverse=True)
        return total, entries[:size]

    async def _past_equals(self, key: bytes, size: int, after: Entry) -> list[Entry]:
        """The `size` entries of one sorted set that come behind `after`, where more entries than
        were asked for share its score: read on until past it."""
        found: list[Entry] = []
        for start in count(0, CHUNK):
            pipe = self._redis.pipeline(transaction=False)
            self._read(pipe, key, int(after[0]), start, CHUNK)
            (reply,) = await pipe.execute()
            found += _behind(after, reply)
            if len(found) >= size or len(reply) < CHUNK:
                break
        return found

    def _read(self, pipe: Any, key: bytes, most: int | str, skipped: int, size: int) -> None:
        pipe.zrange(
            key,
            most,
            self._window.least,
            desc=True,
            withscores=True,
            byscore=True,
            offset=skipped,
            num=size,
        )

    async def _counts(self, window: Window) -> list[int]:
        pipe = self._redis.pipeline(transaction=False)
        for key in self._keys:
            pipe.zcount(key, *window)
        return list(await pipe.execute())

    async def _ranges(self) -> tuple[list[int], list[int]]:
        """For each sorted set, how many entries lie above the window and how many in it."""
        counts = await self._counts(self._window)
        if self._window.most == "+inf":
            return [0] * len(counts), counts
        at_most = str(self._window.most)
        beyond = at_most[1:] if at_most.startswith("(") else f"({at_most}"
        return await self._counts(Window(beyond)), counts

    async def _skip(
        self, above: Sequence[int], counts: Sequence[int], offset: int
    ) -> tuple[list[int], int]:
        """Ranks to start from so that nearly `offset` entries are skipped, and how many are left
        to skip. Each round probes entries at even distances in what is still undecided, and
        narrows that to about an eighth."""
        low = list(above)
        high = [rank + number for rank, number in zip(above, counts, strict=True)]
        target = offset + sum(above)
        if len(self._keys) == 1:
            return [target], 0
        for _ in range(_MAX_ROUNDS):
            if target - sum(low) <= NEAR:
                break
            low, high = _narrowed(low, high, await self._probe(low, high), target)
        return low, target - sum(low)

    async def _probe(self, low: Sequence[int], high: Sequence[int]) -> list[_Mark]:
        places = [
            (number, rank)
            for number in range(len(self._keys))
            for rank in _spread(low[number], high[number])
        ]
        pipe = self._redis.pipeline(transaction=False)
        for number, rank in places:
            pipe.zrange(self._keys[number], rank, rank, desc=True, withscores=True)
        replies = await pipe.execute()
        # A reply is empty where the set has shrunk meanwhile.
        marks = [
            _Mark(float(reply[0][1]), reply[0][0], number, rank)
            for (number, rank), reply in zip(places, replies, strict=True)
            if reply
        ]
        return sorted(marks, reverse=True)

    async def _from_ranks(
        self, start: Sequence[int], size: int, above: Sequence[int], counts: Sequence[int]
    ) -> list[Entry]:
        pipe = self._redis.pipeline(transaction=False)
        for key, rank, skipped, held in zip(self._keys, start, above, counts, strict=True):
            last = min(rank + size, skipped + held) - 1
            if rank <= last:
                pipe.zrange(key, rank, last, desc=True, withscores=True)
        entries = list(chain.from_iterable(_behind(None, reply) for reply in await pipe.execute()))
        entries.sort(reverse=True)
        return entries


class _Mark(NamedTuple):
    """An entry whose rank in its sorted set is known."""

    score: float
    group: bytes
    number: int
    rank: int


def _spread(low: int, high: int) -> range:
    step = max(1, -(-(high - low) // _PROBES))
    return range(low + step // 2, high, step)


def _narrowed(
    low: Sequence[int], high: Sequence[int], marks: Sequence[_Mark], target: int
) -> tuple[list[int], list[int]]:
    """Closer bounds on how many of each set's entries are among the first `target` of all.

    Going down the marks, as many entries of another set lie above a mark as its last mark passed
    says at least, and as its next mark says at most.
    """
    at_least, at_most = list(low), list(high)
    ahead: list[list[int]] = [[] for _ in low]
    for mark in reversed(marks):
        ahead[mark.number].append(mark.rank)
    passed, coming = list(low), [ranks[-1] if ranks else high[i] for i, ranks in enumerate(ahead)]
    for mark in marks:
        number, rank = mark.number, mark.rank
        if sum(coming) - coming[number] + rank < target:
            at_least[number] = rank + 1
        elif sum(passed) - passed[number] + rank >= target:
            at_most[number] = min(at_most[number], rank)
        ahead[number].pop()
        passed[number] = rank + 1
        coming[number] = ahead[number][-1] if ahead[number] else high[number]
    return at_least, at_most


def _behind(after: Entry | None, reply: Iterable[Any]) -> list[Entry]:
    """The entries of a reply, those up to `after` left out."""
    entries = [(float(score), group) for group, score in reply]
    return entries if after is None else [entry for entry in entries if entry < after]
