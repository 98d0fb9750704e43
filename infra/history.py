"""Histories and the audit trail, read from the log: pages for people, whole files for auditors.

What an event changed is found by folding its stream from the beginning, as far as that is near
enough: a page has bounds on how many events it looks at and folds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from time import monotonic
from typing import Any, TypeVar

import msgspec
import psycopg

from domain.catalog import KINDS
from domain.failures import NotFound, Unavailable
from domain.history import (
    KIND_OF_EVENT,
    AuditEntry,
    AuditPage,
    Entry,
    HistoryPage,
    Subject,
    Wanted,
    entries,
)
from domain.message import Context, Event, Recorded
from infra.audit_file import (
    Format,
    Header,
    Trailer,
    Writer,
    event_line,
    history_line,
    shown_data,
)
from infra.event_store.archive import Archive, ArchiveDamaged
from infra.event_store.codec import Row, UnknownEvent, from_row
from infra.event_store.reader import HoleInLog
from infra.event_store.scan import LogScan

T = TypeVar("T")

FOLDED_EVENTS = 20_000
"""Events of one stream that are folded for a page of its history, at most."""
USUAL_BYTES = 5_000
"""Of an event: as many times as large, a stream counts for as many times the events."""
FOLDED_FOR_TRAIL = 2_000
FOLDED_FOR_TRAIL_BYTES = 4 << 20
"""Events of all streams together that are folded for a page of the audit trail; bytes of each."""
PATIENCE = 1.0
"""Seconds after which a page of the trail is given as far as it has come."""
ANSWER_SECONDS = 30.0
"""Seconds after which a page is given up: none takes so long, unless PostgreSQL is silent."""
TEAM_EVENTS = 500
"""Events of the team that are read at once to find those of one member."""
CHUNK_EVENTS = 500
"""Events in memory while a file is made; the pages of the log are bounded by bytes besides."""

_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, OSError)
_DAMAGED = (ArchiveDamaged, HoleInLog, UnknownEvent)


# -- pages ---------------------------------------------------------------------------------------


def newest_of(log: LogScan, subject: Subject, until: int | None = None) -> Recorded[Any] | None:
    """The last event about a subject, in the log up to a position if one is given; None where there
    is none."""
    return next(_back(log, subject, None, 1, until), None)


def history_page(
    log: LogScan,
    subject: Subject,
    before: int | None,
    limit: int,
    folded: int = FOLDED_EVENTS,
    until: int | None = None,
) -> HistoryPage:
    """Up to `limit` entries below a version of the stream, newest first, in the log up to a
    position if one is given; without their changes where more than `folded` events would have to
    be folded for them."""
    found = list(islice(_back(log, subject, before, limit + 1, until), limit + 1))
    page, more = found[:limit], len(found) > limit
    following = page[-1].stream_version if more else None
    if not page:
        return HistoryPage([], None)
    newest, oldest = page[0], page[-1]
    weight = log.weight(subject.stream_id, newest.stream_version) or 0
    if newest.stream_version > folded or weight > folded * USUAL_BYTES:
        return HistoryPage([Entry(one, None) for one in page], following)
    whole = log.stream(subject.stream_id, newest.position)
    kept = list(_from_version(subject, whole, oldest.stream_version))
    return HistoryPage(kept[::-1], following)


def _from_version(
    subject: Subject, events: Iterable[Recorded[Any]], version: int
) -> Iterator[Entry]:
    """The entries of a stream from a version on; what is before it is folded only."""
    decider = KINDS[subject.kind]
    state = decider.initial
    following = iter(events)
    for recorded in following:
        if recorded.stream_version >= version:
            yield from entries(subject, chain((recorded,), following), state)
            return
        state = decider.evolve(state, recorded)


def _back(
    log: LogScan, subject: Subject, before: int | None, page: int, until: int | None
) -> Iterator[Recorded[Any]]:
    """A subject's events, newest first."""
    if not log.has_stream(subject.stream_id):
        return  # no archive has to be searched
    head = log.head() if until is None else until
    if subject.member_id is not None:
        page = max(page, TEAM_EVENTS)  # theirs are few among the team's
    while found := log.stream_back(subject.stream_id, before, page, head):
        if KIND_OF_EVENT.get(found[0].name) != subject.kind:
            return  # so are all others of the stream
        yield from (one for one in found if subject.involved(one))
        before = found[-1].stream_version
        if before <= 1:
            return


