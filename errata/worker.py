"""A worker: one process that keeps read models up to date with the log.

Any number may run. Each read model is worked on by whoever holds its lease, a PostgreSQL advisory
lock of the worker's session; a worker that dies loses its session and with it the leases, one that
freezes loses them when the server ends a session idle for too long, and a standby takes over. The
lease only saves work: that nothing is applied twice is the checkpoint's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from time import monotonic, time
from typing import Any

import psycopg
import redis
import structlog

from domain.message import Recorded
from errata.far_behind import fill_far_behind
from errata.folding import Source
from errata.rebuilding import run_rebuilds
from infra.clock import utc_now
from infra.event_store.archive import Archive, ArchiveDamaged
from infra.event_store.codec import UnknownEvent, from_row
from infra.event_store.pages import PAGE_BYTES, weight
from infra.event_store.reader import HoleInLog
from infra.event_store.subscription import Subscription
from infra.heartbeat import beat_commands, farewell_command
from infra.leases import LEASE_IDLE_SECONDS, LeaseSession
from infra.redis import connect
from infra.settings import Settings
from projections.postgres_runner import PostgresRunner
from projections.projection import Keyspace, PostgresReadModel, ReadModel, RedisReadModel
from projections.rebuilds import Site, Worked, worked_on
from projections.registry import ALL_READ_MODELS
from projections.runner import PAGE_EVENTS, Runner, Undecodable

log = structlog.get_logger("errata.worker")

RETRY_SECONDS = 0.5
STOP_SECONDS = 2.0
"""How long a rebuild may take to come to the end of its page."""

LOOK_ROUND_SECONDS = 1.0
VERSIONS_SECONDS = 0.25
"""How often a worker asks which versions of its read models it is to move on."""

KEPT_EVENTS = 2 * PAGE_EVENTS
"""Read models in PostgreSQL may be a page behind those in Redis."""

ROWS_SECONDS = 0.05
"""Read models in PostgreSQL move on so often while those in Redis do: they hold what is looked up
later, and a transaction for every small page would delay what people look at now."""

BUSY_SECONDS = 0.02
FEW_EVENTS = 20
"""Pages of so few events, further apart than this, are each shown at once."""

GATHER_SECONDS = 0.000_25
LEAST_PAUSE, LONGEST_PAUSE = 0.005, 0.2
"""After others, events may gather for so many seconds for each event of the page, within these
bounds. At 1,000 events a second that is the least pause, and beyond 3,000 the longest."""

NOTHING = Worked((), ())

Observer = Callable[[str, int, int, float], None]
"""Told of each read model once a turn: name, position, head, lag in seconds."""


class DecodedLog:
    """The log as a runner reads it: decoded, and stopping short at what cannot be."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._kept: list[Recorded[Any]] = []
        self._kept_bytes = 0
        self.last_recorded_at: datetime | None = None
        self.last_page = 0
        """Events of the last page; one that their size has filled counts as a full one."""

    def head(self) -> int:
        """The position of the last committed event."""
        return self._subscription.head()

    def events(self, after: int, limit: int) -> Sequence[Recorded[Any]]:
        """The next events. Raises Undecodable when the very next one cannot be read.

        The last events are kept: read models in PostgreSQL ask for them once more, and several
        pages of those in Redis are one page to them."""
        if self._kept and self._kept[0].position <= after + 1 <= self._kept[-1].position:
            start = after + 1 - self._kept[0].position
            return self._kept[start : start + limit]
        events: list[Recorded[Any]] = []
        rows = self._subscription.page(after, limit)
        for row in rows:
            try:
                events.append(from_row(row))
            except UnknownEvent as error:
                if not events:
                    raise Undecodable(row.position, str(row.event_id), error.reason) from error
                break
        size = weight(rows)
        self._keep(events, size)
        self.last_page = len(events) if size < PAGE_BYTES else PAGE_EVENTS
        if events:
            self.last_recorded_at = events[-1].recorded_at
        return events

    def _keep(self, events: list[Recorded[Any]], size: int) -> None:
        last = self._kept[-1].position if self._kept else None
        follows = bool(events) and events[0].position - 1 == last
        if follows and self._kept_bytes + size < PAGE_BYTES:
            self._kept = [*self._kept, *events][-KEPT_EVENTS:]
            self._kept_bytes += size
        else:
            self._kept, self._kept_bytes = events, size


class Leases:
    """The read models this worker may work on, as long as its session speaks up now and then."""

    def __init__(self, database_url: str, models: Sequence[ReadModel]) -> None:
        self._wanted = list(models)
        self.held: list[ReadModel] = []
        self._session = LeaseSession(database_url, "errata leases", LEASE_IDLE_SECONDS)

    def close(self) -> None:
        """Give all leases back."""
        self._session.close()

    def take(self) -> bool:
        """Keep what is held and take whatever lease is free; returns whether any was new.

        Raises psycopg.OperationalError when the session, and every lease with it, was lost."""
        self.keep()
        taken = [model for model in self._wanted if self._session.take(_lease(model))]
        self._wanted = [model for model in self._wanted if model not in taken]
        self.held += taken
        return bool(taken)

    def keep(self) -> None:
        """Keep what is held. Raises psycopg.OperationalError like `take`."""
        self._session.keep()


def _lease(model: ReadModel) -> str:
    return f"errata:{model.keyspace().prefix}"


