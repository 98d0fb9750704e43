"""Custom checks over HTTP: made, changed, taken away, and run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from errata.scheduler import run_scheduler
from infra.settings import Settings
from tests.api.conftest import Api
from tests.waiting import PATIENCE

CHECKS = "/api/monitoring/checks"
FRONT_PAGE = {"name": "Front page", "target": "https://shop.example.com/"}


@pytest.fixture
def scheduler(settings: Settings, api_alone: Api) -> Iterator[None]:
    stop = threading.Event()
    allowed = msgspec.structs.replace(settings, allow_private_targets=True)
    thread = threading.Thread(target=run_scheduler, args=(allowed, stop), daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(10)


@pytest.fixture
async def open_port() -> AsyncIterator[int]:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def create(api: Api, **fields: Any) -> dict[str, Any]:
    answer = await api.post(CHECKS, json={**FRONT_PAGE, **fields})
    assert answer.status_code == 201, answer.text
    assert int(answer.headers["x-event-position"]) > 0
    return dict(answer.json()["data"])


async def test_a_new_check_has_its_defaults(api: Api) -> None:
    check = await create(api)
    assert check["interval"] == 60
    assert check["timeout"] == 5
    assert check["expected_status"] == 200
    assert check["body_text"] is None
    assert check["enabled"] is True
    assert check["status"] == "unknown"
    assert check["version"] == 1


async def test_a_new_check_is_found_and_listed(api: Api) -> None:
    check = await create(api)
    assert (await api.get(f"{CHECKS}/{check['id']}")).json()["data"] == check
    assert (await api.get(CHECKS)).json()["data"] == {"checks": [check]}


async def test_a_check_is_one_of_the_services(api: Api) -> None:
    check = await create(api)
    await api.get(f"{CHECKS}/{check['id']}")
    services = (await api.get("/api/monitoring/services")).json()["data"]["services"]
    assert services[-1]["name"] == "Front page"
    assert services[-1]["check_id"] == check["id"]


async def test_all_that_is_wrong_is_told_at_once(api: Api) -> None:
    body = {"target": "ftp://x", "interval": 5, "timeout": "soon", "expected_status": 99}
    answer = await api.post(CHECKS, json=body)
    assert answer.status_code == 400
    fields = {one["field"] for one in answer.json()["fields"]}
    assert fields == {"name", "target", "interval", "timeout", "expected_status"}


async def test_what_is_given_changes(api: Api) -> None:
    check = await create(api)
    answer = await api.put(f"{CHECKS}/{check['id']}", json={"interval": 30})
    assert answer.status_code == 200, answer.text
    changed = answer.json()["data"]
    assert changed["interval"] == 30
    assert changed["target"] == check["target"]
    assert changed["version"] == 2


async def test_a_change_of_an_older_version_is_refused(api: Api) -> None:
    check = await create(api)
    path = f"{CHECKS}/{check['id']}"
    await api.put(path, json={"interval": 30})
    lost = await api.put(path, json={"interval": 45}, headers={"If-Match": '"1"'})
    assert lost.status_code == 409


async def test_a_deleted_check_is_gone(api: Api) -> None:
    check = await create(api)
    path = f"{CHECKS}/{check['id']}"
    deleted = await api.delete(path)
    assert deleted.status_code == 204
    headers = {"X-Min-Position": deleted.headers["x-event-position"]}
    assert (await api.get(path, headers=headers)).status_code == 404
    assert (await api.delete(path)).status_code == 404
    assert (await api.put(path, json={})).status_code == 404


@pytest.mark.parametrize(
    ("check_id", "status"), [("6f1d0c5e-6b0a-4a0e-9a55-4c2a0e77a7a1", 404), ("1", 400)]
)
async def test_an_unknown_id_is_404_and_a_wrong_one_400(
    api: Api, check_id: str, status: int
) -> None:
    assert (await api.get(f"{CHECKS}/{check_id}")).status_code == status


async def test_readers_see_checks_and_only_admins_change_them(api: Api) -> None:
    headers = {"X-API-Key": await api.issue("read", "write")}
    assert (await api.get(CHECKS, headers=headers)).status_code == 200
    answer = await api.post(CHECKS, json=FRONT_PAGE, headers=headers)
    assert answer.status_code == 403


async def test_a_key_of_one_application_changes_none(api: Api) -> None:
    await api.register("shop")
    headers = {"X-API-Key": await api.issue("read", "admin", app="shop")}
    assert (await api.get(CHECKS, headers=headers)).status_code == 200
    assert (await api.post(CHECKS, json=FRONT_PAGE, headers=headers)).status_code == 403


async def test_a_check_that_runs_shows_what_it_saw(
    api: Api, scheduler: None, open_port: int
) -> None:
    there = await create(api, target=f"tcp://127.0.0.1:{open_port}")
    gone = await create(api, target="tcp://127.0.0.1:1")
    async with asyncio.timeout(PATIENCE):
        while True:
            found = (await api.get(CHECKS)).json()["data"]["checks"]
            by_id = {one["id"]: one for one in found}
            if "unknown" not in {one["status"] for one in found}:
                break
            await asyncio.sleep(0.2)
    assert by_id[there["id"]]["status"] == "healthy"
    assert by_id[there["id"]]["response_time_ms"] > 0
    assert by_id[gone["id"]]["status"] == "unhealthy"
    assert "refused" in by_id[gone["id"]]["reason"]
