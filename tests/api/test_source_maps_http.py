"""Source maps over HTTP, against real servers."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.ingest_tools import FRAME, KEY, batch, event, stack

if TYPE_CHECKING:
    from httpx import Response

    from tests.api.conftest import Api

MAP = json.dumps({"version": 3, "sources": ["src/a.ts"], "names": [], "mappings": "AAAA"})
OTHER = json.dumps({"version": 3, "sources": ["src/b.ts"], "names": [], "mappings": "AAAA"})
ONE = {"appVersion": "1.0.0", "fileName": "a.js", "sourceMap": MAP}
ROOT = "/api/v1/sourcemaps"
LIMIT = 16_777_216


async def upload(api: Api, key: dict[str, str] = KEY, **changes: Any) -> Response:
    return await api.post(f"{ROOT}/upload", json=ONE | changes, headers=key)


async def listed(api: Api, query: str = "", key: dict[str, str] = KEY) -> list[dict[str, Any]]:
    """What is kept as of the log's head."""
    head = {"X-Min-Position": str(await api.container.store.head())}
    answer = await api.get(f"{ROOT}/list{query}", headers=key | head)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["success"] is True
    return list(body["sourceMaps"])


async def names(api: Api, query: str = "", key: dict[str, str] = KEY) -> list[tuple[str, str]]:
    return [(one["appVersion"], one["fileName"]) for one in await listed(api, query, key)]


async def test_an_ingest_key_uploads_a_map_and_lists_it(api: Api) -> None:
    answer = await upload(api)
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "message": "source maps of version 1.0.0 kept: a.js",
        "uploaded": 1,
    }
    assert int(answer.headers["X-Event-Position"]) == await api.container.store.head()
    (one,) = await listed(api, "?appVersion=1.0.0")
    assert (one["fileName"], one["appVersion"], one["size"]) == ("a.js", "1.0.0", len(MAP))
    assert len(one["createdAt"]) == len("2024-01-15T10:30:00.000Z")
    assert one["createdAt"].endswith("Z")


async def test_the_same_map_again_is_no_event(api: Api) -> None:
    await upload(api)
    head = await api.container.store.head()
    again = await upload(api)
    assert (again.status_code, again.json()["uploaded"]) == (200, 1)
    assert await api.container.store.head() == head
    await upload(api, sourceMap=OTHER)
    assert await api.container.store.head() == head + 1


async def test_a_batch_is_kept_whole_or_not_at_all(api: Api) -> None:
    good = {"fileName": "a.js", "sourceMap": MAP}
    whole = {"appVersion": "1.0.0", "sourceMaps": [good, good | {"fileName": "b.js"}]}
    bad = {"appVersion": "2.0.0", "sourceMaps": [good, {"fileName": "b.js", "sourceMap": "{"}]}
    answer = await api.post(f"{ROOT}/upload-batch", json=bad, headers=KEY)
    assert answer.status_code == 400
    (field,) = answer.json()["fields"]
    assert field["field"] == "sourceMaps[1].sourceMap"
    assert "is not JSON" in field["problem"]
    answer = await api.post(f"{ROOT}/upload-batch", json=whole, headers=KEY)
    assert (answer.status_code, answer.json()["uploaded"]) == (200, 2)
    assert sorted(await names(api)) == [("1.0.0", "a.js"), ("1.0.0", "b.js")]


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"appVersion": None}, "appVersion", "is required"),
        ({"appVersion": 1}, "appVersion", "must be a string"),
        ({"appVersion": "  "}, "appVersion", "not only blanks"),
        ({"appVersion": "1" * 201}, "appVersion", "1 to 200"),
        ({"fileName": "x" * 501}, "fileName", "1 to 500"),
        ({"fileName": "a\0"}, "fileName", "NUL"),
        ({"fileName": ""}, "fileName", "must not be empty"),
        ({"sourceMap": json.loads(MAP)}, "sourceMap", "must be a string"),
        ({"sourceMap": ""}, "sourceMap", "must not be empty"),
        ({"sourceMap": "[]"}, "sourceMap", "must be a JSON object"),
        ({"sourceMap": '{"version":2}'}, "sourceMap", "version 3"),
        ({"sourceMap": '{"version":3}'}, "sourceMap", "must have mappings"),
        ({"sourceMap": MAP.replace("AAAA", "!")}, "sourceMap", "cannot be read"),
    ],
)
async def test_what_is_wrong_is_named(
    api_alone: Api, changes: dict[str, Any], field: str, problem: str
) -> None:
    answer = await upload(api_alone, **changes)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    (one,) = answer.json()["fields"]
    assert one["field"] == field
    assert problem in one["problem"]


async def test_all_that_is_wrong_is_named_at_once(api_alone: Api) -> None:
    answer = await api_alone.post(f"{ROOT}/upload", json={}, headers=KEY)
    fields = [one["field"] for one in answer.json()["fields"]]
    assert (answer.status_code, fields) == (400, ["appVersion", "fileName", "sourceMap"])


async def test_the_last_map_of_a_file_in_a_batch_counts(api: Api) -> None:
    maps = [{"fileName": "a.js", "sourceMap": text} for text in (MAP, OTHER + " ")]
    body = {"appVersion": "1", "sourceMaps": maps}
    assert (await api.post(f"{ROOT}/upload-batch", json=body, headers=KEY)).status_code == 200
    assert [one["size"] for one in await listed(api)] == [len(OTHER) + 1]


