"""The monitor of a scheduler: its parts, and the timetable by which they work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from infra.clock import utc_now
from infra.custom_checks import CheckRunner
from infra.event_store.archive import Archive
from infra.event_store.store import EventStore
from infra.monitor import Instruments, Monitor, Pace, Role
from infra.news import News
from infra.one_connection import OneConnection
from infra.open_connections import OpenConnections
from infra.presence import Presence
from infra.probes import Board, Probes, ReadModelKeys
from infra.redis import connect_async
from infra.samples import Sampler, Samples
from infra.settings import Settings
from projections.registry import ALL_READ_MODELS
from projections.runner import stopped_key
from projections.versions import as_standing, live_space, standing_keys

log = structlog.get_logger("errata.monitoring")

RETRY_SECONDS = 1.0
STOP_SECONDS = 1.0


def run_monitor(
    settings: Settings, role: Role, stop: threading.Event, pace: Pace | None = None
) -> None:
    """Watch until `stop` is set, in an event loop of its own. Outages are waited out."""
    while not stop.is_set():
        try:
            asyncio.run(_run(settings, role, stop, pace or Pace()))
        except Exception:
            # The scheduler has other work that must not end with this.
            log.exception("the monitor failed, starting it again")
            stop.wait(RETRY_SECONDS)


async def _run(settings: Settings, role: Role, stop: threading.Event, pace: Pace) -> None:
    async with _instruments(settings) as instruments:
        monitor = Monitor(instruments, role, pace, utc_now)
        timetable = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        jobs: dict[Callable[[], Awaitable[None]], float] = {
            monitor.notice_sleep: pace.turn,
            monitor.turn: pace.turn,
            monitor.beat: pace.beat,
            monitor.sample: pace.sample,
        }
        running: set[asyncio.Task[None]] = set()
        for job, seconds in jobs.items():
            timetable.add_job(
                partial(_guarded, job, running),
                IntervalTrigger(seconds=seconds, timezone=UTC),
                next_run_time=datetime.now(UTC),
            )
        timetable.start()
        try:
            await asyncio.to_thread(stop.wait)
        finally:
            timetable.pause()
            await asyncio.sleep(0)  # what has just been started gets to say so
            if running:
                await asyncio.wait(running, timeout=STOP_SECONDS)
            timetable.shutdown(wait=False)
            await monitor.stop()


async def _guarded(job: Callable[[], Awaitable[None]], running: set[asyncio.Task[None]]) -> None:
    task = asyncio.ensure_future(job())
    running.add(task)
    task.add_done_callback(running.discard)
    try:
        await task
    except Exception:
        # A bug in one turn must not end the watch for ever.
        log.exception("job failed")


@asynccontextmanager
async def _instruments(settings: Settings) -> AsyncIterator[Instruments]:
    """All parts, for the life of a block."""
    store = EventStore(
        settings.database_url_or_fail(),
        clock=utc_now,
        partition_events=settings.partition_events,
        archive=Archive(settings.archive),
    )
    client = connect_async(settings.redis_url_or_fail())
    connection = OneConnection(settings.database_url_or_fail(), "errata monitor")
    runner = CheckRunner(utc_now, allow_private=settings.allow_private_targets)
    models = {model.name: model for model in ALL_READ_MODELS}

    async def where(name: str) -> ReadModelKeys:
        hashes: list[Any] = [await client.hgetall(key) for key in standing_keys()]
        space = live_space(models[name], as_standing(*hashes))
        return ReadModelKeys(space.checkpoint, stopped_key(space))

    await store.start()
    try:
        yield Instruments(
            probes=Probes(connection, client, models, where),
            board=Board(client),
            news=News(store.execute_all, client),
            presence=Presence(connection),
            reader=store.reader,
            runner=runner,
            sampler=Sampler(settings.data_dir),
            samples=Samples(client),
            connections=OpenConnections(client, settings.port),
        )
    finally:
        runner.close()
        await connection.close()
        await store.stop()
        await client.aclose()
