"""One leader's watch over the log: read a page -> fold -> execute what follows -> remember.

The decisions are those of the pure process manager in `projections.alerting`; here is what it needs
of the world. What it answers is executed before the position moves on in its memory, and under ids
that follow from what caused it: after a crash it is executed again, to no effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

import structlog

from domain import alert_rule
from domain.catalog import EVENTS, NAMES
from domain.error_group import ErrorRegressed, ErrorReported, ErrorResolved
from domain.failures import DomainError, Unavailable
from domain.incident import ChangeIncident, OpenIncident
from domain.message import Context
from errata.alerting.memory import VERSION, remembered, to_remember
from errata.alerting.sending import ACTOR, Execute
from infra.event_store.codec import from_row
from infra.event_store.sparse import SparsePage, read_without
from infra.event_store.subscription import Subscription
from infra.process_managers import ProcessManagers, Pulse, Saved
from projections.alerting.acting import Action
from projections.alerting.manager import NEEDS, Alerting
from projections.outbox import Outbox

log = structlog.get_logger("errata.alerting")

PAGE_EVENTS = 2_000
ACTIONS_AT_ONCE = 500
RETRY_SECONDS = 0.2

_WANTED = frozenset(NAMES[event] for event in NEEDS | Outbox.folds)
_FOR_OUTBOX = frozenset(NAMES[event] for event in Outbox.folds)
_OF_RULES = frozenset(NAMES[event] for event in alert_rule.EVENTS)
_COUNTED = frozenset(NAMES[event] for event in (ErrorReported, ErrorRegressed, ErrorResolved))
_IDLE = _COUNTED | (EVENTS.keys() - _WANTED)
"""What means nothing while there is nobody to count for."""


@dataclass(frozen=True)
class Pace:
    """How often what is done, in seconds: asking the time of the log, saving, looking for events
    that nobody told of. Saving also keeps to a share of the time, `save_share`: a large state is
    saved less often. For `gather` events gather before the next page, as each page costs as much as
    dozens of events."""

    pulse: float = 1.0
    save: float = 3.0
    save_share: float = 0.05
    wait: float = 0.25
    gather: float = 0.1


class Lost(Exception):
    """Somebody else leads, or the process stops: what is left to do is not ours to do."""


class Watch:
    """The watch, from the first page to the last. `goes_on` says whether we still lead."""

    def __init__(
        self,
        subscription: Subscription,
        memory: ProcessManagers,
        execute: Execute,
        goes_on: Callable[[], bool],
        pace: Pace,
        pulse: Callable[[ProcessManagers], Pulse] = ProcessManagers.pulse,
    ) -> None:
        self._subscription = subscription
        self._memory = memory
        self._execute = execute
        self._goes_on = goes_on
        self._pace = pace
        self._ask_pulse = pulse
        self._manager = Alerting()
        self.outbox = Outbox()
        self.position = 0
        self.head = 0
        self._acted_to = 0
        self._acted_until: datetime | None = None
        self._pulse: Pulse | None = None
        self._pulse_due = 0.0
        self._save_due = 0.0
        self._saved: int | None = None

    async def begin(self) -> None:
        """Take up where the last leader was: from its memory, or from the start of the log and in
        silence up to there. Raises Lost, and psycopg.Error as all calls here."""
        saved = await asyncio.to_thread(self._memory.load)
        self.head = await asyncio.to_thread(self._subscription.head)
        # The log may have been restored from a backup.
        acted_to = self._acted_to = min(saved.acted_to, self.head)
        self._acted_until = saved.acted_until
        known = remembered(saved) if saved.position <= self.head else None
        if known is not None:
            self._manager, self.outbox = known
            self.position = saved.position
        elif acted_to:
            log.info("folding the log from its start", up_to=acted_to)
        while self.position < acted_to:
            self._insist()
            await self._fold(min(PAGE_EVENTS, acted_to - self.position))
            await self.save()
        self._manager.advance(saved.acted_until)

    async def turn(self) -> int:
        """Take what comes next, at most a page; how many events there were. Raises Lost."""
        before = self.position
        await self._act(await self._fold(PAGE_EVENTS))
        if self._pulse is None and monotonic() >= self._pulse_due:
            self._pulse_due = monotonic() + self._pace.pulse
            self._pulse = await asyncio.to_thread(self._ask_pulse, self._memory)
            self.head = self._pulse.head
        if self._pulse is not None and self.position >= self._pulse.head:
            pulse, self._pulse = self._pulse, None
            await self._act(self._manager.advance(pulse.settled))
            self._acted_until = pulse.settled
        return self.position - before

    async def rest(self, events: int) -> None:
        """Wait for the next turn, after one of so many events."""
        if not events:
            await asyncio.to_thread(self._subscription.wait, self._pace.wait)
        elif events < PAGE_EVENTS:
            await asyncio.sleep(self._pace.gather)

    async def save(self, *, at_once: bool = False) -> None:
        """Remember how far we are, if that has changed and is due."""
        if self.position == self._saved or not (at_once or monotonic() >= self._save_due):
            return
        started = monotonic()
        assert self._acted_until is not None
        state = to_remember(self._manager, self.outbox)
        acted_to = max(self.position, self._acted_to)
        saved = Saved(VERSION, self.position, acted_to, self._acted_until, state)
        await asyncio.to_thread(self._memory.save, saved)
        self._saved = self.position
        took = monotonic() - started
        self._save_due = monotonic() + max(self._pace.save, took / self._pace.save_share)

    async def _fold(self, limit: int) -> Sequence[Action]:
        """The next page, folded; what follows from it."""
        rows, end = await asyncio.to_thread(self._page, limit)
        events = [from_row(row) for row in rows if row.name in _WANTED]
        actions = self._manager.fold(events)
        self.outbox.fold(one for one in events if one.name in _FOR_OUTBOX)
        self.position = end
        self.head = max(self.head, end)
        return actions

    def _page(self, limit: int) -> SparsePage:
        """The next page. While no rule is in force errors mean nothing, however many there are; in
        a page that puts one into force they may."""
        if not any(rule.since is not None for rule in self._manager.force.rules.values()):
            connection = self._subscription.connection
            page = read_without(connection, _IDLE, after=self.position, limit=limit)
            if page is not None and not any(row.name in _OF_RULES for row in page.rows):
                return page
        rows = self._subscription.page(self.position, limit)
        return SparsePage(rows, rows[-1].position if rows else self.position)

    async def _act(self, actions: Sequence[Action]) -> None:
        """Execute actions in order, and again until the log has taken them all."""
        for start in range(0, len(actions), ACTIONS_AT_ONCE):
            some = actions[start : start + ACTIONS_AT_ONCE]
            while not await self._committed(some):
                self._insist()
                await asyncio.sleep(RETRY_SECONDS)

    async def _committed(self, actions: Sequence[Action]) -> bool:
        """Whether the log was there for all of them. Handed over together, they are committed
        together and decided in this order."""
        done = await asyncio.gather(*map(self._one, actions), return_exceptions=True)
        there = True
        for action, outcome in zip(actions, done, strict=True):
            match outcome:
                case Unavailable():
                    there = False
                case DomainError():
                    _refused(action, outcome)
                case BaseException():
                    raise outcome
        return there

    def _one(self, action: Action) -> Awaitable[Any]:
        cause = str(action.command.event_id)
        return self._execute(action.command, Context(ACTOR, cause, cause))

    def _insist(self) -> None:
        if not self._goes_on():
            raise Lost


def _refused(action: Action, refusal: DomainError) -> None:
    """People may close, reopen and resolve incidents as they like; nothing else is refused."""
    incident = isinstance(action.command, OpenIncident | ChangeIncident)
    say = log.info if incident else log.error
    say("refused", command=type(action.command).__name__, reason=refusal.reason)
