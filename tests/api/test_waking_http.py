"""Errors wake when their time has come, without any report."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from domain.error_group import DeleteError, MuteError
from errata.waking import run_waking, wake_due
from infra.clock import utc_now

if TYPE_CHECKING:
    from infra.settings import Settings
    from tests.api.conftest import Api

DEADLINE = 10.0


async def muted(api: Api, seconds: float) -> UUID:
    """An error that is muted for so long, in the read model too."""
    error = UUID((await api.report())["id"])
    now = utc_now()
    until = now + timedelta(seconds=seconds)
    seen = await api.execute(MuteError(error_id=error, until=until, now=now))
    assert await is_muted(api, error, seen)
    return error


async def is_muted(api: Api, error: UUID, seen: int) -> bool:
    answer = await api.get(f"/api/errors/{error}", headers={"X-Min-Position": str(seen)})
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["data"]["muted"])


async def test_an_error_wakes_when_its_time_has_come_and_not_before(
    api: Api, settings: Settings
) -> None:
    error = await muted(api, 60)
    assert await wake_due(settings) == 0
    await api.execute(
        MuteError(error_id=error, until=utc_now() + timedelta(seconds=0.05), now=utc_now())
    )
    await asyncio.sleep(0.05)
    await api.container.positions.wait("error_groups", await api.container.store.head(), DEADLINE)
    assert await wake_due(settings) == 1
    head = await api.container.store.head()
    assert not await is_muted(api, error, head)
    assert await wake_due(settings) == 0
    assert await api.container.store.head() == head


async def test_an_error_that_is_deleted_meanwhile_stands_in_nobodys_way(
    api: Api, settings: Settings
) -> None:
    error = await muted(api, 0.05)
    await asyncio.sleep(0.05)
    await api.execute(DeleteError(error_id=error))
    await wake_due(settings)


async def test_a_scheduler_that_leads_looks_by_itself(api: Api, settings: Settings) -> None:
    error = await muted(api, 0.05)
    stop = threading.Event()
    thread = threading.Thread(target=run_waking, args=(settings, lambda: True, stop), daemon=True)
    thread.start()
    try:
        until = monotonic() + DEADLINE
        while await is_muted(api, error, 0):
            assert monotonic() < until
            await asyncio.sleep(0.05)
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, DEADLINE)
    assert not thread.is_alive()


async def test_an_outage_of_redis_is_waited_out(api: Api, settings: Settings) -> None:
    away = msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1")
    stop = threading.Event()
    thread = threading.Thread(target=run_waking, args=(away, lambda: True, stop), daemon=True)
    thread.start()
    await asyncio.sleep(1.2)
    assert thread.is_alive()
    stop.set()
    await asyncio.to_thread(thread.join, DEADLINE)
    assert not thread.is_alive()
