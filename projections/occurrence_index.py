"""The read model of single occurrences: where in the log each stands, by time, code and user.

It is history, too large for Redis, so it lives in PostgreSQL: the table `occurrences`, partitioned
by the day on which things happened (UTC). A row holds what lists are asked for and a position; the
payload stays in the log. A deleted error takes its rows along, to `occurrences_deleted`, where they
have the position of their deletion besides. So the index as of any position is a question to both
tables, while lists of the present never meet what was deleted.

Days get partitions as they are met, if the stamp is not far from the day of its report; a clock
that is years off must not open thousands of them, so all such rows share the default partition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from struct import Struct
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import msgspec

from domain import error_group
from domain.error_group import ErrorDeleted, ErrorReported
from domain.message import Recorded
from projections.all_events import ALL_EVENTS
from projections.binary_copy import copied, moment_field, text_field
from projections.projection import Indigestible, PostgresReadModel, Statement

DAYS_BACK = 400
DAYS_AHEAD = 2
"""A stamp so many days before or after its report's has a day of its own."""

MAX_TEXT = 200
"""Characters of a code or user id that the index holds; nobody can ask for longer ones."""

_OPEN_DAYS = "SELECT occurrences_open_days(%s::date[])"
# The rows are found by their errors alone: what is joined could make PostgreSQL read every day.
_DELETE = """
WITH gone AS (
  DELETE FROM occurrences WHERE error_id = ANY(%s)
  RETURNING app, occurred_at, position, error_id, code, user_id
)
INSERT INTO occurrences_deleted (app, occurred_at, position, error_id, code, user_id, deletion)
SELECT app, occurred_at, position, error_id, code, user_id, deletion
  FROM gone JOIN unnest(%s::uuid[], %s::bigint[]) AS deleted (error_id, deletion) USING (error_id)
"""
_COPY = (
    "COPY occurrences (app, occurred_at, position, error_id, code, user_id)"
    " FROM STDIN (FORMAT BINARY)"
)
_COPY_DELETED = (
    "COPY occurrences_deleted (app, occurred_at, position, error_id, code, user_id, deletion)"
    " FROM STDIN (FORMAT BINARY)"
)
_pack_count = Struct("!h").pack
_pack_place = Struct("!iqi16s").pack
_pack_deletion = Struct("!iq").pack


class OccurrenceIndex(PostgresReadModel):
    """Keeps where each occurrence stands, and from which position on it stands there no more."""

    name = "occurrences"
    version = 2
    folds = frozenset({ErrorReported, ErrorDeleted})
    ignores = (ALL_EVENTS - error_group.EVENTS) | error_group.MUTING | error_group.RESOLVING
    emptied_by = "TRUNCATE occurrences, occurrences_deleted"

    def fold(self, events: Sequence[Recorded[Any]]) -> list[Statement]:
        """The statements that bring the index from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        rows: list[_Row] = []
        deletions: dict[UUID, list[int]] = {}
        for recorded in events:
            match recorded.event:
                case ErrorReported():
                    rows.append(_row(recorded))
                case ErrorDeleted():
                    deletions.setdefault(recorded.stream_id, []).append(recorded.position)
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "occurrences neither folds nor ignores it")
        statements: list[Statement] = []
        if deletions:
            ids = sorted(deletions)
            statements.append((_DELETE, (ids, ids, [deletions[one][0] for one in ids])))
        return [*statements, *_filled(rows, deletions)]


def _filled(rows: Sequence[_Row], deletions: Mapping[UUID, Sequence[int]]) -> Iterator[Statement]:
    """The statements that add rows, those deleted since where the deleted ones are."""
    there: list[_Row] = []
    gone: list[bytes] = []
    for row in rows:
        later = (one for one in deletions.get(row.error_id, ()) if one > row.position)
        deletion = next(later, None)
        if deletion is None:
            there.append(row)
        else:
            gone.append(_pack_count(7) + _fields(row) + _pack_deletion(8, deletion))
    if there:
        yield _OPEN_DAYS, (_days(there),)
        yield _COPY, (copied(_pack_count(6) + _fields(row) for row in there),)
    if gone:
        yield _COPY_DELETED, (copied(gone),)


class _Row(NamedTuple):
    app: str
    occurred_at: datetime
    position: int
    error_id: UUID
    code: str | None
    user_id: str | None
    recorded_at: datetime


def _row(recorded: Recorded[ErrorReported]) -> _Row:
    occurrence = recorded.event.occurrence
    return _Row(
        recorded.event.app,
        occurrence.timestamp,
        recorded.position,
        recorded.stream_id,
        indexed(occurrence.code),
        indexed(occurrence.user_id),
        recorded.recorded_at,
    )


def _fields(row: _Row) -> bytes:
    """A row as COPY takes it, behind the number of its columns."""
    return b"".join(
        (
            text_field(row.app),
            moment_field(row.occurred_at),
            _pack_place(8, row.position, 16, row.error_id.bytes),
            text_field(row.code),
            text_field(row.user_id),
        )
    )


def _days(rows: Iterable[_Row]) -> list[date]:
    """The days that get partitions, oldest first."""
    back, ahead = timedelta(days=DAYS_BACK), timedelta(days=DAYS_AHEAD)
    near = (row for row in rows if -back <= row.occurred_at - row.recorded_at <= ahead)
    return sorted({row.occurred_at.astimezone(UTC).date() for row in near})


def indexed(text: str | None) -> str | None:
    """A code or user id as the index holds it: whole if it is short, else its beginning and a
    digest. PostgreSQL keeps no NUL characters, and none can be asked for."""
    if text is None or (len(text) <= MAX_TEXT and "\0" not in text):
        return text
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{text[: MAX_TEXT - len(digest)]}{digest}".replace("\0", "\N{REPLACEMENT CHARACTER}")


# -- queries -------------------------------------------------------------------------------------

Rows = Callable[[LiteralString, dict[str, Any]], Awaitable[Sequence[tuple[Any, ...]]]]
"""Asks PostgreSQL: statement, arguments -> rows. Raises Unavailable."""


class Place(NamedTuple):
    """Where an occurrence stands in lists: newest first, the later position first."""

    occurred_at: datetime
    position: int


class OccurrenceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Occurrences of one application from `since` until before `until` (None: no end)."""

    app: str
    since: datetime
    until: datetime | None = None
    code: str | None = None
    user_id: str | None = None


