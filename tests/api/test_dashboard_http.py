"""The dashboard's API over HTTP, against real servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.error_group import DeleteError, group_id
from domain.fingerprint import group_report
from projections.registry import ALL_READ_MODELS
from tests.api.conftest import running
from tests.reports import report

if TYPE_CHECKING:
    import httpx

    from infra.settings import Settings
    from tests.api.conftest import Api

APP = "test-app"
PATHS = ("errors", "trends", "codes")
SENT: dict[str, Any] = {
    "code": "network/request-failed",
    "message": "Failed to fetch user data",
    "stackTrace": "Error: Failed to fetch...",
    "parsedStack": None,
    "appId": APP,
    "appVersion": "1.0.0",
    "platform": "ios",
    "platformVersion": "17.0",
    "userId": "user-123",
    "metadata": {"endpoint": "/api/users", "statusCode": 500, "exact": 1.10},
    "tags": {"severity": "high"},
}


async def ask(
    api: Api, path: str, key: str | None = "test-api-key", **query: object
) -> httpx.Response:
    """An answer as of the log's head."""
    head = str(await api.container.store.head())
    request = api.build_request(
        "GET", f"/dashboard/api/{path}", params=query, headers={"X-Min-Position": head}
    )
    del request.headers["X-API-Key"]
    if key is not None:
        request.headers["X-API-Key"] = key
    return await api.send(request)


async def shown(api: Api, path: str, **query: object) -> dict[str, Any]:
    """What a success holds besides."""
    answer = await ask(api, path, **{"appId": APP, **query})
    assert answer.status_code == 200, answer.text
    body = dict(answer.json())
    assert body.pop("success") is True
    return body


async def sent(api: Api, *events: dict[str, Any]) -> list[str]:
    """Events that are stored now; their ids."""
    now = datetime.now(UTC).isoformat()
    batch = [{"id": str(uuid4()), **SENT, "timestamp": now, **event} for event in events]
    answer = await api.post(
        "/api/v1/ingest", json={"events": batch}, headers={"X-API-Key": "ei_test_key_12345"}
    )
    assert answer.status_code == 200, answer.text
    return [event["id"] for event in batch]


def ago(**length: float) -> str:
    return (datetime.now(UTC) - timedelta(**length)).isoformat()


async def delete_code(api: Api, code: str) -> None:
    fingerprint = group_report("", None, code=code).fingerprint
    await api.execute(DeleteError(error_id=group_id(APP, fingerprint)))


# -- errors --------------------------------------------------------------------------------------


async def test_an_ingested_event_is_shown_with_every_field_as_it_was_sent(api: Api) -> None:
    (event_id,) = await sent(api, {"timestamp": "2024-01-15T10:30:00.123456Z"})
    body = await shown(api, "errors", startTime="2024-01-01T00:00:00Z")
    (event,) = body["errors"]
    assert UUID(event.pop("errorId"))
    assert event == {**SENT, "id": event_id, "timestamp": "2024-01-15T10:30:00.123Z"}
    assert body["pagination"] == {"limit": 100, "offset": 0, "hasMore": False, "nextCursor": None}


async def test_a_report_of_the_first_api_is_shown_with_null_where_nothing_is_known(
    api: Api,
) -> None:
    await api.report(app=APP, user={"id": 7}, release="2.0")
    (event,) = (await shown(api, "errors"))["errors"]
    assert (event["userId"], event["appVersion"], event["appId"]) == ("7", "2.0", APP)
    assert event["timestamp"].endswith("Z")
    assert len(event["timestamp"]) == len("2024-01-15T10:30:00.000Z")
    unknown = ("code", "stackTrace", "parsedStack", "platform", "platformVersion", "metadata")
    assert [event[name] for name in unknown] == [None] * 6
    found = await shown(api, f"errors/{event['id']}")
    assert found["error"] == event


async def test_a_list_goes_back_a_day_unless_told_otherwise(api: Api) -> None:
    await sent(api, {"timestamp": ago(hours=25)}, {"timestamp": ago(hours=23)})
    assert len((await shown(api, "errors"))["errors"]) == 1
    assert len((await shown(api, "errors", startTime=ago(hours=26)))["errors"]) == 2
    window = {"startTime": ago(hours=26), "endTime": ago(hours=24)}
    assert len((await shown(api, "errors", **window))["errors"]) == 1