def trail_page(
    log: LogScan, wanted: Wanted, reached: int | None, limit: int, *, backwards: bool
) -> AuditPage:
    """Up to `limit` entries of the log, going on from `reached`."""
    after, until = log.bounds(wanted)
    if reached is not None:
        after, until = (
            (after, min(until, reached - 1))
            if backwards
            else (
                max(after, reached),
                until,
            )
        )
    rows: list[Row] = []
    deadline = monotonic() + PATIENCE
    while after < until and len(rows) < limit and monotonic() < deadline:
        if backwards:
            page = log.back(wanted, until + 1, after, limit - len(rows))
            until = page.reached - 1
        else:
            page = log.forward(wanted, after, until, limit - len(rows))
            after = page.reached
        rows += page.rows
    more = after < until
    following = (until + 1 if backwards else after) if more else None
    return AuditPage(_with_changes(log, rows), following)


def _with_changes(log: LogScan, rows: list[Row]) -> list[AuditEntry]:
    """What each event changed, short streams first, until enough has been folded."""
    recorded = [_recorded(row) for row in rows]
    in_order = sorted(recorded, key=lambda one: one.position)
    last = {one.stream_id: one for one in in_order}
    first = {one.stream_id: one.stream_version for one in reversed(in_order)}
    known: dict[int, Entry] = {}
    budget = FOLDED_FOR_TRAIL
    for one in sorted(last.values(), key=lambda one: one.stream_version):
        budget -= one.stream_version
        kind = KIND_OF_EVENT.get(one.name, "")
        if budget < 0 or kind not in KINDS:
            break
        weight = log.weight(one.stream_id, one.stream_version)
        if weight is not None and weight <= FOLDED_FOR_TRAIL_BYTES:
            events = log.stream(one.stream_id, one.position)
            folded = _from_version(Subject(kind, one.stream_id), events, first[one.stream_id])
            known |= {entry.recorded.position: entry for entry in folded}
    return [
        AuditEntry(known.get(one.position, Entry(one, None)), shown_data(row))
        for one, row in zip(recorded, rows, strict=True)
    ]


def _recorded(row: Row) -> Recorded[Any]:
    """The event of a row; of one that cannot be read its envelope."""
    try:
        return from_row(row)
    except UnknownEvent:
        return Recorded(*row[:6], Context("", "", ""), Event())


# -- files ---------------------------------------------------------------------------------------


