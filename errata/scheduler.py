"""A scheduler: one process that does what has to be done from time to time, while it leads."""

from __future__ import annotations

import contextlib
import threading

import structlog
from redis.exceptions import RedisError

from errata.alerting import Surroundings, run_alerting
from errata.monitoring import run_monitor
from errata.snapshots import run_snapshots
from errata.waking import run_waking
from infra.clock import utc_now
from infra.heartbeat import beat_commands, farewell_command
from infra.log_upkeep import upkeep
from infra.monitor import Role
from infra.redis import connect
from infra.retention import retention
from infra.scheduler import Scheduler
from infra.settings import Settings
from infra.source_maps.sweeping import sweeping

log = structlog.get_logger("errata.scheduler")

BEAT_SECONDS = 1.0
STOP_SECONDS = 2.0
"""How long the threads beside may take to say their last words."""


def run_scheduler(
    settings: Settings, stop: threading.Event, surroundings: Surroundings | None = None
) -> None:
    """Work until `stop` is set. Any number may run; outages are waited out. `surroundings` are
    those of alerting."""
    jobs = (
        *upkeep(settings.partition_events),
        retention(settings.archive, settings.retention_days, utc_now),
        sweeping(),
    )
    scheduler = Scheduler(settings.database_url_or_fail(), jobs)
    # In a thread of its own: a Redis that hangs must not cost the leader its lock.
    heart = threading.Thread(
        target=_beat, args=(settings.redis_url_or_fail(), stop), name="heartbeat", daemon=True
    )
    heart.start()
    role = Role(leads=lambda: scheduler.leading, away=lambda: scheduler.away)
    watch = threading.Thread(
        target=run_monitor, args=(settings, role, stop), name="monitor", daemon=True
    )
    watch.start()
    alerting = threading.Thread(
        target=run_alerting,
        args=(settings, role.leads, stop, surroundings),
        name="alerting",
        daemon=True,
    )
    alerting.start()
    snapshots = threading.Thread(
        target=run_snapshots,
        args=(settings, role.leads, stop),
        name="snapshots",
        daemon=True,
    )
    snapshots.start()
    waking = threading.Thread(
        target=run_waking, args=(settings, role.leads, stop), name="waking", daemon=True
    )
    waking.start()
    scheduler.run(stop)
    heart.join(BEAT_SECONDS)
    waking.join(STOP_SECONDS)
    watch.join(STOP_SECONDS)
    snapshots.join(STOP_SECONDS)
    alerting.join(STOP_SECONDS)


def _beat(redis_url: str, stop: threading.Event) -> None:
    client = connect(redis_url)
    silent = False
    while not stop.is_set():
        try:
            for command in beat_commands("scheduler"):
                client.execute_command(*command)  # type: ignore[no-untyped-call]
            silent = False
        except (RedisError, OSError) as error:
            if not silent:
                log.warning("Redis is away", reason=" ".join(str(error).split())[:300])
            silent = True
        stop.wait(BEAT_SECONDS)
    with contextlib.suppress(RedisError, OSError):
        client.execute_command(*farewell_command("scheduler"))  # type: ignore[no-untyped-call]
