"""Runs jobs from time to time, on one host only, whatever happens to that host.

Any number of schedulers may run; the one that holds a PostgreSQL advisory lock leads, and only the
leader works. Jobs are given the very session that holds the lock, so a leader that has lost it
(killed, cut off, or frozen until the server ended its session) cannot do any more work: the
statement fails. The others ask for the lock twice a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = structlog.get_logger("errata.scheduler")

Session = psycopg.Connection[Any]

FROZEN_SECONDS = 5
"""A leader that is silent for longer is taken for frozen: the server ends its session."""
_TURN_SECONDS = 0.5
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('errata:scheduler', 0))"


@dataclass(frozen=True)
class Job:
    """Something to do every so many seconds, over the leader's session (autocommit).

    A failure is logged, and the next time is another try.
    """

    name: str
    seconds: float
    run: Callable[[Session], None]


class Leadership:
    """A session with the lock, or on its way to it."""

    def __init__(self, database_url: str, frozen_seconds: int) -> None:
        self._url = database_url
        self._frozen_seconds = frozen_seconds
        self._session: Session | None = None
        self._leading = False

    @property
    def session(self) -> Session | None:
        """The session that holds the lock, while we lead."""
        return self._session if self._leading else None

    def keep(self) -> bool:
        """Take the lock if it is free, keep the session from falling silent; whether we lead.

        Raises psycopg.OperationalError while the database is away.
        """
        try:
            if self._session is None:
                self._session = self._connect()
            if self._leading:
                self._session.execute("SELECT 1")
            else:
                row = self._session.execute(_LOCK).fetchone()
                self._leading = bool(row and row[0])
        except psycopg.Error:
            self.resign()
            raise
        return self._leading

    def resign(self) -> None:
        """Let the lock go, with the session."""
        self._leading = False
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg.Error):
                session.close()

    def _connect(self) -> Session:
        session = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=2,
            tcp_user_timeout=self._frozen_seconds * 1000,
            application_name="errata scheduler",
        )
        session.execute(
            "SELECT set_config('idle_session_timeout', %s, false),"
            # A job that waits for a table would make everybody wait who comes after it.
            "       set_config('lock_timeout', '2s', false)",
            (f"{self._frozen_seconds}s",),
        )
        return session


class Scheduler:
    """Runs `jobs` while it leads."""

    def __init__(
        self, database_url: str, jobs: Sequence[Job], *, frozen_seconds: int = FROZEN_SECONDS
    ) -> None:
        self._leadership = Leadership(database_url, frozen_seconds)
        self._away = False
        self._timetable = BackgroundScheduler(
            timezone=UTC,
            # One thread: the jobs share a session, and each is short.
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for job in jobs:
            self._timetable.add_job(
                partial(self._run, job),
                IntervalTrigger(seconds=job.seconds, timezone=UTC),
                id=job.name,
                next_run_time=datetime.now(UTC),
            )

    @property
    def leading(self) -> bool:
        """Whether this scheduler is the one that works."""
        return self._leadership.session is not None

    @property
    def away(self) -> bool:
        """Whether the database could not be reached the last time, so that nobody can lead."""
        return self._away

    def run(self, stop: threading.Event) -> None:
        """Lead or stand by until `stop` is set. An unreachable database is waited out."""
        self._timetable.start(paused=True)
        try:
            while not stop.is_set():
                led = self.leading
                try:
                    self._leadership.keep()
                    self._away = False
                except psycopg.Error as error:
                    if not self._away:
                        log.warning("the database is away", reason=_line(error))
                    self._away = True
                self._follow(led)
                stop.wait(_TURN_SECONDS)
        finally:
            self._timetable.shutdown(wait=True)
            self._leadership.resign()

    def _follow(self, led: bool) -> None:
        """Start or stop the timetable when leadership has changed."""
        if self.leading and not led:
            log.info("leading")
            self._timetable.resume()
        elif led and not self.leading:
            log.warning("no longer leading")
            self._timetable.pause()

    def _run(self, job: Job) -> None:
        session = self._leadership.session
        if session is None:
            return
        try:
            job.run(session)
        except psycopg.Error as error:
            log.error("job failed", job=job.name, reason=_line(error))
        except Exception:
            # A bug in one job must not end it for ever, nor the others.
            log.exception("job failed", job=job.name)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
