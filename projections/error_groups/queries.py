"""What the API asks about errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from heapq import nlargest
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from projections.error_groups.cursor import cursor_of, entry_of
from projections.error_groups.document import NOT_MUTED, joined
from projections.error_groups.index import AT_ONCE, CHUNK, Entry, Index, Window
from projections.error_groups.layout import (
    ErrorFilter,
    Layout,
    Sort,
    moment,
    mute_field,
    report_field,
    standing_field,
)
from projections.error_groups.words import groups_with, words_of
from projections.projection import Keyspace

Documents = list[bytes]
Entries = list[Entry]
Ids = list[UUID]


class ErrorPage(msgspec.Struct, frozen=True):
    """One page of a list: a JSON object for each error, how many errors the whole list holds, and
    the cursor of the next page (None at the end)."""

    documents: Documents
    total: int
    next_cursor: str | None


class _Slice(msgspec.Struct, frozen=True):
    """Which entries of a list: `size` ones behind the first `offset`, or behind `after`."""

    offset: int
    size: int
    after: Entry | None


class ErrorQueries:
    """Reads one version of the errors."""

    def __init__(self, redis: Redis, keyspace: Keyspace) -> None:
        self._redis = redis
        self._layout = Layout(keyspace)

    async def one(self, error_id: UUID) -> bytes | None:
        """An error as a JSON object; None where there is none."""
        found = await self._documents([error_id.bytes])
        return found[0] if found else None

    async def many(self, error_ids: Sequence[UUID]) -> Documents:
        """Those of the errors that exist, as JSON objects, in the order asked for."""
        return await self._documents([error_id.bytes for error_id in error_ids])

    async def exists(self, error_id: UUID) -> bool:
        """Whether there is such an error."""
        field = report_field(error_id.bytes)
        return bool(await self._redis.hexists(self._layout.documents, field))

    async def waking(self, now: datetime, limit: int) -> Ids:
        """At most `limit` errors that are muted until a time that has come, the earliest first."""
        due: Any = await self._redis.zrangebyscore(
            self._layout.waking, "-inf", moment(now), start=0, num=limit
        )
        return [UUID(bytes=group) for group in due]

    async def list(
        self,
        wanted: ErrorFilter,
        sort: Sort = "last_seen",
        limit: int = 50,
        offset: int = 0,
        cursor: str | None = None,
    ) -> ErrorPage:
        """A page of the errors that a filter wants, newest or highest first, ids descending where
        equal.

        Raises ValueError for a cursor that no page of this list answered, or beside an offset.
        """
        if cursor is not None and offset:
            raise ValueError("cursor and offset exclude each other")
        after = None if cursor is None else entry_of(cursor, wanted, sort)
        # One more than shown tells whether there is a next page.
        total, entries = await self._entries(wanted, sort, _Slice(offset, limit + 1, after))
        shown = entries[:limit]
        return ErrorPage(
            documents=await self._documents([group for _, group in shown]),
            total=total,
            next_cursor=cursor_of(wanted, sort, shown[-1]) if len(entries) > limit else None,
        )

    async def _entries(self, wanted: ErrorFilter, sort: Sort, part: _Slice) -> tuple[int, Entries]:
        window = _window(wanted)
        if wanted.search is not None:
            return _cut(await self._searched(wanted, sort), part)
        if window is None or sort == "last_seen":
            index = Index(self._redis, self._layout.indexes_for(sort, wanted), window)
            return await index.page(part.offset, part.size, part.after)
        return await self._windowed(wanted, sort, window, part)

    async def _searched(self, wanted: ErrorFilter, sort: Sort) -> Entries:
        """All errors that hold the words searched for; the cost grows with their number."""
        words = words_of(wanted.search or "")
        if not words:
            return []
        groups = await groups_with(self._redis, self._layout, words)
        scores = await self._index(sort, wanted).scores(groups)
        if _window(wanted) is not None:
            seen = scores
            if sort != "last_seen":
                seen = await self._index("last_seen", wanted).scores(list(scores))
            scores = {group: scores[group] for group in _within(wanted, seen)}
        return [(score, group) for group, score in scores.items()]

    async def _windowed(
        self, wanted: ErrorFilter, sort: Sort, window: Window, part: _Slice
    ) -> tuple[int, Entries]:
        """Errors of a time window in another order than time: either take all of the window and
        sort them, or go along the order and leave out what is not in the window. The second reads
        about all / window entries for each one it keeps."""
        recent = Index(self._redis, self._layout.indexes_for("last_seen", wanted), window)
        ordered = self._index(sort, wanted)
        total, everything = await recent.total(), await ordered.total()
        if total == 0:
            return 0, []
        if (part.offset + part.size) * everything < total * total:
            return total, await self._filtered(wanted, ordered, part)
        if total <= AT_ONCE:
            _, entries = await recent.page(0, total)
            groups = [group for _, group in entries]
        else:
            groups = list(_within(wanted, await recent.everything()))
        scores = await ordered.scores(groups)
        return _cut([(score, group) for group, score in scores.items()], part)

    async def _filtered(self, wanted: ErrorFilter, ordered: Index, part: _Slice) -> Entries:
        seen_index = self._index("last_seen", wanted)
        kept: Entries = []
        after = part.after
        while len(kept) < part.offset + part.size:
            _, entries = await ordered.page(0, CHUNK, after)
            if not entries:
                break
            after = entries[-1]
            inside = _within(wanted, await seen_index.scores([group for _, group in entries]))
            kept += [entry for entry in entries if entry[1] in inside]
        return kept[part.offset : part.offset + part.size]

    def _index(self, sort: Sort, wanted: ErrorFilter) -> Index:
        return Index(self._redis, self._layout.indexes_for(sort, wanted))

    async def _documents(self, groups: Sequence[bytes]) -> Documents:
        """The errors' JSON, in order. One command, so all parts are of one moment; an error that
        was deleted meanwhile is left out."""
        if not groups:
            return []
        parts_of = (report_field, standing_field, mute_field)
        fields = [field(group) for group in groups for field in parts_of]
        parts: Any = await self._redis.hmget(self._layout.documents, fields)
        threes = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        return [
            joined(report, standing, mute or NOT_MUTED)
            for report, standing, mute in threes
            if report and standing
        ]


def _window(wanted: ErrorFilter) -> Window | None:
    if wanted.since is None and wanted.until is None:
        return None
    return Window(
        "-inf" if wanted.since is None else moment(wanted.since),
        "+inf" if wanted.until is None else f"({moment(wanted.until)}",
    )


def _within(wanted: ErrorFilter, seen: dict[bytes, float]) -> set[bytes]:
    """Those groups that were last seen in the window of the filter."""
    since = float("-inf") if wanted.since is None else moment(wanted.since)
    until = float("inf") if wanted.until is None else moment(wanted.until)
    return {group for group, score in seen.items() if since <= score < until}


def _cut(entries: Entries, part: _Slice) -> tuple[int, Entries]:
    """How many entries there are, and the wanted ones of them."""
    total = len(entries)
    if part.after is not None:
        entries = [entry for entry in entries if entry < part.after]
    return total, nlargest(part.offset + part.size, entries)[part.offset :]
