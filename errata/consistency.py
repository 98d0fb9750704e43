"""Comparisons with the log for the API: of one error here, of everything in a process of its own,
so that requests are answered meanwhile.

That process says in Redis how far it has come, in a key that expires when nobody says it any more;
so all processes of the API know of it, and a dead one holds nobody up. It ends with the process
that began it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import redis.asyncio as async_redis
import structlog

from api.consistency_ports import Comparison
from domain.failures import Unavailable
from errata.error_check import check_error
from errata.folding import Source
from errata.verification import Cancelled, CannotVerify, Stage, beating, verify
from infra.clock import utc_now
from infra.event_store.archive import ArchiveDamaged
from infra.event_store.codec import UnknownEvent
from infra.event_store.reader import HoleInLog
from infra.redis import connect
from infra.settings import Settings
from projections.findings import Verdict
from projections.registry import ALL_READ_MODELS, READ_MODELS
from projections.verification import MovedBack

log = structlog.get_logger("errata.consistency")

COMPARISON = "errata:consistency"
"""Redis string: the last Comparison, as JSON."""

ALIVE_SECONDS = 15
ANSWERED_SECONDS = 60
"""So long a comparison that has ended is the answer."""

PATIENCE = 2.0
"""Seconds that a request waits for the end of a comparison."""

STOP_SECONDS = 5.0
_POLL_SECONDS = 0.1
_SAY_SECONDS = 0.25

_BROKEN = (CannotVerify, MovedBack, HoleInLog, ArchiveDamaged, UnknownEvent, psycopg.Error)


class Place(msgspec.Struct, frozen=True):
    """Where a log and its read models are."""

    source: Source
    redis_url: str


class ConsistencyChecks:
    """The comparisons of one installation, for one process. `stop` when it ends. See
    api.consistency_ports."""

    def __init__(self, settings: Settings, client: async_redis.Redis) -> None:
        source = Source(settings.database_url_or_fail(), settings.archive)
        self._place = Place(source, settings.redis_url_or_fail())
        self._client: Any = client
        self._process: subprocess.Popen[bytes] | None = None
        self.patience = PATIENCE

    async def stop(self) -> None:
        """Give up what is under way."""
        await asyncio.to_thread(self._end)

    async def of_error(self, error_id: UUID) -> Sequence[Verdict]:
        """See api.consistency_ports."""
        return await asyncio.to_thread(self._check, error_id)

    async def of_all(self) -> Comparison:
        """See api.consistency_ports."""
        deadline = monotonic() + self.patience
        found = await self._said()
        if found is None:
            await asyncio.to_thread(self._begin)
            found = Comparison(state="running", started_at=utc_now())
        while found.state == "running" and monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            found = await self._said() or found
        return found

    async def _said(self) -> Comparison | None:
        found = await self._client.get(COMPARISON)
        return None if found is None else _decode(found)

    def _check(self, error_id: UUID) -> Sequence[Verdict]:
        try:
            with connect(self._place.redis_url) as client:
                return check_error(self._place.source, client, READ_MODELS, error_id)
        except psycopg.OperationalError as error:
            raise Unavailable("postgres", "the event store cannot be reached") from error
        except (MovedBack, HoleInLog, ArchiveDamaged, UnknownEvent) as error:
            raise Unavailable("projections", str(error)) from error

    def _begin(self) -> None:
        """Start the process, unless it runs."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._end()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "errata.consistency"],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for us; it ends when we do
        )
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already: the next question starts another
            self._process.stdin.write(msgspec.json.encode(self._place) + b"\n")
            self._process.stdin.flush()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Job:
    """The life of the process: one comparison of everything."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client = connect(place.redis_url)
        self._said = Comparison(state="running", started_at=utc_now())
        self._at: datetime = self._said.started_at
        self._cancelled = threading.Event()

    def run(self) -> None:
        """Compare and say so, unless somebody does already."""
        if not self._client.set(COMPARISON, _encode(self._said), nx=True, ex=ALIVE_SECONDS):
            return
        try:
            with beating(self._say):
                verdicts = list(
                    verify(
                        self._place.source,
                        self._client,
                        ALL_READ_MODELS,
                        self._tell,
                        self._cancelled.is_set,
                    )
                )
            self._ended(state="done", verdicts=verdicts)
        except Cancelled:
            self._client.delete(COMPARISON)
        except _BROKEN as error:
            log.error("comparison failed", reason=str(error))
            self._ended(state="failed", reason=" ".join(str(error).split()))

    def cancel(self) -> None:
        """Give up at the next page."""
        self._cancelled.set()

    def _tell(self, stage: Stage) -> None:
        self._said = msgspec.structs.replace(
            self._said, position=stage.position, target=stage.target, comparing=stage.comparing
        )
        if stage.comparing or (utc_now() - self._at).total_seconds() > _SAY_SECONDS:
            self._say()

    def _say(self) -> None:
        self._at = utc_now()
        self._client.set(COMPARISON, _encode(self._said), ex=ALIVE_SECONDS)

    def _ended(self, **how: Any) -> None:
        said = msgspec.structs.replace(self._said, finished_at=utc_now(), comparing=None, **how)
        self._client.set(COMPARISON, _encode(said), ex=ANSWERED_SECONDS)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Comparison).decode


def main() -> None:
    """Do what stdin says, until it is done or stdin ends."""
    job = Job(msgspec.json.decode(sys.stdin.buffer.readline(), type=Place))

    def watch() -> None:
        # Not by way of sys.stdin, whose lock this thread would hold when the process ends.
        while os.read(0, 1_024):
            pass
        job.cancel()

    threading.Thread(target=watch, name="parent", daemon=True).start()
    job.run()


if __name__ == "__main__":
    main()
