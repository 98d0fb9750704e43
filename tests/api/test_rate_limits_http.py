"""Rate limits over HTTP: the classes, the headers, 429, and nothing of it by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from api.app import GUARDED_ROUTES
from api.limits import rate_of
from api.openapi import described, operation_of
from domain.rate_limit import Rate
from tests.api.conftest import REPORT, running
from tests.api.test_outages_http import NOBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from infra.settings import Settings
    from tests.api.conftest import Api


@pytest.fixture
def limits(settings: Settings) -> Settings:
    return msgspec.structs.replace(
        settings,
        rate_limits=True,
        rate_limit_reports=3,
        rate_limit_analytics=2,
        rate_limit_general=4,
    )


@pytest.fixture
async def limited(limits: Settings, api: Api) -> AsyncIterator[Api]:
    async with running(limits) as client:
        await client.container.positions.look()
        yield client


async def test_without_the_setting_nobody_is_limited(api_alone: Api) -> None:
    assert api_alone.container.limiter is None
    answer = await api_alone.post("/api/errors", json=REPORT)
    assert not [name for name in answer.headers if name.lower().startswith("ratelimit")]


async def test_answers_say_what_is_left(limited: Api) -> None:
    answer = await limited.get("/api/errors")
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy")
    assert [answer.headers[name] for name in names] == ["4", "3", "15", "4;w=60"]


async def test_one_request_too_many_is_429_with_the_time_to_come_back(limited: Api) -> None:
    answers = [await limited.post("/api/errors", json=REPORT) for _ in range(4)]
    assert [one.status_code for one in answers] == [201, 201, 201, 429]
    refused = answers[-1]
    assert 19 <= int(refused.headers["Retry-After"]) <= 20
    assert refused.headers["RateLimit-Remaining"] == "0"
    body = refused.json()
    assert (body["status"], body["code"]) == ("error", "rate_limited")
    assert "'reports' than the 3 a minute" in body["error"]


async def test_each_class_and_each_key_has_a_budget_of_its_own(limited: Api) -> None:
    other = {"X-API-Key": await limited.issue("read", "write")}
    for _ in range(4):
        await limited.post("/api/errors", json=REPORT)
    for path in ("/api/stats", "/api/analytics/trends"):
        assert (await limited.get(path)).status_code == 200
    assert (await limited.get("/api/analytics/trends")).status_code == 429
    assert (await limited.get("/api/errors")).status_code == 200
    assert (await limited.post("/api/errors", json=REPORT, headers=other)).status_code == 201


async def test_an_unknown_key_is_401_and_health_is_free(limited: Api) -> None:
    unknown = {"X-API-Key": "sk_live_unknown"}
    for _ in range(6):
        assert (await limited.get("/api/errors", headers=unknown)).status_code == 401
        assert (await limited.get("/health/live")).status_code == 200


async def test_a_key_without_the_permission_is_limited_too(limited: Api) -> None:
    ingest = {"X-API-Key": "ei_test_key_12345"}
    statuses = [(await limited.get("/api/errors", headers=ingest)).status_code for _ in range(5)]
    assert statuses == [403] * 4 + [429]


async def test_two_processes_count_together(limits: Settings, limited: Api) -> None:
    async with running(limits) as second:
        both = [limited, second, limited, second]
        statuses = [(await one.post("/api/errors", json=REPORT)).status_code for one in both]
    assert statuses == [201, 201, 201, 429]


async def test_without_redis_requests_pass(limits: Settings, api_alone: Api) -> None:
    async with running(msgspec.structs.replace(limits, redis_url=NOBODY)) as api:
        for _ in range(6):
            answer = await api.post("/api/errors", json=REPORT)
            assert answer.status_code == 201
            assert "RateLimit-Limit" not in answer.headers


def test_reports_analytics_and_the_rest_are_three_classes(api_alone: Api) -> None:
    rates = {
        (method, path): rate_of(operation)
        for path, method, operation, _ in described(api_alone.app.routes)
        if path.startswith("/api/") and operation.permission
    }
    assert rates["POST", "/api/errors"] is Rate.REPORTS
    assert rates["GET", "/api/stats"] is Rate.ANALYTICS
    assert rates["GET", "/api/analytics/trends"] is Rate.ANALYTICS
    assert rates["GET", "/api/errors"] is Rate.GENERAL
    assert rates["POST", "/api/alerts/rules"] is Rate.GENERAL
    for (_, path), rate in rates.items():
        if path.startswith(("/api/analytics", "/api/monitoring")):
            assert rate is Rate.ANALYTICS, path


async def test_the_document_says_class_and_429_of_every_route(api_alone: Api) -> None:
    paths = (await api_alone.get("/docs/openapi.json")).json()["paths"]
    operations = [one for item in paths.values() for one in item.values()]
    limited = [one for one in operations if one["security"]]
    assert len(limited) >= len(GUARDED_ROUTES)
    assert all(operation_of(handler) for handler in GUARDED_ROUTES)
    for operation in limited:
        assert operation["x-rate-limit"] in list(Rate)
        assert "Retry-After" in operation["responses"]["429"]["headers"]