class Export:
    """A file in the making; `chunks` once, from the header to the trailer."""

    def __init__(self, header: Header, form: Format, lines: Callable[[Writer], Iterator[bytes]]):
        self.header = header
        self._writer = Writer(header, form)
        self._lines = lines

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes. Raises psycopg.Error, HoleInLog, ArchiveDamaged, UnknownEvent."""
        yield self._writer.begin()
        yield from self._lines(self._writer)
        yield self._writer.end()

    def trailer(self) -> Trailer:
        """What its last line says, once it is made."""
        return self._writer.trailer()

    def broken_off(self, reason: str) -> bytes:
        """What stands at the end of a file that could not be finished."""
        return self._writer.broken_off(reason)


def events_export(log: LogScan, wanted: Wanted, form: Format, *, verbatim: bool = False) -> Export:
    """All wanted events up to the head as it is now."""
    after, until = log.bounds(wanted)
    header = Header(
        what="events", after=after, until=until, verbatim=verbatim, filter=_described(wanted)
    )

    def lines(writer: Writer) -> Iterator[bytes]:
        reached = after
        while reached < until:
            page = log.forward(wanted, reached, until, CHUNK_EVENTS)
            reached = page.reached
            # Nothing is a piece too: whoever sends the file looks whether anybody still wants it.
            yield writer.lines(event_line(row, verbatim=verbatim) for row in page.rows)

    return Export(header, form, lines)


def history_export(
    log: LogScan, subject: Subject, form: Format, until: int | None = None
) -> Export:
    """The whole history of one subject, oldest first, up to a position, or else to the head as it
    is now. Raises NotFound where it has none."""
    head = log.head() if until is None else until
    if newest_of(log, subject, head) is None:
        raise NotFound("nothing has happened to it: there is no such thing")
    described = msgspec.to_builtins(subject)
    header = Header(what="history", after=0, until=head, filter=described)

    def lines(writer: Writer) -> Iterator[bytes]:
        whole = entries(subject, log.stream(subject.stream_id, head))
        while some := list(islice(whole, CHUNK_EVENTS)):
            yield writer.lines(map(history_line, some))

    return Export(header, form, lines)


def _described(wanted: Wanted) -> dict[str, Any]:
    """A filter in plain words, without what any event fulfils."""
    fields: dict[str, Any] = msgspec.to_builtins(wanted)
    for bound in ("after", "before"):
        del fields[bound]
    if wanted.names is not None:
        fields["names"] = sorted(wanted.names)
    return {name: value for name, value in fields.items() if value is not None}


# -- for servers ---------------------------------------------------------------------------------


class History:
    """The same for an event loop; histories end at the position `until`, if one is given. Raises
    Unavailable while PostgreSQL is away or where the log or an archive is damaged."""

    def __init__(self, database_url: str, archive: Archive, until: int | None = None) -> None:
        self._url = database_url
        self._archive = archive
        self._until = until

    def as_of(self, position: int) -> History:
        """The histories as they were when the log ended there."""
        return History(self._url, self._archive, position)

    async def newest(self, subject: Subject) -> Recorded[Any] | None:
        """The last event about a subject; None where there is none."""
        return await self._ask(lambda log: newest_of(log, subject, self._until))

    async def of(self, subject: Subject, before: int | None, limit: int) -> HistoryPage:
        """A page of a subject's history, below a version of its stream."""
        return await self._ask(
            lambda log: history_page(log, subject, before, limit, until=self._until)
        )

    async def trail(
        self, wanted: Wanted, reached: int | None, limit: int, *, backwards: bool
    ) -> AuditPage:
        """A page of the whole log, going on from a position."""
        return await self._ask(
            lambda log: trail_page(log, wanted, reached, limit, backwards=backwards)
        )

    def file_of(self, subject: Subject, form: Format) -> AsyncIterator[bytes]:
        """A subject's whole history as a file. Raises NotFound where it has none."""
        return self._file(lambda log: history_export(log, subject, form, self._until))

    def file(self, wanted: Wanted, form: Format) -> AsyncIterator[bytes]:
        """All wanted events as a file."""
        return self._file(lambda log: events_export(log, wanted, form))

    async def _ask(self, question: Callable[[LogScan], T]) -> T:
        def ask() -> T:
            with (
                translated(),
                LogScan(self._url, self._archive) as log,
                log.hung_up_after(ANSWER_SECONDS),
            ):
                return question(log)

        return await asyncio.to_thread(ask)

    def _file(self, export: Callable[[LogScan], Export]) -> AsyncIterator[bytes]:
        def chunks() -> Iterator[bytes]:
            with translated(), LogScan(self._url, self._archive) as log:
                whole = export(log)
                yield from until_broken_off(whole)

        return in_threads(chunks())


def until_broken_off(export: Export) -> Iterator[bytes]:
    """A file's bytes; where it cannot be finished it says so at its end."""
    chunks = iter(export.chunks())
    yield next(chunks)
    try:
        yield from chunks
    except (psycopg.Error, *_AWAY, *_DAMAGED) as error:
        yield export.broken_off(" ".join(str(error).split()))


async def in_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """What a generator gives, each step in some thread; it is closed with this one."""
    step: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
            # Shielded, for a step goes on to its end whatever happens to who waits for it.
            chunk = await asyncio.shield(step)
            if chunk is None:
                return
            yield chunk
    finally:
        if step is not None and not step.done():
            await asyncio.wait({step})
        await asyncio.to_thread(_close, chunks)


def _close(chunks: Iterable[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()


@contextmanager
def translated() -> Iterator[None]:
    """Failures of the log as the API knows them."""
    try:
        yield
    except _DAMAGED as error:
        raise Unavailable("log", " ".join(str(error).split()), retry_after=60) from error
    except _AWAY as error:
        raise Unavailable("postgres", "the event store cannot be reached") from error