async def test_filters_by_code_and_user_combine(api: Api) -> None:
    await sent(
        api,
        {"code": "a", "userId": "1"},
        {"code": "a", "userId": "2"},
        {"code": "b", "userId": "1"},
    )
    for query, expected in (
        ({"code": "a"}, 2),
        ({"userId": "1"}, 2),
        ({"code": "a", "userId": "1"}, 1),
        ({"code": "none"}, 0),
    ):
        assert len((await shown(api, "errors", **query))["errors"]) == expected, query


async def test_pages_by_offset_and_by_cursor_are_the_same_and_has_more_is_exact(api: Api) -> None:
    ids = await sent(api, *({"timestamp": ago(minutes=n)} for n in range(6)))
    cursor: dict[str, object] = {}
    for offset in (0, 2, 4):
        by_offset = await shown(api, "errors", limit=2, offset=offset)
        by_cursor = await shown(api, "errors", limit=2, **cursor)
        found = [event["id"] for event in by_offset["errors"]]
        assert found == ids[offset : offset + 2]
        assert by_cursor["errors"] == by_offset["errors"]
        page = by_cursor["pagination"]
        assert page["hasMore"] is by_offset["pagination"]["hasMore"] is (offset < 4)
        cursor = {"cursor": page["nextCursor"]}
    assert cursor == {"cursor": None}


async def test_a_walk_by_cursor_neither_repeats_nor_misses_while_data_arrives(api: Api) -> None:
    ids = await sent(api, *({"timestamp": ago(minutes=n)} for n in range(5)))
    page = await shown(api, "errors", limit=3)
    await sent(api, {}, {})
    rest = await shown(api, "errors", limit=3, cursor=page["pagination"]["nextCursor"])
    assert [event["id"] for event in page["errors"] + rest["errors"]] == ids


async def test_one_occurrence_is_found_by_the_clients_id_until_its_error_is_deleted(
    api: Api,
) -> None:
    first, _ = await sent(api, {"code": "a"}, {"code": "b"})
    assert (await shown(api, f"errors/{first}"))["error"]["id"] == first
    assert (await ask(api, f"errors/{first}", appId="default")).status_code == 404
    await delete_code(api, "a")
    answer = await ask(api, f"errors/{first}", appId=APP)
    assert answer.status_code == 404
    assert answer.json() == {"success": False, "error": "no such error"}
    assert len((await shown(api, "errors"))["errors"]) == 1


# -- codes, trends, apps -------------------------------------------------------------------------


async def test_codes_come_with_their_counts_the_highest_first(api: Api) -> None:
    await sent(api, {"code": "a"}, {"code": "b"}, {"code": "b"}, {"code": None})
    body = await shown(api, "codes")
    assert body == {"codes": [{"code": "b", "count": 2}, {"code": "a", "count": 1}]}
    await delete_code(api, "b")
    assert (await shown(api, "codes"))["codes"] == [{"code": "a", "count": 1}]


async def test_trends_by_the_day_are_whole_without_a_gap_and_aligned_to_utc(api: Api) -> None:
    await sent(
        api,
        {"timestamp": "2024-01-14T00:00:00Z", "userId": "1"},
        {"timestamp": "2024-01-14T23:59:59.999Z", "userId": "2", "code": "b"},
        {"timestamp": "2024-01-16T00:00:00Z", "userId": None, "code": None},
    )
    window = {"startTime": "2024-01-14T12:00:00Z", "endTime": "2024-01-17T00:00:00Z"}
    body = await shown(api, "trends", granularity="day", **window)
    assert body["trends"] == [
        {"time": f"2024-01-{day}T00:00:00.000Z", "count": n, "uniqueCodes": c, "affectedUsers": u}
        for day, n, c, u in ((14, 2, 2, 2), (15, 0, 0, 0), (16, 1, 0, 0))
    ]


