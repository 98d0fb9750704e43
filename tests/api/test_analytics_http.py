"""Statistics and trends over HTTP, against real servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis

from api.analytics import spoken

if TYPE_CHECKING:
    from tests.api.conftest import Api

DOCUMENTED = {
    "total_errors": int,
    "resolved_errors": int,
    "errors_today": int,
    "errors_this_week": int,
    "errors_this_month": int,
    "error_rate_24h": float,
    "resolution_rate": float,
    "avg_resolution_time": str,
}


async def stats(api: Api, **query: str) -> dict[str, Any]:
    """The statistics as of the log's head."""
    return await _data(api, "/api/stats", query)


async def trends(api: Api, **query: str) -> dict[str, Any]:
    """A trend as of the log's head."""
    return await _data(api, "/api/analytics/trends", query)


async def _data(api: Api, path: str, query: dict[str, str]) -> dict[str, Any]:
    head = {"X-Min-Position": str(await api.container.store.head())}
    answer = await api.get(path, params=query, headers=head)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "success"
    return dict(body["data"])


async def resolve(api: Api, error: dict[str, Any]) -> None:
    assert (await api.put(f"/api/errors/{error['id']}/resolve")).status_code == 200


def ago(**length: float) -> str:
    return (datetime.now(UTC) - timedelta(**length)).isoformat()


async def test_statistics_have_every_documented_field_and_type(api: Api) -> None:
    await resolve(api, await api.report())
    data = await stats(api)
    assert {name: type(data[name]) for name in DOCUMENTED} == DOCUMENTED
    assert type(data["avg_resolution_seconds"]) is float


async def test_without_any_error_numbers_are_zero_and_times_unknown(api: Api) -> None:
    data = await stats(api)
    assert (data["total_errors"], data["resolution_rate"]) == (0, 0.0)
    assert (data["avg_resolution_time"], data["avg_resolution_seconds"]) == (None, None)


async def test_statistics_count_errors_occurrences_and_resolutions(api: Api) -> None:
    await resolve(api, await api.report(message="failure one", timestamp=ago(days=2)))
    for days in (0, 0, 2, 20, 60):
        await api.report(message="failure two", timestamp=ago(days=days))
    await api.report(message="failure three")
    data = await stats(api)
    assert (data["total_errors"], data["resolved_errors"]) == (3, 1)
    assert data["resolution_rate"] == 33.3
    assert data["total_occurrences"] == 7
    assert (data["errors_today"], data["errors_this_week"], data["errors_this_month"]) == (3, 5, 6)
    assert data["error_rate_24h"] == round(3 / 24, 2)
    assert data["avg_resolution_time"] == "2d 0h"
    assert data["avg_resolution_seconds"] == pytest.approx(2 * 86_400, abs=5)


async def test_reopening_deleting_and_lists_agree_with_statistics(api: Api) -> None:
    first, second = await api.report(message="failure one"), await api.report(message="failure two")
    for error in (first, second):
        await resolve(api, error)
    await api.put(f"/api/errors/{first['id']}/reopen")
    assert (await stats(api))["resolved_errors"] == 1
    await api.delete(f"/api/errors/{second['id']}")
    data = await stats(api)
    listed = (await api.get("/api/errors")).json()["data"]
    assert data["total_errors"] == listed["total"] == 1
    assert data["total_occurrences"] == sum(error["count"] for error in listed["errors"])
    assert (data["resolved_errors"], data["avg_resolution_time"]) == (0, None)


async def test_statistics_and_trends_can_be_of_one_application(api: Api) -> None:
    await api.register("shop")
    await api.report(app="shop")
    await api.report()
    assert (await stats(api))["total_errors"] == 2
    for app, expected in (("shop", 1), ("default", 1), ("nobody", 0)):
        assert (await stats(api, app=app))["total_errors"] == expected
        points = (await trends(api, app=app))["data_points"]
        assert sum(point["error_count"] for point in points) == expected


