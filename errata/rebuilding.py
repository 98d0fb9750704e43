"""The part of a worker that carries out rebuilds, in a thread beside the one that follows the log.

Any number of workers may look for work. Each rebuild is carried out by whoever holds its lease, a
PostgreSQL advisory lock; when its holder dies, another goes on. A read model whose fold is of a
newer version than what is live asks for its rebuild itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from time import monotonic, time
from uuid import uuid4

import psycopg
import redis
import structlog
from redis.exceptions import RedisError

from errata.builder import Builder, drop
from errata.folding import FolderEnded, Source
from infra.clock import utc_now
from infra.event_store.reader import read_head
from infra.leases import LeaseSession
from infra.redis import connect
from infra.settings import Settings
from projections.projection import Keyspace, ReadModel, RedisReadModel
from projections.rebuilds import ENDED, Lost, Part, Rebuild, Site
from projections.versions import GRACE_SECONDS, Standing, code_of

log = structlog.get_logger("errata.rebuilds")

TURN_SECONDS = 0.5
SPEAK_SECONDS = 1.0
SYSTEM = "system:worker"
SUPERSEDED = "a newer version of Errata"


class Stopping(Exception):
    """This worker ends, or has lost its lease: another goes on."""


class Lease:
    """The right to carry out one rebuild, for as long as its session lives and speaks."""

    def __init__(self, database_url: str, rebuild: Rebuild) -> None:
        self._name = f"errata:rebuild:{rebuild.id}"
        self._spoke = monotonic()
        self._session = LeaseSession(database_url, "errata rebuild")

    def close(self) -> None:
        """Give it back."""
        self._session.close()

    def take(self) -> bool:
        """Whether nobody else has it."""
        return self._session.take(self._name)

    def speak(self) -> None:
        """Show that somebody is there. Raises psycopg.OperationalError when it was lost."""
        if monotonic() >= self._spoke + SPEAK_SECONDS:
            self._session.keep()
            self._spoke = monotonic()

    def head(self) -> int:
        """The position of the last committed event."""
        position = read_head(self._session.connection)
        self._spoke = monotonic()
        return position


def run_rebuilds(
    settings: Settings, stop: threading.Event, read_models: Sequence[ReadModel]
) -> None:
    """Carry out what is asked for until `stop` is set. Outages are waited out."""
    models = {model.name: model for model in read_models if isinstance(model, RedisReadModel)}
    with closing(connect(settings.redis_url_or_fail())) as client:
        while not stop.is_set():
            try:
                _turn(settings, client, models, stop)
            except (psycopg.OperationalError, RedisError, OSError) as error:
                log.debug("interrupted", reason=" ".join(str(error).split())[:300])
            except Exception:
                # The worker has other work that must not end with this.
                log.exception("a rebuild failed, trying again")
            stop.wait(TURN_SECONDS)


def _turn(
    settings: Settings,
    client: redis.Redis,
    models: Mapping[str, RedisReadModel],
    stop: threading.Event,
) -> None:
    site = Site(client)
    standing, rebuilds = site.look()
    if _ask_for_new_versions(site, standing, rebuilds, models):
        standing, rebuilds = site.look()
    for rebuild in reversed(rebuilds):
        if (not rebuild.ended or rebuild.to_clear) and _is_ours(site, rebuild, models):
            _carry_out(settings, client, models, rebuild, stop)
    _drop_what_is_over(client, standing, rebuilds, models)


def _carry_out(
    settings: Settings,
    client: redis.Redis,
    models: Mapping[str, RedisReadModel],
    rebuild: Rebuild,
    stop: threading.Event,
) -> None:
    database_url = settings.database_url_or_fail()
    with closing(Lease(database_url, rebuild)) as lease:
        if not lease.take():
            return

        def pause(seconds: float) -> None:
            lease.speak()
            if stop.wait(seconds):
                raise Stopping

        # Looked at again under the lease: it may have ended since.
        current = next((one for one in Site(client).look()[1] if one.id == rebuild.id), None)
        if current is None or (current.ended and not current.to_clear):
            return
        builder = Builder(
            client,
            Source(database_url, settings.archive),
            models,
            Site(client).take(current, str(uuid4())),
            head=lease.head,
            pause=pause,
            keep_seconds=settings.rebuild_keep_seconds,
        )
        with suppress(Stopping, Lost, FolderEnded):
            builder.run()


def _is_ours(site: Site, rebuild: Rebuild, models: Mapping[str, RedisReadModel]) -> bool:
    """Whether all its versions are builds of our folds. Those of older ones are given up."""
    known = [part for part in rebuild.read_models if part.name in models]
    if len(known) < len(rebuild.read_models):
        return False
    folds = [(code_of(part.to_version), models[part.name].version) for part in known]
    if any(code < ours for code, ours in folds):
        if rebuild.cancelled_by is None and not rebuild.ended:
            site.cancel(rebuild, by=SUPERSEDED)
        return True
    return all(code == ours for code, ours in folds)


def _ask_for_new_versions(
    site: Site,
    standing: Standing,
    rebuilds: Sequence[Rebuild],
    models: Mapping[str, RedisReadModel],
) -> bool:
    """Ask for a build of every fold that is newer than what is live; whether there is any."""
    busy = {part.name for one in rebuilds if one.state not in ENDED for part in one.read_models}
    # What has failed would fail again: somebody has to look first.
    failed = {
        (part.name, part.to_version)
        for one in rebuilds
        if one.state in ("failed", "cancelled")
        for part in one.read_models
    }
    parts = tuple(
        Part(name=name, from_version=live, to_version=model.version)
        for name, model in models.items()
        if (live := standing.active.get(name)) is not None
        and code_of(live) < model.version
        and name not in busy
        and (name, model.version) not in failed
    )
    if not parts:
        return False
    return site.keep(
        Rebuild(
            id=uuid4(),
            kind="new version",
            state="waiting",
            read_models=parts,
            requested_by=SYSTEM,
            requested_at=utc_now(),
        )
    )


def _drop_what_is_over(
    client: redis.Redis,
    standing: Standing,
    rebuilds: Sequence[Rebuild],
    models: Mapping[str, RedisReadModel],
) -> None:
    """Delete versions that have been kept for long enough, a moment after nobody can ask for them
    any more."""
    busy = {part.name for one in rebuilds if one.state not in ENDED for part in one.read_models}
    for name, kept in standing.kept.items():
        if name in models and name not in busy and kept.until + GRACE_SECONDS < time():
            drop(client, Keyspace(name, kept.version))