async def test_a_trend_is_the_last_seven_days_by_the_hour_unless_told_otherwise(api: Api) -> None:
    await sent(api, {}, {})
    points = (await shown(api, "trends"))["trends"]
    assert len(points) == 7 * 24 + 1
    assert points[-1]["count"] == 2


async def test_what_a_clock_that_runs_ahead_stamped_is_in_lists_and_trends(api: Api) -> None:
    await sent(api, {"timestamp": ago(minutes=-4)})
    assert len((await shown(api, "errors"))["errors"]) == 1
    assert sum(point["count"] for point in (await shown(api, "trends"))["trends"]) == 1


async def test_apps_are_those_that_the_key_may_see(api: Api) -> None:
    apps = (await shown(api, "apps"))["apps"]
    assert {app["id"]: app["name"] for app in apps} == {
        "default": "Default",
        APP: "Test Application",
    }
    assert all(app["createdAt"].endswith("Z") and len(app["createdAt"]) == 24 for app in apps)
    key = await api.issue("read", app="default")
    answer = await ask(api, "apps", key=key)
    assert [app["id"] for app in answer.json()["apps"]] == ["default"]


# -- one number everywhere -----------------------------------------------------------------------


async def test_codes_trends_lists_and_statistics_agree_at_the_same_position(api: Api) -> None:
    for number in range(40):
        event = {
            "code": f"code {number % 5}" if number % 4 else None,
            "message": f"failure {'abc'[number % 3]}",
            "timestamp": ago(hours=3 * number),
            "userId": f"u{number % 7}",
        }
        await sent(api, event)
    await api.report(app="default")
    await all_agree(api)
    for code in ("code 1", "code 3"):
        await delete_code(api, code)
        await all_agree(api)


async def all_agree(api: Api) -> None:
    """Every number that can be had of the test application says the same."""
    listed = await within_a_week(api)
    codes = (await shown(api, "codes"))["codes"]
    assert sum(code["count"] for code in codes) == sum(1 for one in listed if one["code"])
    for code in codes:
        assert len(await within_a_week(api, code=code["code"])) == code["count"]
    for granularity in ("hour", "day"):
        points = (await shown(api, "trends", granularity=granularity))["trends"]
        assert sum(point["count"] for point in points) == len(listed)
    for point in points:
        inside = [one for one in listed if one["timestamp"][:10] == point["time"][:10]]
        assert point["uniqueCodes"] == len({one["code"] for one in inside} - {None})
        assert point["affectedUsers"] == len({one["userId"] for one in inside})
    head = {"X-Min-Position": str(await api.container.store.head())}
    query = {"app": APP, "limit": "100"}
    numbers = (await api.get("/api/stats", params={"app": APP}, headers=head)).json()["data"]
    groups = (await api.get("/api/errors", params=query, headers=head)).json()["data"]["errors"]
    assert numbers["total_occurrences"] == len(listed) == sum(one["count"] for one in groups)


async def within_a_week(api: Api, **query: object) -> list[dict[str, Any]]:
    """The occurrences of the last seven days."""
    body = await shown(api, "errors", limit=1000, startTime=ago(days=7), **query)
    return list(body["errors"])


# -- who may -------------------------------------------------------------------------------------


async def test_without_a_key_the_test_application_is_shown_and_no_other(api: Api) -> None:
    await sent(api, {})
    for path in PATHS:
        assert (await ask(api, path, key=None, appId=APP)).status_code == 200
        answer = await ask(api, path, key=None, appId="default")
        assert answer.status_code == 401
        assert answer.json()["success"] is False
    apps = (await ask(api, "apps", key=None)).json()["apps"]
    assert [app["id"] for app in apps] == [APP]


async def test_production_asks_for_a_key(settings: Settings) -> None:
    production = msgspec.structs.replace(settings, environment="production")
    async with running(production) as api:
        for path in (*PATHS, "errors/6f1d0c5e-6b0a-4a0e-9a55-4c2a0e77a7a1", "apps"):
            answer = await ask(api, path, key=None, appId=APP)
            assert (answer.status_code, answer.json()["success"]) == (401, False)


