"""Batches over HTTP, against real servers."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import brotli  # type: ignore[import-untyped]
import pytest
from backports import zstd

from tests.api.ingest_tools import FRAME, KEY, batch, event, stack

if TYPE_CHECKING:
    from httpx import Response

    from tests.api.conftest import Api

MANY = 1_000
LIMIT = 16_777_216


async def send(api: Api, *events: dict[str, Any], **headers: str) -> Response:
    return await api.post("/api/v1/ingest", json=batch(*events), headers=KEY | headers)


async def stored(api: Api) -> list[str]:
    """The ids of all events of test-app, in the order of the log."""
    head = await api.container.store.head()
    seen = {"X-Min-Position": str(head)} if head else {}
    answer = await api.get("/api/errors?app=test-app&limit=100", headers=seen)
    ids: list[str] = []
    for error in answer.json()["data"]["errors"]:
        cursor = ""
        while cursor is not None:
            query = f"limit=100&cursor={cursor}" if cursor else "limit=100"
            page = (await api.get(f"/api/errors/{error['id']}/occurrences?{query}")).json()["data"]
            ids += [one["event_id"] for one in page["occurrences"]]
            cursor = page["next_cursor"]
    return ids


async def test_the_documents_batch_is_answered_as_printed(api: Api) -> None:
    answer = await send(api, event(id="550e8400-e29b-41d4-a716-446655440000"))
    assert (answer.status_code, answer.json()) == (200, {"success": True, "accepted": 1})
    assert await stored(api) == ["550e8400-e29b-41d4-a716-446655440000"]


async def test_the_documents_key_test_is_answered_as_printed(api: Api) -> None:
    answer = await api.get("/api/v1/ingest/test", headers=KEY)
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "appId": "test-app", "appName": "Test Application"},
    )


async def test_a_key_of_all_applications_tests_as_the_default_one(api: Api) -> None:
    answer = await api.get("/api/v1/ingest/test")
    assert answer.json() == {"success": True, "appId": "default", "appName": "Default"}


async def test_a_wrong_application_anywhere_is_the_documented_answer_and_stores_nothing(
    api: Api,
) -> None:
    answer = await send(api, *[event() for _ in range(9)], event(appId="com.example.app"))
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "success": False,
            "error": "Some events do not match authenticated app. Expected appId: test-app",
        },
    )
    assert await stored(api) == []


async def test_a_key_of_all_applications_sends_for_one_registered_application(api: Api) -> None:
    await api.register("com.example.app")
    ours, unknown = event(appId="com.example.app"), event(appId="nobody")
    for events, status in (([ours], 200), ([ours, event()], 400), ([unknown], 400)):
        answer = await api.post("/api/v1/ingest", json=batch(*events))
        assert answer.status_code == status, answer.text
    assert answer.json()["error"].startswith("events[0].appId")


async def test_without_a_key_and_without_the_permission_the_envelope_is_the_second_documents(
    api_alone: Api,
) -> None:
    reader = await api_alone.issue("read")
    for key, status in (("", 401), ("ei_unknown", 401), (reader, 403)):
        for method, path in (("POST", "/api/v1/ingest"), ("GET", "/api/v1/ingest/test")):
            answer = await api_alone.request(method, path, headers={"X-API-Key": key})
            assert answer.status_code == status
            assert set(answer.json()) == {"success", "error"}
            assert answer.json()["success"] is False
    missing = await api_alone.get("/api/v1/nothing", headers=KEY)
    assert (missing.status_code, missing.json()["success"]) == (404, False)


async def test_a_bad_thousandth_event_stores_nothing(api: Api) -> None:
    good = [event() for _ in range(MANY - 1)]
    answer = await send(api, *good, event(timestamp="now"))
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["fields"]] == ["events[999].timestamp"]
    # A number that no reader could hold only shows itself when it is about to be kept.
    body = json.dumps(batch(*good, event(metadata={"n": 1})))
    late = body.replace('{"n": 1}', '{"n": 1e9999999999999999999}')
    answer = await api.post("/api/v1/ingest", content=late, headers=KEY)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("events[999].metadata")
    assert await stored(api) == []


async def test_a_thousand_events_pass_and_one_more_or_none_do_not(api: Api) -> None:
    events = [event() for _ in range(MANY + 1)]
    assert (await send(api, *events)).status_code == 400
    assert (await send(api)).status_code == 400
    assert await stored(api) == []
    answer = await send(api, *events[:MANY])
    assert (answer.status_code, answer.json()["accepted"]) == (200, MANY)
    assert set(await stored(api)) == {one["id"] for one in events[:MANY]}


async def test_a_batch_resent_ten_times_from_eight_connections_is_stored_once(api: Api) -> None:
    events = [event(code=f"code/{number % 7}") for number in range(50)]

    async def connection(number: int) -> list[int]:
        # Every other connection has the batch in reverse, so that they overlap in another order.
        mine = events if number % 2 else events[::-1]
        return [(await send(api, *mine)).status_code for _ in range(10)]

    statuses = await asyncio.gather(*map(connection, range(8)))
    assert statuses == [[200] * 10] * 8
    assert Counter(await stored(api)) == {one["id"]: 1 for one in events}


async def test_an_id_repeated_in_a_batch_is_accepted_and_stored_once(api: Api) -> None:
    one, other = event(), event(code="other")
    answer = await send(api, one, other, one | {"message": "again"}, one)
    assert answer.json() == {"success": True, "accepted": 4}
    assert sorted(await stored(api)) == sorted([one["id"], other["id"]])


async def test_a_batch_with_some_known_events_stores_the_others(api: Api) -> None:
    events = [event() for _ in range(10)]
    await send(api, *events[:5])
    answer = await send(api, *events)
    assert answer.json()["accepted"] == 10
    assert Counter(await stored(api)) == {one["id"]: 1 for one in events}


async def test_an_id_known_from_the_first_document_is_known_here_too(api: Api) -> None:
    known = str(uuid4())
    await api.report(event_id=known, app="test-app")
    await send(api, event(id=known))
    assert await stored(api) == [known]


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstd.compress),
        ("identity", bytes),
        ("gzip, zstd", lambda body: zstd.compress(gzip.compress(body))),
    ],
)
async def test_a_compressed_batch_is_opened(api: Api, encoding: str, compress: Any) -> None:
    events = [event() for _ in range(MANY)]
    headers = KEY | {"Content-Encoding": encoding, "Content-Type": "application/json"}
    body = compress(json.dumps(batch(*events)).encode())
    answer = await api.post("/api/v1/ingest", content=body, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, MANY)


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, brotli.compress, zstd.compress])
async def test_a_bomb_is_413(api_alone: Api, compress: Any) -> None:
    names = {gzip: "gzip", zlib: "deflate", brotli: "br", zstd: "zstd"}
    encoding = next(name for module, name in names.items() if compress is module.compress)
    bomb = compress(b'{"events": [' + b" " * (8 * LIMIT))
    assert len(bomb) < LIMIT // 100
    headers = KEY | {"Content-Encoding": encoding}
    answer = await api_alone.post("/api/v1/ingest", content=bomb, headers=headers)
    assert (answer.status_code, answer.json()["success"]) == (413, False)


async def test_a_body_over_sixteen_mebibytes_is_413_and_one_below_passes(api: Api) -> None:
    start = json.dumps(batch(event()))[:-1].encode()
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        body = start + b" " * (size - len(start) - 1) + b"}"
        answer = await api.post("/api/v1/ingest", content=body, headers=KEY)
        assert answer.status_code == status


async def test_an_unknown_encoding_is_415_and_a_damaged_body_400(api_alone: Api) -> None:
    for encoding, body, status in (
        ("compress", b"{}", 415),
        ("gzip, br, gzip, br", b"{}", 415),
        ("gzip", b"{}", 400),
        ("zstd", b"", 400),
    ):
        headers = KEY | {"Content-Encoding": encoding}
        answer = await api_alone.post("/api/v1/ingest", content=body, headers=headers)
        assert (answer.status_code, answer.json()["success"]) == (status, False)
    assert answer.headers.get("accept-encoding") is None


async def test_an_ingested_event_shows_wherever_errors_show(api: Api) -> None:
    await send(
        api,
        event(parsedStack=stack(FRAME)),
        event(tags={"severity": "warning"}, platform="android"),
    )
    seen = {"X-Min-Position": str(await api.container.store.head())}
    listed = await api.get("/api/errors?app=test-app&source=android&level=warning", headers=seen)
    (error,) = listed.json()["data"]["errors"]
    assert (error["count"], error["source"], error["release"]) == (2, "android", "1.0.0")
    assert error["context"] == {"endpoint": "/api/users", "statusCode": 500}
    found = await api.get("/api/errors?app=test-app&search=network", headers=seen)
    assert found.json()["data"]["total"] == 1
    stats = (await api.get("/api/stats?app=test-app", headers=seen)).json()["data"]
    assert (stats["total_errors"], stats["total_occurrences"]) == (1, 2)
    fresh = event(timestamp=api.container.clock().isoformat())
    made = await send(api, fresh)
    seen = {"X-Min-Position": made.headers["X-Event-Position"]}
    trend = await api.get("/api/analytics/trends?app=test-app&period=day", headers=seen)
    assert sum(one["error_count"] for one in trend.json()["data"]["data_points"]) == 1
