"""Performance, services, metrics and uptime as the document has them, and never made up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

import pytest

from domain.observation import Look
from domain.service import CACHE, DATABASE, ERRATA, NoteServiceDown, NoteServiceUp
from errata.scheduler import run_scheduler
from infra.probes import Board
from infra.redis import connect_async
from infra.samples import Sample, Samples
from infra.settings import Settings
from tests.api.conftest import Api
from tests.waiting import PATIENCE

NUMBER = (int, float)
UPTIME_FIELDS = {
    "current_uptime_hours": NUMBER,
    "uptime_percent_24h": NUMBER,
    "uptime_percent_7d": NUMBER,
    "uptime_percent_30d": NUMBER,
    "incidents_count": int,
    "last_downtime": str,
}
METRICS_FIELDS = {
    "cpu_usage_percent": NUMBER,
    "memory_usage_percent": NUMBER,
    "disk_usage_percent": NUMBER,
    "network_io": dict,
    "active_connections": int,
    "requests_per_minute": NUMBER,
}
PERFORMANCE_FIELDS = {
    "avg_response_time": NUMBER,
    "error_rate_percent": NUMBER,
    "throughput_rpm": NUMBER,
    "availability_percent": NUMBER,
    "performance_score": NUMBER,
}


@pytest.fixture
def scheduler(settings: Settings, api_alone: Api) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=run_scheduler, args=(settings, stop), daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(10)


async def data(api: Api, path: str, **parameters: str) -> dict[str, Any]:
    answer = await api.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "success"
    return dict(body["data"])


def assert_types(body: dict[str, Any], fields: dict[str, Any]) -> None:
    for name, kind in fields.items():
        assert isinstance(body[name], kind), (name, body[name])


async def went_down(api: Api, service: str, *, ago: float, seconds: float) -> int:
    now = datetime.now(UTC)
    down, up = now - timedelta(seconds=ago), now - timedelta(seconds=ago - seconds)
    await api.execute(NoteServiceDown(service=service, at=down, reason="gone"))
    return await api.execute(NoteServiceUp(service=service, at=up))


async def test_what_nobody_has_measured_is_null(api: Api) -> None:
    uptime = await data(api, "/api/monitoring/uptime")
    metrics = await data(api, "/api/monitoring/metrics")
    performance = await data(api, "/api/analytics/performance")
    assert all(uptime[name] is None for name in UPTIME_FIELDS if name != "incidents_count")
    assert uptime["incidents_count"] == 0
    assert all(metrics[name] is None for name in METRICS_FIELDS)
    assert metrics["series"] == []
    assert all(performance[name] is None for name in PERFORMANCE_FIELDS)


async def test_services_that_nobody_has_looked_at_are_unknown(api: Api) -> None:
    body = await data(api, "/api/monitoring/services")
    assert body["overall_health"] == "unknown"
    names = ["Database", "Cache Service", "Event log", "Scheduler"]
    assert [one["name"] for one in body["services"]] == names
    assert {one["status"] for one in body["services"]} == {"unknown"}


async def test_a_scheduler_finds_all_parts_healthy(api: Api, scheduler: None) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            body = await data(api, "/api/monitoring/services")
            services = {one["name"]: one for one in body["services"]}
            # What a service is now shows at once, its uptime once its first event is folded.
            told = all(services[name]["uptime_percent"] for name in ("Database", "Cache Service"))
            if body["overall_health"] == "healthy" and told:
                break
            await asyncio.sleep(0.2)
    assert services["Database"]["details"]["max_connections"] >= 10
    assert services["Database"]["details"]["connections"] >= 1
    assert services["Cache Service"]["details"]["memory_bytes"] > 0
    assert services["Event log"]["details"]["position"] >= 1
    assert services["Read model error_groups"]["details"]["lag_events"] == 0
    assert services["Scheduler"]["details"]["leaders"] == 1
    for name in ("Database", "Cache Service"):
        assert_types(services[name], {"uptime_percent": NUMBER, "response_time_ms": NUMBER})
        assert services[name]["last_checked"].endswith("Z")


async def test_an_old_look_says_nothing(api: Api, redis_url: str) -> None:
    client = connect_async(redis_url)
    old = datetime.now(UTC) - timedelta(seconds=46)
    await Board(client).post(Look(service=DATABASE, status="healthy", at=old))
    await client.aclose()
    body = await data(api, "/api/monitoring/services")
    assert body["services"][0]["status"] == "unknown"
    assert "46 s ago" in body["services"][0]["reason"]


async def test_a_downtime_shows_with_its_length(api: Api) -> None:
    week_ago = datetime.now(UTC) - timedelta(days=7)
    await api.execute(NoteServiceUp(service=ERRATA, at=week_ago))
    position = await went_down(api, ERRATA, ago=3600, seconds=60)
    headers = {"X-Min-Position": str(position)}
    answer = await api.get("/api/monitoring/uptime", headers=headers)
    body = answer.json()["data"]
    assert_types(body, UPTIME_FIELDS)
    assert body["incidents_count"] == 1
    assert body["current_uptime_hours"] == pytest.approx(3540 / 3600, abs=0.01)
    assert body["uptime_percent_24h"] == pytest.approx(100 * (1 - 60 / 86_400), abs=0.001)
    assert body["uptime_percent_7d"] == pytest.approx(100 * (1 - 60 / 604_800), abs=0.001)
    assert body["incidents"][0]["seconds"] == pytest.approx(60, abs=0.01)
    assert body["last_downtime"] == body["incidents"][0]["start"]


async def test_errata_is_down_while_its_database_is(api: Api) -> None:
    await api.execute(NoteServiceUp(service=ERRATA, at=datetime.now(UTC) - timedelta(hours=5)))
    await went_down(api, DATABASE, ago=7200, seconds=20)
    position = await went_down(api, ERRATA, ago=3600, seconds=60)
    headers = {"X-Min-Position": str(position)}
    whole = (await api.get("/api/monitoring/uptime", headers=headers)).json()["data"]
    assert [round(one["seconds"]) for one in whole["incidents"]] == [60, 20]
    database = await data(api, "/api/monitoring/uptime", service=DATABASE)
    assert [round(one["seconds"]) for one in database["incidents"]] == [20]


async def test_the_scheduler_has_one_uptime_without_that_of_the_database(api: Api) -> None:
    await api.execute(NoteServiceUp(service=ERRATA, at=datetime.now(UTC) - timedelta(hours=5)))
    await went_down(api, DATABASE, ago=7200, seconds=600)
    position = await went_down(api, ERRATA, ago=3600, seconds=1800)
    headers = {"X-Min-Position": str(position)}
    answer = await api.get("/api/monitoring/uptime?service=Scheduler", headers=headers)
    asked = answer.json()["data"]["uptime_percent_30d"]
    services = (await data(api, "/api/monitoring/services"))["services"]
    listed = next(one for one in services if one["name"] == "Scheduler")["uptime_percent"]
    assert asked == pytest.approx(90, abs=0.01)
    assert listed == pytest.approx(asked, abs=0.01)


async def test_the_uptime_of_an_unknown_service_is_404(api: Api) -> None:
    assert (await api.get("/api/monitoring/uptime?service=nothing")).status_code == 404


async def test_the_host_is_averaged_over_the_timeframe(api: Api, redis_url: str) -> None:
    client = connect_async(redis_url)
    samples = Samples(client)
    now = int(time()) // 10 * 10
    for ago, cpu in ((7200, 90.0), (60, 10.0), (30, 30.0)):
        await samples.keep(Sample(now - ago, 1, cpu, 50.0, 20.0, 4, 1000, 2000))
    await client.aclose()
    hour = await data(api, "/api/monitoring/metrics")
    assert_types(hour, METRICS_FIELDS)
    assert hour["cpu_usage_percent"] == 20.0
    assert hour["network_io"] == {"bytes_in": 2000, "bytes_out": 4000}
    for timeframe in ("6h", "24h", "7d", "30d"):
        longer = await data(api, "/api/monitoring/metrics", timeframe=timeframe)
        assert longer["cpu_usage_percent"] == pytest.approx(130 / 3, abs=0.1), timeframe
        assert sum(one["bytes_in"] for one in longer["series"]) == 3000


@pytest.mark.parametrize("timeframe", ["2h", "", "1H"])
async def test_another_timeframe_is_refused(api: Api, timeframe: str) -> None:
    answer = await api.get(f"/api/monitoring/metrics?timeframe={timeframe}")
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == "timeframe"


async def test_performance_is_that_of_the_requests_before(api: Api) -> None:
    await api.execute(NoteServiceUp(service=ERRATA, at=datetime.now(UTC) - timedelta(days=1)))
    for _ in range(4):
        await api.get("/api/errors")
    await api.get("/health")
    async with asyncio.timeout(PATIENCE):
        while True:
            body = await data(api, "/api/analytics/performance")
            if body["performance_score"] is not None:
                break
            await asyncio.sleep(0.2)
    assert_types(body, PERFORMANCE_FIELDS)
    assert body["error_rate_percent"] == 0
    assert 0 < body["performance_score"] <= 10
    assert body["availability_percent"] == 100


async def test_without_redis_nothing_is_available(api: Api) -> None:
    await api.execute(NoteServiceUp(service=ERRATA, at=datetime.now(UTC) - timedelta(hours=5)))
    position = await went_down(api, CACHE, ago=7200, seconds=1800)
    headers = {"X-Min-Position": str(position)}
    answer = await api.get("/api/analytics/performance", headers=headers)
    assert answer.json()["data"]["availability_percent"] == pytest.approx(90, abs=0.01)