async def test_a_key_of_one_application_sees_its_own_only(api: Api) -> None:
    (event_id,) = await sent(api, {})
    key = await api.issue("read", app="default")
    for path in (*PATHS, f"errors/{event_id}"):
        assert (await ask(api, path, key=key, appId=APP)).status_code == 403
    for path in PATHS:
        assert (await ask(api, path, key=key, appId="default")).status_code == 200


async def test_a_key_that_may_not_read_and_a_wrong_key_are_refused(api: Api) -> None:
    for path in PATHS:
        assert (await ask(api, path, key="ei_test_key_12345", appId=APP)).status_code == 403
        assert (await ask(api, path, key="sk_live_unknown", appId=APP)).status_code == 401


# -- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("errors", "appId"),
        ("errors?appId=", "appId"),
        ("errors?appId=a&limit=0", "limit"),
        ("errors?appId=a&limit=1001", "limit"),
        ("errors?appId=a&offset=-1", "offset"),
        ("errors?appId=a&limit=ten", "limit"),
        ("errors?appId=a&startTime=yesterday", "startTime"),
        ("errors?appId=a&startTime=2024-01-15T10:30:00", "startTime"),
        ("errors?appId=a&endTime=2020-01-01T00:00:00Z", "endTime"),
        ("errors?appId=a&startTime=2999-01-01T00:00:00Z", "startTime"),
        ("errors?appId=a&startTime=2024-01-02T00:00:00Z&endTime=2024-01-01T00:00:00Z", "startTime"),
        ("errors?appId=a&code=", "code"),
        ("errors?appId=a&userId=%00", "userId"),
        ("errors?appId=a&cursor=nonsense", "cursor"),
        ("errors?appId=a&appId=b", "appId"),
        ("trends", "appId"),
        ("trends?appId=a&granularity=week", "granularity"),
        ("trends?appId=a&startTime=1970-01-01T00:00:00Z", "startTime"),
        ("codes", "appId"),
        ("errors/nothing?appId=a", "id"),
        ("errors/6f1d0c5e-6b0a-4a0e-9a55-4c2a0e77a7a1", "appId"),
    ],
)
async def test_a_wrong_parameter_is_named_with_its_problem(
    api_alone: Api, query: str, parameter: str
) -> None:
    answer = await api_alone.get(f"/dashboard/api/{query}")
    assert answer.status_code == 400
    body = answer.json()
    assert body["success"] is False
    assert body["error"].startswith(parameter)
    assert [problem["field"] for problem in body["fields"]] == [parameter]


async def test_a_cursor_belongs_to_its_list(api: Api) -> None:
    await sent(api, {}, {})
    cursor = (await shown(api, "errors", limit=1))["pagination"]["nextCursor"]
    for query in ({"code": "a"}, {"offset": 1}, {"startTime": ago(hours=2)}):
        answer = await ask(api, "errors", appId=APP, cursor=cursor, **query)
        assert answer.status_code == 400
        assert answer.json()["fields"][0]["field"] == "cursor"


async def test_what_the_read_models_have_not_reached_is_not_made_up(api_alone: Api) -> None:
    for path in PATHS:
        answer = await api_alone.get(
            f"/dashboard/api/{path}", params={"appId": APP}, headers={"X-Min-Position": "1000000"}
        )
        assert (answer.status_code, answer.json()["success"]) == (503, False)
        assert "Retry-After" in answer.headers


async def test_a_write_is_in_the_answers_that_name_its_position(api: Api) -> None:
    for count in range(1, 4):
        position = await api.execute(report("a", app=APP, timestamp=datetime.now(UTC), code="a"))
        head = {"X-Min-Position": str(position)}
        answers = [
            (await api.get(f"/dashboard/api/{path}", params={"appId": APP}, headers=head)).json()
            for path in PATHS
        ]
        assert len(answers[0]["errors"]) == answers[1]["trends"][-1]["count"] == count
        assert answers[2]["codes"] == [{"code": "a", "count": count}]


async def test_every_read_model_has_a_position_that_is_shown(api: Api) -> None:
    head = await api.container.store.head()
    for model in ALL_READ_MODELS:
        assert await api.container.positions.wait(model.name, head, 5)
