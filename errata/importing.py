"""Import: JSON lines of either API's shape become reports, stored like any others. No printing.

What has an id is known by it; what has none gets one that follows from the application, the text
of its line and the line's number. So an import may be broken off and repeated: nothing is stored
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import IO, NamedTuple
from uuid import UUID, uuid4

import msgspec

from api.failures import BadRequest
from api.ingest import read_batch, to_commands
from api.intake import Sender, read_report, to_command
from api.json_text import check_text
from domain import app as apps
from domain.error_group import ReportError
from domain.failures import DomainError, Unavailable
from domain.message import Context, derived_id
from domain.occurrence import NULL
from domain.scrubbing import Scrubber
from domain.vocabulary import DEFAULT_APP
from infra.event_store.store import EventStore

ACTOR = "system:import"
MAX_LINE = 16_777_216
"""Bytes: as much as a batch may have."""
BATCH_LINES = 500

_ABSENT = msgspec.Raw()


class Line(NamedTuple):
    """One line of the file, with its number from 1; `size` in bytes. Of one that is too long, no
    text is kept."""

    number: int
    size: int
    text: bytes | None


class BadLine(NamedTuple):
    """A line that was not stored, and why, with the field's name where one is wrong."""

    number: int
    reason: str


class Progress(NamedTuple):
    """What has been done: bytes read; reports stored, known before; lines that are bad."""

    size: int = 0
    stored: int = 0
    known: int = 0
    bad: int = 0


class _Marks(msgspec.Struct, frozen=True, rename="camel"):
    """What only events have."""

    app_id: msgspec.Raw = _ABSENT
    platform: msgspec.Raw = _ABSENT


class _OfApp(msgspec.Struct, frozen=True, rename="camel"):
    app_id: str = ""


_marks = msgspec.json.Decoder(_Marks).decode
_app = msgspec.json.Decoder(_OfApp).decode
_fields: Callable[[bytes], dict[str, msgspec.Raw]] = msgspec.json.Decoder(
    dict[str, msgspec.Raw]
).decode


def lines_of(file: IO[bytes]) -> Iterator[Line]:
    """The lines of a file, blank ones too, each held in memory alone."""
    number = 0
    while text := file.readline(MAX_LINE + 1):
        number += 1
        size = len(text)
        if size <= MAX_LINE or text.endswith(b"\n"):
            yield Line(number, size, text)
            continue
        while text and not text.endswith(b"\n"):
            text = file.readline(MAX_LINE)
            size += len(text)
        yield Line(number, size, None)


class Reading:
    """Turns lines into commands: for `app`, or else for the application that each line names."""

    def __init__(
        self,
        app: str | None,
        registered: Iterable[str],
        scrub: Scrubber,
        clock: Callable[[], datetime],
    ) -> None:
        self._app = app
        self._registered = frozenset(registered)
        self._scrub = scrub
        self._clock = clock

    def command(self, line: Line) -> ReportError | None:
        """The command of a line, None for a blank one. Raises BadRequest."""
        if line.text is None:
            raise BadRequest(f"the line is longer than {MAX_LINE:,} bytes")
        text = line.text.strip()
        if not text:
            return None
        check_text(text)
        if self._is_event(text):
            return self._event(text, line.number)
        return self._report(text, line.number)

    @staticmethod
    def _is_event(text: bytes) -> bool:
        try:
            marks = _marks(text)
        except msgspec.DecodeError:
            return False  # whatever is wrong with it, reading it as a report says so
        return bool(marks.app_id or marks.platform)

    def _report(self, text: bytes, number: int) -> ReportError:
        report = read_report(text)
        app = self._known(self._app or report.app or DEFAULT_APP, "app")
        command = to_command(report, app, Sender(), self._scrub, self._clock())
        if command.event_id is None:
            command = msgspec.structs.replace(command, event_id=_line_id(app, text, number))
        return command

    def _event(self, text: bytes, number: int) -> ReportError:
        try:
            body = b'{"events":[%b]}' % self._completed(text, number)
            (event,) = read_batch(body)
            app = self._known(self._app or event.app_id, "appId")
            (command,) = to_commands([event], 0, app, self._scrub, self._clock())
        except BadRequest as error:
            raise BadRequest(error.text.replace("events[0].", "")) from None
        return command

    def _completed(self, text: bytes, number: int) -> bytes:
        """An event's text with the id and the application that it lacks."""
        try:
            fields = _fields(text)
            app = self._app or _app(text).app_id
        except msgspec.DecodeError:
            return text  # whatever is wrong with it, reading it as an event says so
        added = {}
        if fields.get("id", NULL) == NULL:
            added["id"] = msgspec.Raw(msgspec.json.encode(_line_id(app, text, number)))
        if self._app and fields.get("appId", NULL) == NULL:
            added["appId"] = msgspec.Raw(msgspec.json.encode(self._app))
        return msgspec.json.encode(fields | added) if added else text

    def _known(self, app: str, field: str) -> str:
        if app not in self._registered:
            raise BadRequest.field(field, f"{app!r} is not a registered application")
        return app


class Import:
    """One import into a started event store. `on_bad` hears of every bad line, `on_progress` of
    every batch."""

    def __init__(
        self,
        store: EventStore,
        reading: Reading,
        on_bad: Callable[[BadLine], None],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._store = store
        self._reading = reading
        self._on_bad = on_bad
        self._on_progress = on_progress
        self._context = Context(ACTOR, correlation_id=str(uuid4()), causation_id=str(uuid4()))
        self._done = Progress()
        self._batch: list[tuple[int, ReportError]] = []

    async def run(self, lines: Iterable[Line]) -> Progress:
        """Store what the lines hold, some hundred at a time. Raises Unavailable when the store
        goes away: what was stored by then is known the next time."""
        size = batch_size = 0
        for line in lines:
            size += line.size
            batch_size += line.size
            self._read(line)
            if len(self._batch) >= BATCH_LINES or batch_size >= MAX_LINE:
                await self._flush(size)
                batch_size = 0
        await self._flush(size)
        return self._done

    def _read(self, line: Line) -> None:
        try:
            command = self._reading.command(line)
        except BadRequest as error:
            self._refuse(line.number, error.text)
        else:
            if command is not None:
                self._batch.append((line.number, command))

    async def _flush(self, size: int) -> None:
        batch, self._batch = self._batch, []
        try:
            await self._store_all([command for _, command in batch])
        except Unavailable:
            raise
        except DomainError:
            # One refusal takes a whole batch back: those that may be stored go alone.
            for number, command in batch:
                await self._store_one(number, command)
        self._done = self._done._replace(size=size)
        self._on_progress(self._done)

    async def _store_one(self, number: int, command: ReportError) -> None:
        try:
            await self._store_all([command])
        except Unavailable:
            raise
        except DomainError as error:
            self._refuse(number, str(error))

    async def _store_all(self, commands: list[ReportError]) -> None:
        committed = await self._store.execute_all(commands, self._context)
        known = sum(one.known is not None for one in committed)
        self._done = self._done._replace(
            stored=self._done.stored + len(committed) - known, known=self._done.known + known
        )

    def _refuse(self, number: int, reason: str) -> None:
        self._done = self._done._replace(bad=self._done.bad + 1)
        self._on_bad(BadLine(number, reason))


async def registered_apps(store: EventStore) -> list[str]:
    """The applications there are, as the log knows them."""
    return [state.app for state in await store.reader.states_of(apps.decider.kind)]


def _line_id(app: str, text: bytes, number: int) -> UUID:
    return derived_id("import", app, sha256(text).hexdigest(), str(number))
