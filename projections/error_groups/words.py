"""Search: groups by the words they hold.

A word is found as a whole, in any case. Words are a group's, from its first report: those of its
message, type, frame files and functions. Numbers and ids are not among them, because grouping
replaces them by placeholders: numbers in a search text are left aside, ids find nothing.
"""

from __future__ import annotations

import re
from typing import Any

from redis.asyncio import Redis

from projections.error_groups.index import CHUNK, SCAN_BELOW
from projections.error_groups.layout import Layout

# The cut of domain.fingerprint: a letter first, so that numbers are no words.
_WORD = re.compile(r"[^\W\d_][\w.]{0,62}\w")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a search text, each once."""
    return tuple(dict.fromkeys(_WORD.findall(text.lower())))


async def groups_with(redis: Redis, layout: Layout, words: tuple[str, ...]) -> list[bytes]:
    """The groups that hold every word, in no order; read in pieces, the rarest word's first."""
    keys = [layout.word(word) for word in words]
    pipe = redis.pipeline(transaction=False)
    for key in keys:
        pipe.scard(key)
    by_size = sorted(zip(await pipe.execute(), keys, strict=True))
    groups: list[bytes] | None = None
    for size, key in by_size:
        if size == 0:
            return []
        if groups is None:
            groups = list(await _all(redis, key))
        elif len(groups) * SCAN_BELOW > size:
            held = await _all(redis, key)
            groups = [group for group in groups if group in held]
        else:
            groups = await _kept(redis, key, groups)
    return groups or []


async def _all(redis: Redis, key: str) -> set[bytes]:
    found: set[bytes] = set()
    position = -1
    while position != 0:
        members: Any
        position, members = await redis.sscan(key, max(position, 0), count=2 * CHUNK)
        found.update(members)
    return found


async def _kept(redis: Redis, key: str, groups: list[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for start in range(0, len(groups), CHUNK):
        part = groups[start : start + CHUNK]
        held = await redis.smismember(key, part)
        kept += [group for group, holds in zip(part, held, strict=True) if holds]
    return kept
