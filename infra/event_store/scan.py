"""Going through the log for what somebody wants to see: PostgreSQL and the archives as one.

There is an index on streams and on positions, none on who did what: those are found by looking at
every event of the range, a bounded number at a time, so that nobody waits for long. A page is
bounded by bytes as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import LiteralString, NamedTuple
from uuid import UUID

import msgspec

from domain.catalog import EVENTS
from domain.history import Wanted, apps_of
from infra.event_store import statements as sql
from infra.event_store.codec import Row, UnknownEvent, from_row
from infra.event_store.past import PastLog
from infra.event_store.reader import HoleInLog

WINDOW_EVENTS = 20_000
"""How many positions one statement looks at: a tenth of a second, on a busy machine some."""
PAGE_BYTES = 4 << 20
"""A page ends with the event that reaches this size."""

_LAST = 2**63 - 1
_KNOWN = "SELECT FROM streams WHERE stream_id = %s"
_encode = msgspec.json.Encoder().encode


class Scanned(NamedTuple):
    """What was found, in the order asked for, and how far it was looked: every position up to
    `reached`, or down to it, has been gone through, itself included."""

    rows: list[Row]
    reached: int


def _plainly() -> tuple[list[str], list[str]]:
    """The events whose application stands in their text as `"app":"..."`, and those whose own is
    further inside or may be left out."""
    plain, within = [], []
    for name, event in EVENTS.items():
        fields = {field.name: field for field in msgspec.structs.fields(event)}
        if "app" in fields and fields["app"].required:
            plain.append(name)
        elif fields.keys() & {"app", "settings", "facts"}:
            within.append(name)
    return plain, within


_APPS_PLAIN, _APPS_WITHIN = _plainly()
_ORDERS: Mapping[tuple[bool, bool], LiteralString] = MappingProxyType(
    {
        # (backwards, one stream): a stream's versions go up with its positions, and have an index
        (False, False): sql.SCAN,
        (True, False): sql.SCAN.replace("ORDER BY position", "ORDER BY position DESC"),
        (False, True): sql.SCAN.replace("ORDER BY position", "ORDER BY stream_version"),
        (True, True): sql.SCAN.replace("ORDER BY position", "ORDER BY stream_version DESC"),
    }
)


class LogScan(PastLog):
    """The log, to be gone through. For one thread, as long as the block lasts."""

    def __enter__(self) -> LogScan:
        return self

    def forward(self, wanted: Wanted, after: int, until: int, limit: int) -> Scanned:
        """The next wanted events after a position, up to `until`. Raises HoleInLog where it can
        see one: when all events are wanted. Raises ArchiveDamaged."""
        upper = until if self._indexed(wanted) else min(until, after + WINDOW_EVENTS)
        rows, reached = self._select(wanted, after, upper, limit, backwards=False)
        if self._archived_at(after + 1):
            return self._forward_archived(wanted, after, until, limit)
        if wanted.everything:
            _check_whole(rows, after, reached)
        return Scanned([row for row in rows if lets_through(wanted, row)], reached)

    def back(self, wanted: Wanted, before: int, after: int, limit: int) -> Scanned:
        """The last wanted events before a position and after another, newest first."""
        lower = after if self._indexed(wanted) else max(after, before - 1 - WINDOW_EVENTS)
        rows, reached = self._select(wanted, lower, before - 1, limit, backwards=True)
        if self._archived_at(max(reached, 1)):
            return self._back_partly_archived(wanted, before, lower, limit)
        return Scanned([row for row in rows if lets_through(wanted, row)], reached)

    def bounds(self, wanted: Wanted) -> tuple[int, int]:
        """The positions (after, until] that hold what is wanted, by its times and positions."""
        after, until = wanted.after, self.head()
        if wanted.before is not None:
            until = min(until, wanted.before - 1)
        if wanted.until is not None:
            until = min(until, self.position_at(wanted.until))
        if wanted.since is not None:
            after = max(after, self.position_at(wanted.since - timedelta.resolution))
        return after, max(after, until)

    def has_stream(self, stream_id: UUID) -> bool:
        """Whether there is a stream of this id, wherever its events are by now."""
        return self._connection.execute(_KNOWN, (stream_id,)).fetchone() is not None

    def weight(self, stream_id: UUID, version: int) -> int | None:
        """The bytes of a stream up to a version; None where its beginning has been archived."""
        found = self._connection.execute(sql.WEIGH_STREAM, (stream_id, version)).fetchone()
        assert found is not None
        return int(found[1]) if found[0] == 1 else None

    def _indexed(self, wanted: Wanted) -> bool:
        """Whether what is wanted can be found without looking at every event: one stream, as long
        as nothing has been archived."""
        return wanted.stream_id is not None and not self._archived_at(1)

    def _select(
        self, wanted: Wanted, after: int, until: int, limit: int, *, backwards: bool
    ) -> tuple[list[Row], int]:
        """Rows in PostgreSQL, and how far they go."""
        arguments = {
            "after": after,
            "until": until,
            "limit": limit,
            "bytes": PAGE_BYTES,
            "stream_id": wanted.stream_id,
            "names": None if wanted.names is None else list(wanted.names),
            "actor": _json_field("actor", wanted.actor),
            "correlation": _json_field("correlation_id", wanted.correlation_id),
            "app": _json_field("app", wanted.app),
            "apps_plain": _APPS_PLAIN,
            "apps_within": _APPS_WITHIN,
        }
        statement = _ORDERS[backwards, wanted.stream_id is not None]
        cursor = self._connection.cursor(binary=True)
        # Planned each time, with its arguments known: most conditions are none then.
        found = cursor.execute(statement, arguments, prepare=False).fetchall()
        rows = [Row(*row[:-1]) for row in found]
        more = bool(found) and (len(rows) == limit or len(rows) < found[0][-1])
        end = after + 1 if backwards else until
        return rows, rows[-1].position if more else end

    def _archived_at(self, position: int) -> bool:
        """Whether a position has left PostgreSQL by now. To be asked after the rows: they may have
        left meanwhile."""
        self._archived.look(self._connection)
        return self._archived.holds(position)

    def _forward_archived(self, wanted: Wanted, after: int, until: int, limit: int) -> Scanned:
        rows: list[Row] = []
        reached, size = after, 0
        for row in self._archived.page(after, min(WINDOW_EVENTS, until - after)):
            if len(rows) == limit or size >= PAGE_BYTES:
                break
            reached = row.position
            if lets_through(wanted, row):
                rows.append(row)
                size += len(row.data)
        return Scanned(rows, reached)

    def _back_partly_archived(self, wanted: Wanted, before: int, lower: int, limit: int) -> Scanned:
        """The same for a range whose beginning at least has been archived."""
        found: deque[Row] = deque(maxlen=limit)
        seen, after = 0, lower
        while after < before - 1:
            part = self.forward(wanted, after, before - 1, limit)
            found.extend(part.rows)
            seen += len(part.rows)
            after = part.reached
        rows = list(reversed(found))
        return Scanned(rows, rows[-1].position if seen > len(rows) else lower + 1)


def lets_through(wanted: Wanted, row: Row) -> bool:
    """Whether an event is wanted, its place in the log aside. One that cannot be read belongs to
    no application that we know."""
    if wanted.stream_id not in (None, row.stream_id):
        return False
    if wanted.names is not None and row.name not in wanted.names:
        return False
    if wanted.actor is None and wanted.correlation_id is None and wanted.app is None:
        return True
    try:
        recorded = from_row(row)
    except UnknownEvent:
        return False
    context = recorded.context
    return (
        wanted.actor in (None, context.actor)
        and wanted.correlation_id in (None, context.correlation_id)
        and (wanted.app is None or wanted.app in apps_of(recorded.event))
    )


def _json_field(name: str, value: str | None) -> bytes | None:
    """A field as it stands in JSON that we have written."""
    return None if value is None else b'"%b":%b' % (name.encode(), _encode(value))


def _check_whole(rows: list[Row], after: int, reached: int) -> None:
    for expected, row in enumerate(rows, start=after + 1):
        if row.position != expected:
            raise HoleInLog(expected, row.position)
    if reached != after + len(rows):
        raise HoleInLog(after + len(rows) + 1, None)
