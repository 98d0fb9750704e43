"""Who may do what over HTTP: keys, permissions, applications, origins."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.api.all_routes import knock, routes_of
from tests.api.conftest import REPORT, running

if TYPE_CHECKING:
    from infra.settings import Settings
    from tests.api.conftest import Api


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "the X-API-Key header is missing"),
        ({"X-API-Key": ""}, "the X-API-Key header is empty"),
        ({"X-API-Key": "wrong"}, "the API key is unknown"),
        ({"Authorization": "Basic abc"}, "the X-API-Key header is missing"),
        ({"Authorization": "Bearer wrong"}, "the API key is unknown"),
    ],
)
async def test_a_request_without_a_key_that_works_is_401(
    api_alone: Api, headers: dict[str, str], reason: str
) -> None:
    del api_alone.headers["X-API-Key"]
    answer = await api_alone.get("/api/errors", headers=headers)
    assert (answer.status_code, answer.json()) == (
        401,
        {"error": reason, "status": "error", "code": "unauthorized"},
    )


async def test_a_bearer_token_is_a_key_too(api: Api) -> None:
    del api.headers["X-API-Key"]
    answer = await api.get("/api/errors", headers={"Authorization": "Bearer test-api-key"})
    assert answer.status_code == 200


async def test_a_key_works_and_stops_working_within_a_second(api: Api) -> None:
    key = await api.issue("read")
    headers = {"X-API-Key": key}
    assert (await api.get("/api/errors", headers=headers)).status_code == 200
    await api.revoke(key)
    began = time.monotonic()
    while (answer := await api.get("/api/errors", headers=headers)).status_code == 200:
        assert time.monotonic() - began < 1
        await asyncio.sleep(0.02)
    assert (answer.status_code, answer.json()["error"]) == (401, "the API key was revoked")


async def test_an_expired_key_is_401_and_says_when(api: Api) -> None:
    key = await api.issue("read", lifetime=0.3)
    answer = await api.get("/api/errors", headers={"X-API-Key": key})
    assert answer.status_code == 401
    assert answer.json()["error"].startswith("the API key expired at 2")


@pytest.mark.parametrize(
    ("held", "method", "path", "missing"),
    [
        ("read", "POST", "/api/errors", "ingest"),
        ("ingest", "GET", "/api/errors", "read"),
        ("ingest", "GET", "/api/errors/x", "read"),
        ("ingest", "GET", "/api/errors/x/occurrences", "read"),
        ("read", "PUT", "/api/errors/x/resolve", "write"),
        ("read", "PUT", "/api/errors/x/reopen", "write"),
        ("read", "DELETE", "/api/errors/x", "write"),
        ("ingest", "POST", "/api/errors/bulk", "write"),
    ],
)
async def test_a_key_without_the_permission_is_403_and_told_which(
    api_alone: Api, held: str, method: str, path: str, missing: str
) -> None:
    key = await api_alone.issue(held)
    answer = await api_alone.request(method, path, headers={"X-API-Key": key})
    assert answer.status_code == 403
    assert answer.json()["error"] == (
        f"this needs the permission '{missing}'; the key holds: {held}"
    )


async def test_write_includes_ingest(api_alone: Api) -> None:
    key = await api_alone.issue("write")
    answer = await api_alone.post("/api/errors", json=REPORT, headers={"X-API-Key": key})
    assert answer.status_code == 201


async def test_a_bound_key_sees_and_changes_only_its_application(api: Api) -> None:
    await api.register("shop")
    foreign = await api.report()
    key = await api.issue("read", "write", app="shop")
    api.headers["X-API-Key"] = key
    own = await api.report()
    seen = await api.get(f"/api/errors/{own['id']}")
    assert (own["app"], seen.status_code) == ("shop", 200)
    listed = (await api.get("/api/errors")).json()["data"]
    assert [one["id"] for one in listed["errors"]] == [own["id"]]
    path = f"/api/errors/{foreign['id']}"
    for method, end in (
        ("GET", ""),
        ("GET", "/occurrences"),
        ("PUT", "/resolve"),
        ("PUT", "/reopen"),
        ("DELETE", ""),
    ):
        assert (await api.request(method, f"{path}{end}")).status_code == 404
    bulk = await api.post("/api/errors/bulk", json={"action": "delete", "ids": [foreign["id"]]})
    assert bulk.json()["data"]["results"][0]["status"] == "not_found"


async def test_a_bound_key_that_names_another_application_is_403(api: Api) -> None:
    key = {"X-API-Key": "ei_test_key_12345"}
    answer = await api.post("/api/errors", json={**REPORT, "app": "default"}, headers=key)
    assert answer.status_code == 403
    own = await api.post("/api/errors", json={**REPORT, "app": "test-app"}, headers=key)
    assert (own.status_code, own.json()["data"]["app"]) == (201, "test-app")


async def test_an_unknown_application_is_400(api: Api) -> None:
    for answer in (
        await api.post("/api/errors", json={**REPORT, "app": "nowhere"}),
        await api.post("/api/errors?app=nowhere", json=REPORT),
    ):
        assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "app")


async def test_an_application_works_the_moment_it_is_registered(api: Api) -> None:
    await api.register("brand-new")
    assert (await api.report(app="brand-new"))["app"] == "brand-new"


async def test_app_selects_one_of_several(api: Api) -> None:
    await api.register("shop")
    await api.report(app="shop")
    made = await api.report()
    await api.get(f"/api/errors/{made['id']}")
    total = {}
    for query in ("", "?app=shop", "?app=default", "?app=nowhere"):
        total[query] = (await api.get(f"/api/errors{query}")).json()["data"]["total"]
    assert total == {"": 2, "?app=shop": 1, "?app=default": 1, "?app=nowhere": 0}


async def test_development_keys_do_not_work_in_production(settings: Settings) -> None:
    async with running(settings, production=True) as api:
        for key in ("test-api-key", "ei_test_key_12345"):
            answer = await api.get("/api/errors", headers={"X-API-Key": key})
            assert answer.status_code == 401


async def test_a_preflight_allows_every_header_of_the_api(api_alone: Api) -> None:
    answer = await api_alone.options(
        "/api/errors",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key,content-type,idempotency-key",
        },
    )
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    for name in (
        "x-api-key",
        "idempotency-key",
        "x-min-position",
        "x-request-id",
        "content-type",
        "content-encoding",
        "last-event-id",
    ):
        assert name in allowed.split(", ")


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://shop.example"}])
async def test_options_of_any_path_are_the_methods_it_knows(
    api_alone: Api, headers: dict[str, str]
) -> None:
    """No preflight, so it is answered by the route and not by CORS; and nobody needs a key."""
    routes = routes_of(api_alone)
    api_alone.headers.update(headers)
    for path in {path for _, path in routes}:
        answer = await knock(api_alone, ("OPTIONS", path), None)
        assert (answer.status_code, answer.content) == (204, b""), path
        known = {method for method, other in routes if other == path}
        assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", *known}, path
        assert ("access-control-allow-origin" in answer.headers) is ("Origin" in headers)


async def test_failures_carry_cors_headers_too(api_alone: Api) -> None:
    answer = await api_alone.get("/nowhere", headers={"Origin": "https://shop.example"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (404, "*")
    assert "X-Event-Position" in answer.headers["access-control-expose-headers"]


async def test_named_origins_keep_others_out(settings: Settings) -> None:
    async with running(settings, cors_origins=("https://shop.example",)) as api:
        mine = await api.get("/health/live", headers={"Origin": "https://shop.example"})
        other = await api.get("/health/live", headers={"Origin": "https://evil.example"})
    assert mine.headers["access-control-allow-origin"] == "https://shop.example"
    assert mine.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in other.headers