class Runners:
    """The runners of some read models: of those in Redis, and of those in PostgreSQL, whose rows go
    over a connection that listens to nothing."""

    def __init__(
        self,
        decoded: DecodedLog,
        client: redis.Redis,
        connection: psycopg.Connection[Any],
        models: Sequence[ReadModel],
        worked: Worked | None = None,
    ) -> None:
        """`worked` names the versions of those in Redis; without it, they are the first builds."""
        in_redis = [model for model in models if isinstance(model, RedisReadModel)]
        first = tuple(model.keyspace() for model in in_redis)
        self.worked = worked = worked or Worked(first, ())
        in_postgres = [model for model in models if isinstance(model, PostgresReadModel)]
        self._in_redis = Runner(decoded, client, in_redis, live=worked.live, beside=worked.beside)
        self._in_postgres = PostgresRunner(decoded, connection, client, in_postgres)
        self._decoded = decoded
        self._rows_due = 0.0
        self._in_redis.announce_versions()

    def step(self) -> bool:
        """One page for every read model that is behind. Returns whether any moved."""
        moved = self._in_redis.step()
        # Behind a full page the next follows at once, and two are all that the log keeps decoded.
        full = self._decoded.last_page >= PAGE_EVENTS
        if moved and not full and monotonic() < self._rows_due:
            return True
        self._rows_due = monotonic() + ROWS_SECONDS
        return self._in_postgres.step() or moved

    def positions(self) -> dict[Keyspace, int | None]:
        """Where each read model stands; None where it has not begun."""
        return self._in_redis.positions() | self._in_postgres.positions()


def run_worker(
    settings: Settings,
    stop: threading.Event,
    *,
    read_models: Sequence[ReadModel] = ALL_READ_MODELS,
    observe: Observer = lambda name, position, head, lag: None,
) -> None:
    """Work until `stop` is set. Outages of PostgreSQL or Redis are waited out."""
    client = connect(settings.redis_url_or_fail())
    database_url = settings.database_url_or_fail()
    rebuilds = threading.Thread(
        target=run_rebuilds, args=(settings, stop, read_models), name="rebuilds", daemon=True
    )
    rebuilds.start()
    while not stop.is_set():
        try:
            with (
                closing(Subscription(database_url, Archive(settings.archive))) as subscription,
                closing(Leases(database_url, read_models)) as leases,
                closing(_for_rows(database_url)) as connection,
            ):
                source = Source(database_url, settings.archive)
                _work(subscription, leases, client, connection, stop, observe, source)
        except (psycopg.OperationalError, redis.RedisError, OSError) as error:
            log.warning("interrupted", reason=" ".join(str(error).split())[:300])
            stop.wait(RETRY_SECONDS)
        except (HoleInLog, ArchiveDamaged) as error:
            log.critical("the log is damaged", reason=str(error))
            stop.wait(LEASE_IDLE_SECONDS)
    rebuilds.join(STOP_SECONDS)


def _work(
    subscription: Subscription,
    leases: Leases,
    client: redis.Redis,
    connection: psycopg.Connection[Any],
    stop: threading.Event,
    observe: Observer,
    source: Source,
) -> None:
    decoded = DecodedLog(subscription)
    runner = Runners(decoded, client, connection, (), NOTHING)
    fillable = True

    def go_on() -> bool:
        """Keep the leases and be seen, while read models are filled."""
        leases.keep()
        _beat(client)
        _tell(runner, decoded, observe)
        return not stop.is_set()

    next_look_round = next_look_at_versions = last_moved = 0.0
    while not stop.is_set():
        if monotonic() >= next_look_at_versions:
            next_look_at_versions = monotonic() + VERSIONS_SECONDS
            worked = _worked_on(client, leases.held)
            if worked != runner.worked:
                runner = Runners(decoded, client, connection, leases.held, worked)
        if monotonic() >= next_look_round:
            next_look_round = monotonic() + LOOK_ROUND_SECONDS
            if leases.take():
                worked = _worked_on(client, leases.held)
                runner = Runners(decoded, client, connection, leases.held, worked)
            _beat(client)
            _tell(runner, decoded, observe)
            if fillable:
                fillable = fill_far_behind(
                    client, source, runner.worked.live, decoded.head(), go_on
                )
        started = monotonic()
        if not runner.step():
            subscription.wait()
        elif decoded.last_page > FEW_EVENTS or started - last_moved < BUSY_SECONDS:
            stop.wait(pause_after(decoded.last_page))
        last_moved = started
    client.execute_command(*farewell_command("worker"))  # type: ignore[no-untyped-call]


def _beat(client: redis.Redis) -> None:
    for command in beat_commands("worker"):
        client.execute_command(*command)  # type: ignore[no-untyped-call]


def pause_after(events: int) -> float:
    """Seconds to let events gather after a page of so many: a page costs as much as dozens of
    events, and a group is written once a page, however many of its events that holds. None after a
    full page, behind which there is more."""
    if events >= PAGE_EVENTS:
        return 0.0
    return min(max(events * GATHER_SECONDS, LEAST_PAUSE), LONGEST_PAUSE)


def _worked_on(client: redis.Redis, held: Sequence[ReadModel]) -> Worked:
    in_redis = [model for model in held if isinstance(model, RedisReadModel)]
    standing, rebuilds = Site(client).look()
    return worked_on(in_redis, standing, rebuilds, time())


def _for_rows(database_url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        database_url, autocommit=True, application_name="errata worker rows", connect_timeout=3
    )


def _tell(runner: Runners, decoded: DecodedLog, observe: Observer) -> None:
    head = decoded.head()
    for space, position in runner.positions().items():
        behind = position is None or position < head
        last = decoded.last_recorded_at
        lag = (utc_now() - last).total_seconds() if behind and last is not None else 0.0
        observe(space.name, position or 0, head, max(lag, 0.0))
