"""Alerting in a thread of the scheduler: while it leads, through outages and after bugs.

It needs PostgreSQL alone: read models, and Redis with them, may be away or be built again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
import structlog

from domain.failures import Unavailable
from domain.vocabulary import Channel
from errata.alerting.memory import NAME
from errata.alerting.sending import Courier, Sender
from errata.alerting.watch import Lost, Pace, Watch
from infra.clock import utc_now
from infra.event_store.archive import Archive, ArchiveDamaged
from infra.event_store.codec import UnknownEvent
from infra.event_store.reader import HoleInLog
from infra.event_store.store import EventStore
from infra.event_store.subscription import Subscription
from infra.notifications import Notifier
from infra.process_managers import ProcessManagers, Pulse
from infra.secrets import SecretBox
from infra.settings import Settings

log = structlog.get_logger("errata.alerting")

LOOK_SECONDS = 0.1
RETRY_SECONDS = 0.5
LONGEST_PAUSE = 30.0
"""Seconds before it is tried again after a fault that does not go away by itself."""

_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, Unavailable, OSError)


@dataclass(frozen=True)
class Surroundings:
    """What alerting takes from around it, and tests replace: clocks, the way messages go, who is
    told where it stands (position, head, notifications waiting) and of each attempt to send."""

    clock: Callable[[], datetime] = utc_now
    pulse: Callable[[ProcessManagers], Pulse] = ProcessManagers.pulse
    pace: Pace = field(default_factory=Pace)
    courier: Courier | None = None
    observe: Callable[[int, int, int], None] = lambda position, head, waiting: None
    observe_sending: Callable[[Channel, str], None] = lambda channel, outcome: None


def run_alerting(
    settings: Settings,
    leads: Callable[[], bool],
    stop: threading.Event,
    surroundings: Surroundings | None = None,
) -> None:
    """Watch the log while `leads` says so, until `stop` is set."""
    around = surroundings or Surroundings()
    pause = RETRY_SECONDS

    def goes_on() -> bool:
        return leads() and not stop.is_set()

    while not stop.is_set():
        if not leads():
            stop.wait(LOOK_SECONDS)
            continue
        try:
            asyncio.run(_lead(settings, goes_on, around))
            pause = RETRY_SECONDS
        except _AWAY as error:
            log.warning("interrupted", reason=_line(error))
            stop.wait(RETRY_SECONDS)
        except Exception as error:
            # Whatever it is, it must end neither the scheduler nor alerting for ever.
            log.exception("alerting stands still", next_try_seconds=pause)
            _note(settings, _problem(error))
            stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _lead(settings: Settings, goes_on: Callable[[], bool], around: Surroundings) -> None:
    url = settings.database_url_or_fail()
    with closing(Subscription(url, Archive(settings.archive))) as subscription:
        memory = ProcessManagers(subscription.connection, NAME)
        async with _store(settings, around.clock) as store:
            watch = Watch(subscription, memory, store.execute, goes_on, around.pace, around.pulse)
            sender = Sender(
                store.execute,
                around.courier or Notifier(allow_private=settings.allow_private_targets),
                SecretBox(settings.secret_key, settings.data_dir),
                around.clock,
                settings.public_url,
                around.observe_sending,
            )
            with suppress(Lost):
                await _watch(watch, sender, goes_on, around)


async def _watch(
    watch: Watch, sender: Sender, goes_on: Callable[[], bool], around: Surroundings
) -> None:
    await watch.begin()
    try:
        while goes_on():
            events = await watch.turn()
            sender.start_due(watch.outbox)
            await watch.save()
            around.observe(watch.position, watch.head, len(watch.outbox))
            await watch.rest(events)
        await watch.save(at_once=True)
    finally:
        await sender.stop()


@asynccontextmanager
async def _store(settings: Settings, clock: Callable[[], datetime]) -> AsyncIterator[EventStore]:
    store = EventStore(
        settings.database_url_or_fail(),
        clock=clock,
        partition_events=settings.partition_events,
        archive=Archive(settings.archive),
    )
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def _note(settings: Settings, problem: str) -> None:
    """Leave the reason where `errata status` finds it."""
    with (
        suppress(psycopg.Error),
        psycopg.connect(
            settings.database_url_or_fail(), autocommit=True, connect_timeout=2
        ) as connection,
    ):
        ProcessManagers(connection, NAME).note(problem)


def _problem(error: Exception) -> str:
    match error:
        case HoleInLog() | ArchiveDamaged() | UnknownEvent():
            return _line(error)
    return f"{type(error).__name__}: {_line(error)}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
