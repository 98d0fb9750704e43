"""Brings read models that live in PostgreSQL up to date: read a page -> fold -> write the rows and
the checkpoint in one transaction -> announce.

The transaction holds the checkpoint's row lock, and writes nothing where the checkpoint is not
where the page started: somebody else has been there. It is not waited for until it is on disk; a
crash takes rows and checkpoint back together, and the page is folded again.

Redis holds a copy of the checkpoint, where readers look for the positions of all read models. The
table is the truth: a copy that was lost, or belongs to another database, is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, LiteralString

import msgspec
import psycopg
import redis
import structlog

from projections.projection import (
    POSITIONS,
    Indigestible,
    Keyspace,
    Page,
    PostgresReadModel,
    Statement,
)
from projections.runner import PAGE_EVENTS, Log, Stopped, Undecodable, stopped_key

log = structlog.get_logger("errata.runner")

_CHECKPOINT = "SELECT version, position FROM read_model_checkpoints WHERE name = %s"
_LOCKED = "SELECT version, position FROM read_model_checkpoints WHERE name = %s FOR UPDATE"
_BEGIN = "INSERT INTO read_model_checkpoints VALUES (%s, 0, 0) ON CONFLICT DO NOTHING"
_MOVE = "UPDATE read_model_checkpoints SET version = %s, position = %s WHERE name = %s"

_ANNOUNCE = """
if (tonumber(redis.call('GET', KEYS[1]) or '') or -1) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1])
  redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' ' .. ARGV[1])
end
redis.call('DEL', KEYS[2])
"""
"""Forwards only: a worker that is slow to speak must not take back what another has said since."""

Checkpoint = tuple[int, int]
"""Version and position."""


def execute(
    connection: psycopg.Connection[Any], statement: LiteralString, arguments: tuple[Any, ...]
) -> None:
    """Execute what a fold asks for."""
    if statement.startswith("COPY "):
        (data,) = arguments
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(data)
    else:
        connection.execute(statement, arguments)


class PostgresRunner:
    """Runs some read models against one log. The connection must be in autocommit mode; its errors
    are left to the caller, except for rows that PostgreSQL refuses."""

    def __init__(
        self,
        log_source: Log,
        connection: psycopg.Connection[Any],
        client: redis.Redis,
        read_models: Sequence[PostgresReadModel],
        *,
        page_events: int = PAGE_EVENTS,
        observe: Callable[[str, int], None] = lambda name, position: None,
    ) -> None:
        self._log = log_source
        self._connection = connection
        self._redis = client
        self._models = tuple(read_models)
        self._page_events = page_events
        self._observe = observe
        self.stopped: dict[str, Stopped] = {}
        connection.execute("SET synchronous_commit = off")

    def positions(self) -> dict[Keyspace, int | None]:
        """Where each read model stands; None where this version has not begun."""
        found: dict[Keyspace, int | None] = {}
        for model in self._models:
            checkpoint = self._checkpoint(model, _CHECKPOINT)
            begun = checkpoint is not None and checkpoint[0] == model.version
            found[model.keyspace()] = checkpoint[1] if begun and checkpoint else None
        return found

    def step(self) -> bool:
        """One page for every read model that is behind. Returns whether any moved."""
        moved = [self._step(model) for model in self._models]
        return any(moved)

    def _step(self, model: PostgresReadModel) -> bool:
        # The copy comes first and the head last: what another worker moves on meanwhile must
        # neither seem to be ahead of the truth nor of the log.
        copy: Any = self._redis.get(model.keyspace().checkpoint)
        checkpoint = self._checkpoint(model, _CHECKPOINT)
        head = self._log.head()
        if checkpoint is not None and checkpoint[0] > model.version:
            return False  # a newer Errata keeps it now
        if checkpoint is None or checkpoint[0] < model.version or checkpoint[1] > head:
            return self._start_over(model, checkpoint)
        position = checkpoint[1]
        if copy is None or int(copy) != position:
            self._repair(model, position, wrong=copy is not None and int(copy) > position)
        return position < head and self._advance(model, position)

    def _advance(self, model: PostgresReadModel, position: int) -> bool:
        try:
            events = self._log.events(position, self._page_events)
        except Undecodable as error:
            self._stop(model, error.position, error.event_id, error.reason)
            return False
        if not events:
            return False
        return self._write(model, Page(position, events[-1].position, tuple(events)))

    def _write(self, model: PostgresReadModel, page: Page) -> bool:
        """Fold a page and write what follows; up to before an event that cannot be digested."""
        try:
            statements = model.fold(page.events)
        except Indigestible as error:
            bad = error.recorded
            before = tuple(event for event in page.events if event.position < bad.position)
            if before:
                return self._write(model, Page(page.start, bad.position - 1, before))
            self._stop(model, bad.position, str(bad.event_id), error.reason)
            return False
        try:
            written = self._guarded(model, (model.version, page.start), statements, page.end)
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
            reason = f"PostgreSQL refuses the page up to {page.end}: {error}"
            self._stop(model, page.start + 1, str(page.events[0].event_id), reason)
            return False
        if written:
            self.stopped.pop(model.name, None)
            self._announce(model, page.end)
            self._observe(model.name, page.end)
        return written

    def _guarded(
        self,
        model: PostgresReadModel,
        expected: Checkpoint,
        statements: Sequence[Statement],
        reaches: int,
    ) -> bool:
        """Write in one transaction with the checkpoint, if that is where it should be."""
        with self._connection.transaction():
            if self._checkpoint(model, _LOCKED) != expected:
                return False
            for statement, arguments in statements:
                execute(self._connection, statement, arguments)
            self._connection.execute(_MOVE, (model.version, reaches, model.name))
        return True

    def _start_over(self, model: PostgresReadModel, found: Checkpoint | None) -> bool:
        """Empty a read model that has no checkpoint, one of an older version, or one ahead of the
        log (another log's)."""
        if self._log.head():  # on the first start there is nothing to build
            log.info("building from the start", read_model=model.name, checkpoint=found)
        if found is None:
            self._connection.execute(_BEGIN, (model.name,))
        return self._guarded(model, found or (0, 0), [(model.emptied_by, ())], 0)

    def _repair(self, model: PostgresReadModel, position: int, *, wrong: bool) -> None:
        """Say the position again; what stood there ahead of the truth was never true."""
        if wrong:
            self._redis.delete(model.keyspace().checkpoint)
        self._announce(model, position)

    def _announce(self, model: PostgresReadModel, position: int) -> None:
        space = model.keyspace()
        channel = f"{space.name}.v{space.version}"
        keys = (space.checkpoint, stopped_key(space))
        self._redis.eval(_ANNOUNCE, len(keys), *keys, str(position), POSITIONS, channel)

    def _checkpoint(self, model: PostgresReadModel, statement: LiteralString) -> Checkpoint | None:
        row = self._connection.execute(statement, (model.name,)).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def _stop(self, model: PostgresReadModel, position: int, event_id: str, reason: str) -> None:
        stopped = Stopped(model.name, position, event_id, reason)
        if self.stopped.get(model.name) != stopped:
            log.error("read model stopped", **msgspec.structs.asdict(stopped))
        self.stopped[model.name] = stopped
        # Said again each time, as Redis may have lost it.
        self._redis.set(stopped_key(model.keyspace()), msgspec.json.encode(stopped))