@pytest.mark.parametrize("count", [0, 21])
async def test_a_batch_has_1_to_20_maps(api_alone: Api, count: int) -> None:
    maps = [{"fileName": f"{at}.js", "sourceMap": MAP} for at in range(count)]
    body = {"appVersion": "1", "sourceMaps": maps}
    answer = await api_alone.post(f"{ROOT}/upload-batch", json=body, headers=KEY)
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "sourceMaps")


@pytest.mark.parametrize(
    ("maps", "field"),
    [
        ("x", "sourceMaps"),
        (None, "sourceMaps"),
        (["x"], "sourceMaps[0]"),
        ([{"fileName": "a.js"}], "sourceMaps[0].sourceMap"),
    ],
)
async def test_what_is_wrong_in_a_batch_is_named(api_alone: Api, maps: Any, field: str) -> None:
    body = {"appVersion": "1", "sourceMaps": maps}
    answer = await api_alone.post(f"{ROOT}/upload-batch", json=body, headers=KEY)
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["fields"]] == [field]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a":' + b"[" * 200_000])
async def test_a_body_that_is_no_object_is_refused(api_alone: Api, body: bytes) -> None:
    headers = KEY | {"Content-Type": "application/json"}
    answer = await api_alone.post(f"{ROOT}/upload", content=body, headers=headers)
    assert answer.status_code == 400, answer.text


async def test_large_maps_fit_and_larger_ones_do_not(api_alone: Api) -> None:
    padded = MAP[:-1] + ', "x": "' + "y" * (LIMIT - 1000) + '"}'
    assert (await upload(api_alone, sourceMap=padded)).status_code == 200
    assert (await upload(api_alone, sourceMap=padded + " " * 1000)).status_code == 413


async def test_a_body_may_be_compressed(api_alone: Api) -> None:
    headers = KEY | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    content = gzip.compress(json.dumps(ONE).encode())
    answer = await api_alone.post(f"{ROOT}/upload", content=content, headers=headers)
    assert answer.status_code == 200, answer.text


async def test_a_deletion_takes_a_version_and_leaves_the_others(api: Api) -> None:
    await upload(api)
    await upload(api, appVersion="2.0.0")
    answer = await api.delete(f"{ROOT}/1.0.0", headers=KEY)
    assert (answer.status_code, answer.json()["deleted"]) == (200, 1)
    assert answer.json()["message"] == "1 source map of version 1.0.0 deleted"
    assert await names(api) == [("2.0.0", "a.js")]
    again = await api.delete(f"{ROOT}/1.0.0", headers=KEY)
    assert (again.status_code, again.json()["success"], again.json()["deleted"]) == (200, True, 0)
    assert again.json()["message"] == "0 source maps of version 1.0.0 deleted"


@pytest.mark.parametrize("version", ["release/1.0", "1.0+build 7", "?#%", "ü"])
async def test_a_version_may_have_any_name(api: Api, version: str) -> None:
    await upload(api, appVersion=version)
    assert await names(api) == [(version, "a.js")]
    path = "".join(f"%{byte:02X}" for byte in version.encode())
    answer = await api.delete(f"{ROOT}/{path}?appId=test-app")
    assert (answer.status_code, answer.json()["deleted"]) == (200, 1)


async def test_an_unknown_version_has_an_empty_list(api: Api) -> None:
    assert await listed(api, "?appVersion=nothing") == []


async def test_a_key_of_all_applications_names_one(api: Api) -> None:
    owner: dict[str, str] = {}
    answer = await api.post(f"{ROOT}/upload?appId=test-app", json=ONE)
    assert answer.status_code == 200
    assert await names(api) == [("1.0.0", "a.js")]
    assert await names(api, key=owner) == []
    unknown = await api.post(f"{ROOT}/upload?appId=nobody", json=ONE)
    assert (unknown.status_code, unknown.json()["fields"][0]["field"]) == (400, "appId")


async def test_a_key_of_one_application_reaches_no_other(api_alone: Api) -> None:
    for method, path in (("POST", "upload"), ("GET", "list"), ("DELETE", "1.0.0")):
        body = ONE if method == "POST" else None
        url = f"{ROOT}/{path}?appId=default"
        answer = await api_alone.request(method, url, json=body, headers=KEY)
        assert answer.status_code == 403


async def test_a_batch_uploaded_by_many_at_once_is_kept_once(api: Api) -> None:
    answers = await asyncio.gather(*[upload(api) for _ in range(8)])
    assert {answer.status_code for answer in answers} == {200}
    assert len(await listed(api)) == 1


async def test_frames_that_the_client_read_are_resolved_in_lists_too(api: Api) -> None:
    sent = event(parsedStack=stack(FRAME, FRAME | {"fileName": None}))
    assert (await api.post("/api/v1/ingest", json=batch(sent), headers=KEY)).status_code == 200
    await upload(api)
    head = {"X-Min-Position": str(await api.container.store.head())}
    path = "/dashboard/api/errors?appId=test-app&startTime=2020-01-01T00:00:00Z"
    (one,) = (await api.get(path, headers=head)).json()["errors"]
    resolved, other = one["parsedStack"]["frames"]
    assert resolved == FRAME | {
        "resolved": True,
        "originalFileName": "src/a.ts",
        "originalLineNumber": 1,
        "originalColumnNumber": 1,
        "originalFunctionName": None,
    }
    assert (other["resolved"], other["originalFileName"]) == (False, None)
    assert one["parsedStack"]["parser"] == "browser"
