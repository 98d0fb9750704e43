"""Watches Errata: looks at its parts, runs the custom checks, samples the host, and tells the log.

The scheduler that leads does all of it. While PostgreSQL is away nobody can lead, and every
scheduler looks at the parts, so that whoever leads next knows since when it was away; then what
one of them has seen is written once, as the log takes no news that it knows.

Errata itself was down where its sign of life in PostgreSQL is missing although nobody was there
to give it: from the last sign until this process began to run (or woke up, after a sleep).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

import psycopg
import structlog
from redis.exceptions import RedisError

from domain.failures import Unavailable
from domain.judgement import Judge
from domain.observation import Look
from domain.service import ERRATA, SCHEDULER, NoteServiceDown, NoteServiceUp
from infra.check_watch import CheckWatch
from infra.custom_checks import CheckRunner
from infra.event_store.reader import LogReader
from infra.news import News
from infra.open_connections import OpenConnections
from infra.presence import Presence
from infra.probes import Board, Probes
from infra.samples import Sampler, Samples

log = structlog.get_logger("errata.monitor")

_PATIENCE = 3.0


@dataclass(frozen=True)
class Pace:
    """How often what is done, in seconds. The servers are looked at in every turn, the other parts
    at the pace of `probe`, or of `retry` where the last look failed; `gap` is the shortest silence
    that counts as Errata not running."""

    turn: float = 1.0
    probe: float = 15.0
    retry: float = 5.0
    sample: float = 10.0
    beat: float = 5.0
    gap: float = 30.0


@dataclass(frozen=True)
class Role:
    """What the scheduler is at this moment: `leads` it, or finds PostgreSQL `away`."""

    leads: Callable[[], bool]
    away: Callable[[], bool]


@dataclass(frozen=True)
class Instruments:
    """What a monitor works with."""

    probes: Probes
    board: Board
    news: News
    presence: Presence
    reader: LogReader
    runner: CheckRunner
    sampler: Sampler
    samples: Samples
    connections: OpenConnections


class Monitor:
    """The watch of one scheduler. `notice_sleep`, `turn`, `sample` and `beat` are to be called at
    their pace, the first one in time with `turn`."""

    def __init__(
        self, with_: Instruments, role: Role, pace: Pace, clock: Callable[[], datetime]
    ) -> None:
        self._with = with_
        self._role = role
        self._pace = pace
        self._clock = clock
        self._judge = Judge()
        self._checks = CheckWatch(with_.reader, with_.runner, self._seen)
        self._due: dict[str, float] = {}
        self._led = False
        self._said_errata = False
        self._awake_since = self._awake = clock()

    async def notice_sleep(self) -> None:
        """Notice that this process, or its host, was stopped for a while. Waits for nothing."""
        now = self._clock()
        if now - self._awake > timedelta(seconds=self._pace.gap):
            self._awake_since = now
        self._awake = now

    async def turn(self) -> None:
        """Look at what is due, and say what is new."""
        leads = self._role.leads()
        if not leads and not self._role.away():
            await self._stand_by()
            return
        if leads and not self._led:
            await self._take_over()
        looks = (self._look(service) for service in self._services_due())
        if leads:
            await asyncio.gather(self._run_checks(), *looks)
            await self._with.news.tell()
        else:
            await asyncio.gather(*looks)
            await self._with.news.keep_copy()

    async def sample(self) -> None:
        """Take a sample of this host."""
        if self._led and self._with.sampler.ripe:
            await _unless_away(self._keep_sample())

    async def beat(self) -> None:
        """Say that Errata runs, and that it did not, if so: before the proof of it is gone."""
        if not self._role.leads():
            return
        news, now = self._with.news, self._clock()
        try:
            async with asyncio.timeout(_PATIENCE):
                last = await self._with.presence.last()
                if last is not None and self._is_gap(last):
                    reason = "Errata was not running"
                    news.add(NoteServiceDown(service=ERRATA, at=last, reason=reason))
                    news.add(NoteServiceUp(service=ERRATA, at=self._awake_since))
                elif not self._said_errata:
                    news.add(NoteServiceUp(service=ERRATA, at=now))
                self._said_errata = await news.tell()
                if self._said_errata:
                    await self._with.presence.beat(now)
        except (psycopg.Error, OSError, TimeoutError) as error:
            log.debug("no sign of life", reason=" ".join(str(error).split()))

    async def stop(self) -> None:
        """A last sign of life, so that a pause that is meant has its true length."""
        await self._checks.stop()
        if self._led:
            await _unless_away(self._with.presence.beat(self._clock()))

    def _is_gap(self, last: datetime) -> bool:
        return self._awake_since - last > timedelta(seconds=self._pace.gap)

    async def _stand_by(self) -> None:
        if self._led:
            await self._checks.stop()
        self._led = self._said_errata = False
        self._judge.forget()
        self._with.news.forget()
        self._due.clear()

    async def _take_over(self) -> None:
        self._led = True
        self._with.sampler.prime()
        await self._with.news.take_over()
        await self.beat()

    async def _keep_sample(self) -> None:
        connections = await self._with.connections.total()
        now = self._clock().timestamp()
        sample = await asyncio.to_thread(self._with.sampler.take, now, connections)
        await self._with.samples.keep(sample)

    async def _run_checks(self) -> None:
        try:
            before = self._checks.services
            if await self._checks.refresh():
                for service in before - self._checks.services:
                    self._judge.forget(service)
                await _unless_away(self._with.board.keep_only(self._services()))
        except Unavailable:
            return
        self._checks.start_due()

    async def _look(self, service: str) -> None:
        await self._seen(await self._with.probes.look(service, self._clock))
        wait = self._pace.retry if self._judge.doubts(service) else self._pace.probe
        if service in self._with.probes.frequent:
            wait = 0.0
        # Due a little early, so that a turn that comes a little early finds it so.
        self._due[service] = monotonic() + wait - self._pace.turn / 2

    async def _seen(self, look: Look) -> None:
        """Post a look, and keep what is new with it."""
        # That no scheduler runs, none can see: it shows as a downtime of Errata.
        news = None if look.service == SCHEDULER else self._judge.hear(look)
        if news is not None:
            say = log.warning if look.status == "unhealthy" else log.debug
            say("news", service=look.service, status=look.status, reason=look.reason)
            self._with.news.add(news)
        await _unless_away(self._with.board.post(look))

    def _services(self) -> set[str]:
        probes = self._with.probes
        return {*probes.frequent, *probes.others, *self._checks.services}

    def _services_due(self) -> Sequence[str]:
        probes, now = self._with.probes, monotonic()
        return [one for one in (*probes.frequent, *probes.others) if self._due.get(one, 0.0) <= now]


async def _unless_away(work: Awaitable[object]) -> None:
    """Do it if the server that it needs is there; if not, a later look shows it."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await work
    except (RedisError, psycopg.Error, OSError, TimeoutError) as error:
        log.debug("not done", reason=" ".join(str(error).split()))
