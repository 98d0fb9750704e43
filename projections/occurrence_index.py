"""The read model of single occurrences: where in the log each stands, by time, code and user.

It is history, too large for Redis, so it lives in PostgreSQL: the table `occurrences`, partitioned
by the day on which things happened (UTC). A row holds what lists are asked for and a position; the
payload stays in the log. A deleted error takes its rows along.

Days get partitions as they are met, if the stamp is not far from the day of its report; a clock
that is years off must not open thousands of them, so all such rows share the default partition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from struct import Struct
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import msgspec

from domain import (
    alert,
    alert_rule,
    api_key,
    app,
    check,
    delivery,
    error_group,
    incident,
    integration,
    member,
    service,
    source_maps,
)
from domain.error_group import ErrorDeleted, ErrorReported
from domain.message import Recorded
from projections.binary_copy import copied, moment_field, text_field
from projections.projection import Indigestible, PostgresReadModel, Statement

DAYS_BACK = 400
DAYS_AHEAD = 2
"""A stamp so many days before or after its report's has a day of its own."""

MAX_TEXT = 200
"""Characters of a code or user id that the index holds; nobody can ask for longer ones."""

_OPEN_DAYS = "SELECT occurrences_open_days(%s::date[])"
_DELETE = "DELETE FROM occurrences WHERE error_id = ANY(%s)"
_COPY = (
    "COPY occurrences (app, occurred_at, position, error_id, code, user_id)"
    " FROM STDIN (FORMAT BINARY)"
)
_COLUMNS = Struct("!h").pack(6)
_pack_place = Struct("!iqi16s").pack


class OccurrenceIndex(PostgresReadModel):
    """Keeps where each occurrence stands."""

    name = "occurrences"
    version = 1
    folds = frozenset({ErrorReported, ErrorDeleted})
    ignores = (
        (error_group.EVENTS - folds)
        | app.EVENTS
        | api_key.EVENTS
        | member.EVENTS
        | integration.EVENTS
        | alert_rule.EVENTS
        | incident.EVENTS
        | check.EVENTS
        | service.EVENTS
        | source_maps.EVENTS
        | alert.EVENTS
        | delivery.EVENTS
    )
    emptied_by = "TRUNCATE occurrences"

    def fold(self, events: Sequence[Recorded[Any]]) -> list[Statement]:
        """The statements that bring the index from before `events` to after them.

        Raises Indigestible for an event that is neither folded nor ignored."""
        rows: list[_Row] = []
        deleted: dict[UUID, int] = {}
        for recorded in events:
            match recorded.event:
                case ErrorReported():
                    rows.append(_row(recorded))
                case ErrorDeleted():
                    deleted[recorded.stream_id] = recorded.position
                case event if type(event) not in self.ignores:
                    raise Indigestible(recorded, "occurrences neither folds nor ignores it")
        statements: list[Statement] = []
        if deleted:
            statements.append((_DELETE, (sorted(deleted),)))
            rows = [row for row in rows if row.position > deleted.get(row.error_id, 0)]
        if rows:
            statements.append((_OPEN_DAYS, (_days(rows),)))
            statements.append((_COPY, (copied(map(_fields, rows)),)))
        return statements


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
    """A row as COPY takes it."""
    return b"".join(
        (
            _COLUMNS,
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


class OccurrenceIndexQueries:
    """Reads the index."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

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
        found = [Place(*row) for row in await self._rows(statement + _ORDER, arguments)]
        return IndexPage(found[:limit], len(found) > limit)

    async def holds(self, app_id: str, place: Place) -> bool:
        """Whether an occurrence is there, and its error not deleted since."""
        arguments = {"app": app_id, "at": place.occurred_at, "position": place.position}
        return bool(await self._rows(_HOLDS, arguments))

    async def distinct(self, app_id: str, since: datetime, until: datetime) -> tuple[int, int]:
        """How many different codes and users there are from `since` until before `until`."""
        arguments = {"app": app_id, "since": since, "until": until}
        ((codes, users),) = await self._rows(_DISTINCT, arguments)
        return codes, users
