"""What `errata rebuild` asks of rebuilds, directly where they are kept. No printing here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TypeVar
from uuid import UUID, uuid4

from domain.failures import Conflict, NotFound, Unavailable
from errata.administration import worker_runs
from errata.worker import run_worker
from infra.clock import utc_now
from infra.redis import connect, connect_async
from infra.settings import Settings
from projections.rebuilds import Rebuild, Rebuilds, Site
from projections.registry import READ_MODELS
from projections.versions import Standing, standing_of

T = TypeVar("T")

ACTOR = "system:cli"
POLL_SECONDS = 0.1
START_SECONDS = 10.0
STOP_SECONDS = 10.0


def ask_for_rebuild(settings: Settings, names: Sequence[str], *, expect_same: bool) -> Rebuild:
    """Ask for read models to be built anew. Raises Conflict where one cannot be."""
    return _asked(
        settings,
        lambda rebuilds: rebuilds.request(
            uuid4(), names, by=ACTOR, at=utc_now(), expect_same=expect_same
        ),
    )


def ask_for_rollback(settings: Settings, names: Sequence[str]) -> Rebuild:
    """Ask for the versions before the last rebuilds; of all that are kept where none is named.
    Raises Conflict where there is none."""

    async def ask(rebuilds: Rebuilds) -> Rebuild:
        wanted = names or sorted((await rebuilds.standing()).kept)
        if not wanted:
            raise Conflict("no earlier version of any read model is kept")
        return await rebuilds.roll_back(uuid4(), wanted, by=ACTOR, at=utc_now())

    return _asked(settings, ask)


def ask_to_cancel(settings: Settings, rebuild_id: UUID) -> Rebuild:
    """Ask for a rebuild to be given up. Raises NotFound, Conflict where it has ended."""
    rebuild = _asked(settings, lambda rebuilds: rebuilds.cancel(rebuild_id, by=ACTOR))
    if rebuild is None:
        raise NotFound(f"no rebuild {rebuild_id}; errata rebuild --list shows those there are")
    return rebuild


def known(settings: Settings) -> tuple[Standing, list[Rebuild]]:
    """Which versions are live and kept, and the rebuilds that are remembered, newest first."""
    client = connect(settings.redis_url_or_fail())
    try:
        return Site(client).look()
    finally:
        client.close()


def progress(settings: Settings, rebuild: Rebuild) -> Iterator[Rebuild]:
    """The rebuild as it goes on, up to its end. Raises NotFound where it vanishes: Redis has lost
    its data, and all is built from the log."""
    client = connect(settings.redis_url_or_fail())
    try:
        while True:
            found = next((one for one in Site(client).look()[1] if one.id == rebuild.id), None)
            if found is None:
                raise NotFound("the rebuild is gone: Redis has lost its data")
            yield found
            if found.ended and not found.to_clear:
                return
            sleep(POLL_SECONDS)
    finally:
        client.close()


@contextmanager
def somebody_at_work(settings: Settings) -> Iterator[bool]:
    """A worker for the life of a block: one that runs, or else one of our own; whether it is one
    of our own. Every read model then has a live version. Raises Unavailable."""
    client = connect(settings.redis_url_or_fail())
    stop = threading.Event()
    thread = threading.Thread(target=run_worker, args=(settings, stop), daemon=True)
    try:
        own = not worker_runs(client)
        if own:
            thread.start()
        deadline = monotonic() + START_SECONDS
        while len(standing_of(client).active) < len(READ_MODELS):
            if monotonic() > deadline:
                raise Unavailable("projections", "no worker has begun: see errata status")
            sleep(POLL_SECONDS)
        yield own
    finally:
        stop.set()
        if thread.is_alive():
            thread.join(STOP_SECONDS)
        client.close()


def _asked(settings: Settings, ask: Callable[[Rebuilds], Awaitable[T]]) -> T:
    async def run() -> T:
        client = connect_async(settings.redis_url_or_fail())
        try:
            return await ask(Rebuilds(client, READ_MODELS))
        finally:
            await client.aclose()

    return asyncio.run(run())
