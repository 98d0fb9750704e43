"""Sends the notifications that are due, and tells the log what became of each.

Each delivery is a task of its own, and each channel has places of its own, so that a receiver that
takes its time keeps nobody waiting but the next message by the same channel. Which message's turn
it is, and which are summed up in one, is the outbox's to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

import msgspec
import structlog

from domain.delivery import QueueNotification, RecordFailed, RecordSent, not_configured
from domain.failures import Conflict, DomainError, Unavailable
from domain.integration import Sealed
from domain.integration_config import Config
from domain.message import Command, Context, derived_id
from domain.notification import Message, Outcome
from domain.vocabulary import CHANNELS, Channel
from infra.delivery_order import About, RuleRef
from projections.outbox import Outbox, Waiting

log = structlog.get_logger("errata.alerting")

ACTOR = "system:alerting"

PLACES = 2
"""How many messages, of different rules, are on their way by one channel at once."""

_RETRY_SECONDS = 0.5
_LAST_WORDS_SECONDS = 0.5
"""How long deliveries may still take when the process stops."""

_config = msgspec.json.Decoder(Config).decode

Execute = Callable[[Command, Context], Awaitable[Any]]
Observer = Callable[[Channel, str], None]
"""Told of each attempt: the channel, and "sent", "failed" or "given up"."""


class Box(Protocol):
    """Opens what was sealed."""

    def open(self, sealed: Sealed) -> bytes:
        """The plain value. Raises Conflict, Unavailable."""
        ...


class Courier(Protocol):
    """Sends messages."""

    async def send(self, config: Config, message: Message, about: About) -> Outcome:
        """Send one; what became of it."""
        ...


class Sender:
    """The deliveries of one process. `public_url` is put before the paths of links."""

    def __init__(
        self,
        execute: Execute,
        courier: Courier,
        box: Box,
        clock: Callable[[], datetime],
        public_url: str,
        observe: Observer = lambda channel, outcome: None,
    ) -> None:
        self._execute = execute
        self._courier = courier
        self._box = box
        self._clock = clock
        self._public_url = public_url
        self._observe = observe
        self._running: dict[Channel, dict[UUID, asyncio.Task[None]]] = {
            name: {} for name in CHANNELS
        }
        """By channel and rule."""
        # The attempts of this process, until the log's news of them have come back.
        self._tried: dict[UUID, int] = {}

    def start_due(self, outbox: Outbox) -> None:
        """Begin to send what is due and has a place, and return at once."""
        first = outbox.first()
        self._tried = {key: number for key, number in self._tried.items() if key in first}
        for summary in outbox.summaries():
            if self._has_place(summary.channel, summary.rule_id):
                self._start(summary.channel, summary.rule_id, self._tell(summary))
        for waiting in outbox.due(self._clock()):
            queued, attempt = waiting.notification, waiting.attempts + 1
            if self._tried.get(queued.notification_id, 0) >= attempt:
                continue
            if self._has_place(queued.channel, queued.rule_id):
                self._tried[queued.notification_id] = attempt
                delivery = self._deliver(waiting, outbox.sealed(queued.channel))
                self._start(queued.channel, queued.rule_id, delivery)

    async def stop(self) -> None:
        """Let what is on its way end if it does so at once. What is cut off is sent again, under
        the same key, by whoever leads next."""
        running = [task for places in self._running.values() for task in places.values()]
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=_LAST_WORDS_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_LAST_WORDS_SECONDS)

    def _has_place(self, channel: Channel, rule_id: UUID) -> bool:
        places = self._running[channel]
        return len(places) < PLACES and rule_id not in places

    def _start(self, channel: Channel, rule_id: UUID, work: Coroutine[Any, Any, None]) -> None:
        places = self._running[channel]
        task = places[rule_id] = asyncio.create_task(work)
        task.add_done_callback(lambda _: places.pop(rule_id))

    async def _deliver(self, waiting: Waiting, sealed: Sealed | None) -> None:
        queued, attempt = waiting.notification, waiting.attempts + 1
        outcome = await self._send(waiting, sealed)
        now = self._clock()
        fate: RecordSent | RecordFailed
        if outcome.succeeded:
            fate = RecordSent(notification_id=queued.notification_id, attempt=attempt, at=now)
            said = "sent"
        else:
            again = None if sealed is None else waiting.next_attempt(now)
            fate = RecordFailed(
                notification_id=queued.notification_id,
                attempt=attempt,
                at=now,
                reason=outcome.reason or "not taken",
                next_attempt_at=again,
            )
            said = "given up" if again is None else "failed"
            log.warning(
                "a notification was not taken",
                channel=queued.channel,
                rule=queued.rule_name,
                attempt=attempt,
                reason=fate.reason,
                next_attempt=again and again.isoformat(timespec="seconds"),
            )
        self._observe(queued.channel, said)
        await self._record(fate)

    async def _send(self, waiting: Waiting, sealed: Sealed | None) -> Outcome:
        queued = waiting.notification
        if sealed is None:
            return Outcome(False, not_configured(queued.channel))
        try:
            # The key of the box may have to be read from disk.
            config = _config(await asyncio.to_thread(self._box.open, sealed))
            return await self._courier.send(config, queued.message, self._about(waiting))
        except (Conflict, Unavailable) as error:
            return Outcome(False, error.reason)
        except Exception:
            # A bug must not lose the message: it is tried again like any other that failed.
            log.exception("sending failed", notification=str(queued.notification_id))
            return Outcome(False, "Errata itself failed to send it; its log says why")

    def _about(self, waiting: Waiting) -> About:
        queued = waiting.notification
        path = queued.message.link
        return About(
            key=str(queued.notification_id),
            timestamp=queued.at,
            link=path and f"{self._public_url}{path}",
            rule=RuleRef(queued.rule_id, queued.rule_name),
            app=queued.app,
            count=queued.count,
            alerts=queued.alerts,
        )

    async def _record(self, fate: RecordSent | RecordFailed) -> None:
        """Until the log knows, the message counts as not sent."""
        key = derived_id("delivery", str(fate.notification_id), str(fate.attempt))
        await self._tell(msgspec.structs.replace(fate, event_id=key))

    async def _tell(self, command: RecordSent | RecordFailed | QueueNotification) -> None:
        """Tell the log, and insist."""
        context = Context(ACTOR, str(command.notification_id), str(uuid4()))
        while True:
            try:
                await self._execute(command, context)
                return
            except Unavailable:
                await asyncio.sleep(_RETRY_SECONDS)
            except DomainError as refusal:
                log.error("refused", command=type(command).__name__, reason=refusal.reason)
                return