async def test_a_key_of_one_application_sees_its_own_numbers_only(api: Api) -> None:
    await api.register("shop")
    await api.report(app="shop")
    for _ in range(2):
        await api.report()
    key = {"X-API-Key": await api.issue("read", app="shop")}
    head = {**key, "X-Min-Position": str(await api.container.store.head())}
    answer = await api.get("/api/stats", headers=head)
    assert answer.json()["data"]["total_occurrences"] == 1
    for path in ("/api/stats", "/api/analytics/trends"):
        assert (await api.get(path, params={"app": "default"}, headers=key)).status_code == 403


async def test_a_key_that_may_not_read_sees_no_numbers(api: Api) -> None:
    key = {"X-API-Key": await api.issue("ingest")}
    for path in ("/api/stats", "/api/analytics/trends"):
        assert (await api.get(path, headers=key)).status_code == 403


async def test_a_trend_is_the_last_week_by_the_day_unless_told_otherwise(api: Api) -> None:
    await api.report(level="warning")
    await resolve(api, await api.report())
    data = await trends(api)
    assert (data["period"], data["group_by"]) == ("week", "day")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [datetime.fromisoformat(point["timestamp"]) for point in data["data_points"]]
    assert starts == [midnight - timedelta(days=days) for days in range(7, -1, -1)]
    last = data["data_points"][-1]
    assert last["timestamp"].endswith("T00:00:00Z")
    assert (last["error_count"], last["resolved_count"], last["critical_count"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("period", "group_by"),
    [("day", "hour"), ("week", "week"), ("month", "day"), ("year", "hour"), ("year", "month")],
)
async def test_trends_of_any_shape_add_up_to_what_happened(
    api: Api, period: str, group_by: str
) -> None:
    inside = {"day": 1, "week": 7, "month": 30, "year": 365}[period]
    for days in (0, inside / 2, inside + 1):
        await api.report(timestamp=ago(days=days))
    points = (await trends(api, period=period, group_by=group_by))["data_points"]
    assert sum(point["error_count"] for point in points) == 2
    starts = [point["timestamp"] for point in points]
    assert starts == sorted(set(starts))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("period=decade", "period"),
        ("group_by=minute", "group_by"),
        ("period=day&group_by=week", "group_by"),
        ("period=week&group_by=month", "group_by"),
        ("period=", "period"),
        ("period=day&period=week", "period"),
        ("app=", "app"),
    ],
)
async def test_a_trend_that_does_not_exist_is_refused_by_name(
    api_alone: Api, query: str, field: str
) -> None:
    answer = await api_alone.get(f"/api/analytics/trends?{query}")
    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["fields"]] == [field]


async def test_all_that_is_wrong_with_a_trend_is_said_at_once(api_alone: Api) -> None:
    answer = await api_alone.get("/api/analytics/trends?period=decade&group_by=minute")
    assert [problem["field"] for problem in answer.json()["fields"]] == ["period", "group_by"]


async def test_a_write_is_in_the_numbers_that_name_it(api: Api) -> None:
    for count in range(1, 4):
        made = await api.post("/api/errors", json={"message": "again", "source": "api"})
        head = {"X-Min-Position": made.headers["X-Event-Position"]}
        answer = await api.get("/api/stats", headers=head)
        assert answer.json()["data"]["total_occurrences"] == count


async def test_numbers_newer_than_the_read_model_are_not_made_up(api_alone: Api) -> None:
    answer = await api_alone.get("/api/stats", headers={"X-Min-Position": "1000000"})
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


async def test_a_flushed_redis_never_answers_zero_for_what_was_there(
    api: Api, redis_url: str
) -> None:
    await api.report()
    assert (await stats(api))["total_errors"] == 1
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
    answer = await api.get("/api/stats")
    assert answer.status_code == 503 or answer.json()["data"]["total_errors"] == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8112.5, "2h 15m"),
        (0.4, "0s"),
        (59.9, "59s"),
        (60, "1m 0s"),
        (3_600, "1h 0m"),
        (90_061, "1d 1h"),
    ],
)
def test_a_length_of_time_is_said_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
