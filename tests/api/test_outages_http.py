"""What the API says while a part of the house is away, and after it came back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import redis

from tests.api.conftest import REPORT, running
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from infra.settings import Settings
    from tests.api.conftest import Api
    from tests.conftest import Servers

NOBODY = "unix:///nowhere/redis.sock"


async def test_without_redis_reports_and_changes_go_on_and_reads_are_503(
    settings: Settings, api_alone: Api
) -> None:
    made = await api_alone.report()
    async with running(msgspec.structs.replace(settings, redis_url=NOBODY)) as api:
        for path in ("/api/errors", f"/api/errors/{made['id']}"):
            answer = await api.get(path)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert answer.json()["code"] == "redis_unavailable"
        assert (await api.report())["count"] == 2
        retried = {**REPORT, "event_id": str(uuid4())}
        for _ in range(2):
            answer = await api.post("/api/errors", json=retried)
            assert (answer.status_code, answer.json()["data"]["count"]) == (201, 3)
        path = f"/api/errors/{made['id']}"
        assert (await api.put(f"{path}/resolve")).status_code == 200
        assert (await api.get(f"{path}/occurrences")).status_code == 200
        bound = {"X-API-Key": "ei_test_key_12345"}
        assert (await api.post("/api/errors", json=REPORT, headers=bound)).status_code == 201
        assert (await api.post("/api/errors", json={**REPORT, "app": "x"})).status_code == 503


async def test_while_redis_is_frozen_reports_go_on_and_a_read_gives_up(
    settings: Settings, api: Api, servers: Servers
) -> None:
    async with running(msgspec.structs.replace(settings, rate_limits=True)) as limited:
        await limited.report()
        assert (await limited.get("/api/errors")).status_code == 200
        redis_process = servers.embedded.pids["redis"]
        os.kill(redis_process, signal.SIGSTOP)
        try:
            reading = asyncio.create_task(limited.get("/api/errors?limit=1"))
            for _ in range(3):
                await limited.report()
            answer = await reading
            assert (answer.status_code, answer.json()["code"]) == (503, "redis_unavailable")
        finally:
            os.kill(redis_process, signal.SIGCONT)
        async with asyncio.timeout(PATIENCE):
            while (answer := await limited.get("/api/errors")).status_code != 200:
                await asyncio.sleep(0.05)
        position = str(await limited.container.store.head())
        answer = await limited.get("/api/errors", headers={"X-Min-Position": position})
        assert answer.json()["data"]["errors"][0]["count"] == 4


async def test_without_postgres_writes_are_503(settings: Settings, api_alone: Api) -> None:
    away = msgspec.structs.replace(settings, database_url="postgresql://postgres@localhost:1/none")
    async with running(away) as api:
        answer = await api.post("/api/errors", json=REPORT)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json()["code"] == "postgres_unavailable"
        unknown = await api.get("/api/errors", headers={"X-API-Key": "sk_live_other"})
        assert (unknown.status_code, unknown.json()["code"]) == (503, "postgres_unavailable")
        ready = await api.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
        assert (await api.get("/health/live")).status_code == 200


async def test_an_emptied_redis_is_never_taken_for_an_empty_log(api: Api, redis_url: str) -> None:
    made = [(await api.report(message=f"failure {word}"))["id"] for word in "abcdefgh"]
    assert (await api.get(f"/api/errors/{made[-1]}")).status_code == 200
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    began = time.monotonic()
    seen: list[int] = []
    while time.monotonic() - began < 10:
        one, many = await api.get(f"/api/errors/{made[0]}"), await api.get("/api/errors")
        assert one.status_code in (200, 503), one.text
        assert many.status_code == 503 or many.json()["data"]["total"] == 8, many.text
        seen.append(many.status_code)
        if seen[-3:] == [200] * 3:
            break
        await asyncio.sleep(0.02)
    assert seen[-1] == 200


async def test_a_read_during_a_rebuild_says_how_far_it_is(
    settings: Settings, api_alone: Api
) -> None:
    for _ in range(3):
        await api_alone.report()
    async with running(settings) as late:
        await late.container.positions.look()
        for path in ("/api/errors", f"/api/errors/{uuid4()}"):
            answer = await late.get(path)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
            assert "error_groups is being rebuilt (0 of 5 events)" in answer.json()["error"]
