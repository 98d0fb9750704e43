"""Folds pages of the log for projections.filling: in this process, or in others beside it.

Another process is asked over a pipe, one length-prefixed MessagePack message for each page, and
ends when the pipe does: it outlives nobody. It holds nothing but a connection of its own.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import IO, Any

import msgspec
import psycopg

from domain.message import Recorded
from infra.event_store.archive import Archive, ArchiveDamaged, ArchivedLog
from infra.event_store.codec import UnknownEvent, from_row
from infra.event_store.pages import PAGE_EVENTS, weight
from infra.event_store.reader import HoleInLog, read_page
from projections.filling import Folded, Folder, Request, fold_page, joined, model_name
from projections.projection import RedisReadModel
from projections.registry import READ_MODELS

MOST_PROCESSES = 4
WORTH_PROCESSES = 50_000
"""Events from which on the half second of processor that a process takes to start is worth it."""

MOST_BYTES = 64 << 20
"""Of events that are folded at once: more than the largest page of usual ones comes to."""

STOP_SECONDS = 5.0

_LENGTH = 8
"""Bytes in which a message's length goes before it."""


class FolderEnded(ConnectionError):
    """A folding process has ended; what it said is on stderr. Ask others."""


class Source(msgspec.Struct, frozen=True):
    """Where a log is: its database, and its archive."""

    database_url: str
    archive: str


class Here:
    """A folder in this process. What it was asked for is folded when the answer is wanted."""

    def __init__(self, source: Source, models: Sequence[RedisReadModel] = READ_MODELS) -> None:
        self._archived = ArchivedLog(Archive(source.archive))
        self._connection = psycopg.connect(
            source.database_url, autocommit=True, application_name="errata fold", connect_timeout=3
        )
        self._models = {model.name: model for model in models}
        self._asked = deque[Request]()

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()

    def ask(self, request: Request) -> None:
        """Note a page."""
        self._asked.append(request)

    def answer(self) -> Folded:
        """Read, decode and fold the oldest page that was asked for. Raises psycopg.Error."""
        request = self._asked.popleft()
        names = [model_name(keyspace) for keyspace in request.keyspaces]
        if unknown := [name for name in names if name not in self._models]:
            return Folded(request, failure=f"no read model {unknown[0]!r}")
        models = [self._models[name] for name in names]
        with _without_collector():
            try:
                pages = self._pages(request)
                return joined(request, (fold_page(models, request, events) for events in pages))
            except (UnknownEvent, HoleInLog, ArchiveDamaged) as error:
                return Folded(request, failure=str(error))

    def _pages(self, request: Request) -> Iterator[list[Recorded[Any]]]:
        """The events asked for: all at once, unless they are large."""
        events: list[Recorded[Any]] = []
        size, position = 0, request.start
        while position < request.end:
            # In small pieces: memory that was just used is still near the processor.
            rows = read_page(
                self._connection,
                after=position,
                limit=PAGE_EVENTS,
                until=request.end,
                archived=self._archived,
            )
            events += map(from_row, rows)
            position += len(rows)
            size += weight(rows)
            if size >= MOST_BYTES or position >= request.end:
                yield events
                events, size = [], 0


class Beside:
    """A folder in a process of its own, which begins at once with what it is asked for."""

    def __init__(self, source: Source) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "errata.folding"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for us; it ends when we do
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._send(source)

    def close(self) -> None:
        """End the process."""
        self._from.close()
        try:
            self._to.close()
            self._process.wait(STOP_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    def ask(self, request: Request) -> None:
        """Have a page folded. Raises FolderEnded."""
        self._send(request)

    def answer(self) -> Folded:
        """The oldest page that was asked for. Raises FolderEnded."""
        answer = _received(self._from)
        if answer is None:
            raise FolderEnded("a folding process has ended")
        return _as_folded(answer)

    def _send(self, message: Any) -> None:
        try:
            _sent(self._to, message)
        except OSError as error:
            raise FolderEnded("a folding process has ended") from error


@contextmanager
def folders(source: Source, events: int) -> Iterator[Sequence[Folder]]:
    """What folds so many events: as many processes as there are processors, or for a few events
    this one alone. Raises psycopg.OperationalError."""
    number = min(os.cpu_count() or 1, MOST_PROCESSES) if events >= WORTH_PROCESSES else 1
    with ExitStack() as undo:
        if number == 1:
            yield [undo.enter_context(closing(Here(source)))]
        else:
            yield [undo.enter_context(closing(Beside(source))) for _ in range(number)]


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """The life of a folding process: until there are no more requests."""
    source = _received(requests)
    if source is None:
        return
    with closing(Here(msgspec.msgpack.decode(source, type=Source))) as folder:
        gc.collect()
        gc.freeze()
        while (request := _received(requests)) is not None:
            folder.ask(_as_request(request))
            _sent(answers, folder.answer())


_encode = msgspec.msgpack.Encoder().encode
_as_request = msgspec.msgpack.Decoder(Request).decode
_as_folded = msgspec.msgpack.Decoder(Folded).decode


def _sent(pipe: IO[bytes], message: Any) -> None:
    encoded = _encode(message)
    pipe.write(len(encoded).to_bytes(_LENGTH))
    pipe.write(encoded)
    pipe.flush()


def _received(pipe: IO[bytes]) -> bytes | None:
    """The next message; None at the end of the pipe."""
    length = pipe.read(_LENGTH)
    if len(length) < _LENGTH:
        return None
    message = pipe.read(int.from_bytes(length))
    return message if len(message) == int.from_bytes(length) else None


@contextmanager
def _without_collector() -> Iterator[None]:
    """What is decoded never refers to itself; to look for that costs as much as to decode."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except (psycopg.OperationalError, BrokenPipeError):
        sys.exit(1)  # whoever asked meets the same, and says so
