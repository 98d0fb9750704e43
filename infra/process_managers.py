"""The memory of what follows the log and acts on it, and the time that is safe to act up to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, LiteralString

import msgspec
import psycopg

CLOCKS_APART = timedelta(seconds=1)
"""How far the clocks of those who write to the log may be behind the database's."""

_LOAD = """
SELECT version, position, acted_to, acted_until, state, problem
  FROM process_managers WHERE name = %s
"""
# One that was frozen while another took its place does not take the other back.
_SAVE = """
UPDATE process_managers
   SET version = %(version)s, position = %(position)s, acted_to = %(acted_to)s,
       acted_until = greatest(acted_until, %(acted_until)s), state = %(state)s,
       problem = NULL, saved_at = clock_timestamp()
 WHERE name = %(name)s AND acted_to <= %(acted_to)s
"""
_NOTE = "UPDATE process_managers SET problem = %s WHERE name = %s"
ALERTING_PROBLEM: LiteralString = "SELECT problem FROM process_managers WHERE name = 'alerting'"
_PULSE = "SELECT position, clock_timestamp() FROM log_head FOR SHARE"


class Saved(msgspec.Struct, frozen=True):
    """What is kept of one. It has acted on all events up to `acted_to`, and on all that happens by
    itself before `acted_until`; `state` is folded up to `position`, in the form of `version`."""

    version: int
    position: int
    acted_to: int
    acted_until: datetime
    state: bytes


class Pulse(msgspec.Struct, frozen=True):
    """The log's head at a moment, and the time before which no event can come behind it."""

    head: int
    settled: datetime


class ProcessManagers:
    """Reads and writes over a connection of the caller's. All calls raise psycopg.Error."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self._connection = connection
        self._name = name
        # What is lost with a crash of the server is done again, to no effect; and writers, who
        # wait for the lock of a pulse, need not wait for the disk as well.
        connection.execute("SET synchronous_commit = off")

    def load(self) -> Saved:
        """What was saved last."""
        return self.look()[0]

    def look(self) -> tuple[Saved, str | None]:
        """What was saved last, and the problem that was noted since."""
        row = self._connection.execute(_LOAD, (self._name,)).fetchone()
        assert row is not None, f"no process manager {self._name!r}: the schema is not complete"
        *saved, problem = row
        return Saved(*saved), problem

    def save(self, saved: Saved) -> None:
        """Keep it, unless another has come further."""
        self._connection.execute(_SAVE, {"name": self._name, **msgspec.structs.asdict(saved)})

    def note(self, problem: str) -> None:
        """Tell those who ask for the status why it stands still."""
        self._connection.execute(_NOTE, (problem, self._name))

    def pulse(self) -> Pulse:
        """The head, and the time that has passed for it.

        Writers take their time while they hold the lock of the head alone. Whoever shares it knows
        that nobody is about to write with an older time, as far as the clocks agree.
        """
        row = self._connection.execute(_PULSE).fetchone()
        assert row is not None
        head, now = row
        return Pulse(head, now - CLOCKS_APART)
