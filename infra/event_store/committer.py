"""Group commit: everything that waits is decided and committed as one transaction.

One committer per server process, a task in its event loop. While one transaction is on its way to
the disk, new commands gather; the next transaction takes them all. Any number of committers in any
number of processes may work on one log: the row lock on `log_head` puts them in order, and what
comes while a committer waits for it goes with what waited before.

When the connection breaks the committer never guesses. Before COMMIT was sent nothing is stored,
and the batch is tried again. After it was sent the log is asked, under the write lock, whether the
events are there: a lock that the broken transaction still held is thereby waited for. A server that
is silent is taken for a broken connection; what its callers were not told, their next batch learns
by the same lock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from uuid import UUID

import psycopg
import structlog

from domain.failures import Unavailable
from domain.message import Command, Committed, Context
from infra.event_store.append import Appender, Fill, OutcomeUnknown
from infra.event_store.batch import Unit
from infra.silence import Silent

log = structlog.get_logger("errata.committer")

MOST_WAITING = 50_000
"""Commands that may wait in batches of many: they bound the memory, where requests do not."""

RETRY_PAUSE = 0.05
"""Seconds between attempts to reach a database that is away."""

_AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    OSError,
)

Observer = Callable[[int, float], None]
"""Told of every commit: events in it, seconds it took."""


class Committer:
    """Takes commands from many callers and commits them in groups.

    `queue_limit` bounds the units that may wait (beyond it: Unavailable "queue"), `batch_limit` the
    commands that go into one transaction (a unit of more has one to itself), `patience` (seconds)
    how long a batch is tried while the database is away before its callers hear so.
    """

    def __init__(
        self,
        appender: Appender,
        *,
        queue_limit: int = 10_000,
        batch_limit: int = 1_000,
        patience: float = 2.0,
        observe: Observer = lambda events, seconds: None,
    ) -> None:
        self._appender = appender
        self._queue: deque[Unit] = deque()
        self._waiting_commands = 0
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._patience = patience
        self._observe = observe
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many units wait for a transaction."""
        return len(self._queue)

    async def start(self) -> None:
        """Begin to commit."""
        self._task = asyncio.create_task(self._run(), name="committer")

    async def stop(self) -> None:
        """Commit what waits, then end."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._appender.close()

    async def execute(self, command: Command, context: Context) -> Committed:
        """Decide and commit one command.

        Raises DomainError where the decision refuses; Unavailable when too much waits ("queue")
        or the database is away ("postgres").
        """
        return (await self.execute_all((command,), context))[0]

    async def execute_all(
        self, commands: Sequence[Command], context: Context
    ) -> Sequence[Committed]:
        """The same for several commands that belong together: all of them or none."""
        if self._closing:
            raise Unavailable("queue", "the server is stopping")
        if len(self._queue) >= self._queue_limit or self._waiting_commands >= MOST_WAITING:
            raise Unavailable("queue", f"{len(self._queue)} requests already wait to be stored")
        if not commands:
            return []
        unit = Unit(commands, context, asyncio.get_running_loop().create_future())
        self._queue.append(unit)
        self._waiting_commands += len(commands)
        self._wake.set()
        return await unit.waiter

    async def _run(self) -> None:
        while not (self._closing and not self._queue):
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            units: list[Unit] = []
            self._fill(units)
            try:
                await self._commit(units, self._fill)
            except Exception as error:  # the loop must outlive any bug; callers get it as theirs
                log.exception("commit failed", units=len(units))
                for unit in units:
                    unit.fail(error)

    def _fill(self, units: list[Unit]) -> None:
        """Move what waits into a batch, in order: as much as the limit allows, at least one."""
        room = self._batch_limit - sum(len(unit.commands) for unit in units)
        while self._queue and (not units or len(self._queue[0].commands) <= room):
            unit = self._queue.popleft()
            units.append(unit)
            room -= len(unit.commands)
            self._waiting_commands -= len(unit.commands)

    async def _commit(self, units: list[Unit], fill: Fill) -> None:
        """Attempt; where the outcome is unknown, ask; where nothing was stored, try again."""
        started = monotonic()
        doubt: UUID | None = None
        no_room = made_room = False
        while True:
            try:
                if no_room:
                    await self._appender.keep_room()
                    no_room, made_room = False, True
                if doubt is not None and await self._appender.holds(doubt):
                    break
                doubt = None
                await self._appender.append(units, fill)
                break
            except OutcomeUnknown as unknown:
                doubt = unknown.event_id
                log.warning("outcome of a commit unknown, asking the log", event_id=str(doubt))
            except _AWAY as error:
                # Silence has taken its time already.
                if isinstance(error, Silent) or monotonic() - started > self._patience:
                    self._away_too_long(units, error, doubt)
                    return
                await asyncio.sleep(RETRY_PAUSE)
            except psycopg.errors.CheckViolation as error:
                # No partition for the next positions: the scheduler makes them, but may be away.
                if made_room:
                    await self._refused(units, error)
                    return
                no_room = True
            except psycopg.Error as error:
                await self._refused(units, error)
                return
        self._settle(units, monotonic() - started)

    def _away_too_long(self, units: list[Unit], error: Exception, doubt: UUID | None) -> None:
        """Tell the callers of a batch; where the server is silent, those in the queue as well. One
        that refuses may be back at once, but silence would cost them the same again, batch by
        batch."""
        self._give_up(units, error, doubt)
        if isinstance(error, Silent) and self._queue:
            waiting = list(self._queue)
            self._queue.clear()
            self._waiting_commands = 0
            self._give_up(waiting, error, None)

    def _settle(self, units: list[Unit], seconds: float) -> None:
        events = 0
        for unit in units:
            if not isinstance(unit.outcome, Exception):
                events += sum(len(committed.events) for committed in unit.outcome)
            unit.settle()
        self._observe(events, seconds)

    async def _refused(self, units: list[Unit], error: psycopg.Error) -> None:
        """The server refused the transaction. Where one unit is the cause it shall fail alone."""
        if len(units) == 1:
            self._give_up(units, error, None)
            return
        for unit in units:
            await self._commit([unit], _alone)

    def _give_up(self, units: list[Unit], error: Exception, doubt: UUID | None) -> None:
        sqlstate = getattr(error, "sqlstate", None)
        detail = " ".join(str(error).split())[:300]
        log.error("not stored", units=len(units), reason=detail, sqlstate=sqlstate, doubt=doubt)
        if doubt is not None:
            reason = (
                "the event store went away while storing, so whether this was stored is unknown; "
                "send it again with the same event_id or Idempotency-Key and it is stored once"
            )
        elif (sqlstate or "").startswith("53"):
            reason = "the event store has no room or connections left; nothing was stored"
        else:
            reason = "the event store cannot be reached; nothing was stored"
        for unit in units:
            unit.fail(Unavailable("postgres", reason))


def _alone(units: list[Unit]) -> None:
    """Let nobody join a batch."""