class IndexPage(msgspec.Struct, frozen=True):
    """A page of places, and whether there are more behind it."""

    places: list[Place]
    more: bool


_CLAUSES: tuple[tuple[str, LiteralString], ...] = (
    ("until", "occurred_at < %(until)s"),
    ("code", "code = %(code)s"),
    ("user_id", "user_id = %(user_id)s"),
    # Said twice: the first prunes partitions, the second decides.
    ("at", "occurred_at <= %(at)s AND (occurred_at, position) < (%(at)s, %(before)s)"),
)
# As of a position: what stood there by then, and was deleted only later. The two tables are joined
# without conditions of their own, for only then does PostgreSQL read both in the list's order.
_THEN: LiteralString = """
WITH occurrences AS NOT MATERIALIZED (
  SELECT app, occurred_at, position, code, user_id, NULL::bigint AS deletion FROM occurrences
  UNION ALL
  SELECT app, occurred_at, position, code, user_id, deletion FROM occurrences_deleted
) """
_THERE_THEN: LiteralString = (
    " AND position <= %(then)s AND occurred_at <= %(latest)s"
    " AND (deletion IS NULL OR deletion > %(then)s)"
)
_SELECT: LiteralString = (
    "SELECT occurred_at, position FROM occurrences WHERE app = %(app)s AND occurred_at >= %(since)s"
)
_ORDER: LiteralString = (
    " ORDER BY occurred_at DESC, position DESC LIMIT %(limit)s OFFSET %(offset)s"
)
_HOLDS = (
    "SELECT 1 FROM occurrences"
    " WHERE app = %(app)s AND occurred_at = %(at)s AND position = %(position)s"
)
_DISTINCT = (
    "SELECT count(DISTINCT code), count(DISTINCT user_id) FROM occurrences"
    " WHERE app = %(app)s AND occurred_at >= %(since)s AND occurred_at < %(until)s"
)


class Then(NamedTuple):
    """A moment of the past: where the log ended, and up to when things had happened."""

    position: int
    latest: datetime


class OccurrenceIndexQueries:
    """Reads the index as it is, or as it was `then`."""

    def __init__(self, rows: Rows, then: Then | None = None) -> None:
        self._rows = rows
        self._then = then

    def as_of(self, position: int, at: datetime) -> OccurrenceIndexQueries:
        """The index as it was when the log ended at a position, and the clock said `at`. The index
        itself must have come so far.

        Nothing is believed that was stamped more than two days ahead of that (and no application
        can say so), or else all that has come since would have to be gone through."""
        return OccurrenceIndexQueries(self._rows, Then(position, at + timedelta(days=DAYS_AHEAD)))

    async def page(
        self, wanted: OccurrenceFilter, *, after: Place | None, offset: int, limit: int
    ) -> IndexPage:
        """Up to `limit` places behind `after` and `offset` more, newest first."""
        arguments = msgspec.structs.asdict(wanted)
        arguments |= {"limit": limit + 1, "offset": offset, "at": None}
        if after is not None:
            arguments |= {"at": after.occurred_at, "before": after.position}
        statement = _SELECT
        for name, clause in _CLAUSES:
            if arguments[name] is not None:
                statement += " AND " + clause
        found = [Place(*row) for row in await self._ask(statement, arguments, _ORDER)]
        return IndexPage(found[:limit], len(found) > limit)

    async def holds(self, app_id: str, place: Place) -> bool:
        """Whether an occurrence is there, and its error not deleted since."""
        arguments = {"app": app_id, "at": place.occurred_at, "position": place.position}
        return bool(await self._ask(_HOLDS, arguments))

    async def distinct(self, app_id: str, since: datetime, until: datetime) -> tuple[int, int]:
        """How many different codes and users there are from `since` until before `until`."""
        arguments = {"app": app_id, "since": since, "until": until}
        ((codes, users),) = await self._ask(_DISTINCT, arguments)
        return codes, users

    async def _ask(
        self, statement: LiteralString, arguments: dict[str, Any], order: LiteralString = ""
    ) -> Sequence[tuple[Any, ...]]:
        """What a statement answers that ends with its conditions; in an order, if one follows."""
        if self._then is None:
            return await self._rows(statement + order, arguments)
        arguments |= {"then": self._then.position, "latest": self._then.latest}
        return await self._rows(_THEN + statement + _THERE_THEN + order, arguments)
