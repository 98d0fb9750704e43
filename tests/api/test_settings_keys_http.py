"""API keys over HTTP: issued, listed, used, revoked."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from api import key_usage
from tests.api.settings_tools import events_by, head_of, works

if TYPE_CHECKING:
    from tests.api.conftest import Api

PATH = "/api/settings/api-keys"


async def create(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.post(PATH, json={"name": "CI", **body})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def listed(api: Api) -> dict[str, Any]:
    answer = await api.get(PATH, headers={"X-Min-Position": await head_of(api)})
    return {one["id"]: one for one in answer.json()["data"]["api_keys"]}


async def test_a_new_key_is_shown_once_and_works(api: Api) -> None:
    made = await create(api, name="Development Key", expires_at="2035-12-31T23:59:59Z")
    assert made["api_key"].startswith("sk_live_")
    assert made["permissions"] == ["read"]
    assert made["expires_at"] == "2035-12-31T23:59:59Z"
    seen = (await listed(api))[made["id"]]
    assert seen == {
        "id": made["id"],
        "name": "Development Key",
        "key_preview": f"sk_****{made['api_key'][-4:]}",
        "permissions": ["read"],
        "expires_at": "2035-12-31T23:59:59Z",
        "last_used": None,
        "created_at": made["created_at"],
        "app": "*",
        "member_id": None,
        "role": None,
    }
    assert await works(api, made["api_key"])


async def test_a_key_that_only_reports_looks_like_one(api: Api) -> None:
    await api.register("shop")
    made = await create(api, permissions=["ingest"], app="shop")
    assert made["api_key"].startswith("ei_")
    assert made["app"] == "shop"


async def test_a_revoked_key_leaves_the_list_and_stops_working_within_a_second(api: Api) -> None:
    made = await create(api)
    assert await works(api, made["api_key"])
    revoked = await api.delete(f"{PATH}/{made['id']}")
    assert (revoked.status_code, revoked.content) == (204, b"")
    began = time.monotonic()
    while (await api.get("/api/errors", headers={"X-API-Key": made["api_key"]})).is_success:
        assert time.monotonic() - began < 1
        await asyncio.sleep(0.02)
    assert made["id"] not in await listed(api)
    assert (await api.delete(f"{PATH}/{made['id']}")).status_code == 204


async def test_an_expired_key_stays_in_the_list(api: Api) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.8)
    made = await create(api, expires_at=soon.isoformat())
    assert await works(api, made["api_key"])
    await asyncio.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()) + 0.05)
    answer = await api.get("/api/errors", headers={"X-API-Key": made["api_key"]})
    assert answer.status_code == 401
    assert made["id"] in await listed(api)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name"]),
        ({"name": " "}, ["name"]),
        ({"name": 7, "permissions": "read"}, ["name", "permissions"]),
        ({"name": "x" * 201}, ["name"]),
        ({"name": "CI", "permissions": []}, ["permissions"]),
        ({"name": "CI", "permissions": ["root"]}, ["permissions"]),
        ({"name": "CI", "expires_at": "2020-01-01T00:00:00Z"}, ["expires_at"]),
        ({"name": "CI", "expires_at": "tomorrow"}, ["expires_at"]),
        ({"name": "CI", "expires_at": "2035-01-01T00:00:00"}, ["expires_at"]),
        ({"permissions": ["x"], "expires_at": 1}, ["expires_at", "name", "permissions"]),
        ({"name": "CI", "app": "nowhere"}, ["app"]),
    ],
)
async def test_a_bad_body_is_400_with_every_field(
    api: Api, body: dict[str, Any], fields: list[str]
) -> None:
    answer = await api.post(PATH, json=body)
    assert answer.status_code == 400, answer.text
    assert sorted(one["field"] for one in answer.json()["fields"]) == fields


async def test_an_unknown_key_is_404_and_no_uuid_400(api_alone: Api) -> None:
    assert (await api_alone.delete(f"{PATH}/{uuid4()}")).status_code == 404
    assert (await api_alone.delete(f"{PATH}/key-1")).status_code == 400


async def test_no_key_makes_one_that_holds_more(api: Api) -> None:
    admin = {"X-API-Key": await api.issue("admin", "read")}
    refused = await api.post(PATH, json={"name": "x", "permissions": ["write"]}, headers=admin)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    granted = await api.post(PATH, json={"name": "x", "permissions": ["read"]}, headers=admin)
    assert granted.status_code == 201


async def test_a_key_without_admin_sees_and_makes_no_keys(api_alone: Api) -> None:
    headers = {"X-API-Key": await api_alone.issue("read", "write")}
    assert (await api_alone.get(PATH, headers=headers)).status_code == 403
    assert (await api_alone.post(PATH, json={"name": "x"}, headers=headers)).status_code == 403
    assert (await api_alone.delete(f"{PATH}/{uuid4()}", headers=headers)).status_code == 403


async def test_a_key_of_one_application_keeps_to_it(api: Api) -> None:
    await api.register("shop")
    other = await create(api)
    bound = {"X-API-Key": await api.issue("admin", "read", app="shop")}
    made = await api.post(PATH, json={"name": "x"}, headers=bound)
    assert made.json()["data"]["app"] == "shop"
    for app in ("*", "default"):
        answer = await api.post(PATH, json={"name": "x", "app": app}, headers=bound)
        assert answer.status_code == 403
    assert (await api.delete(f"{PATH}/{other['id']}", headers=bound)).status_code == 404
    seen = await api.get(PATH, headers={**bound, "X-Min-Position": await head_of(api)})
    assert {one["app"] for one in seen.json()["data"]["api_keys"]} == {"shop"}


async def test_the_last_use_is_known_to_the_minute(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_usage, "FLUSH_SECONDS", 0.05)
    made = await create(api)
    assert await works(api, made["api_key"])
    used = None
    for _ in range(60):
        used = (await listed(api))[made["id"]]["last_used"]
        if used:
            break
        await asyncio.sleep(0.05)
    assert used is not None
    moment = datetime.fromisoformat(used)
    assert moment.second == moment.microsecond == 0
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=2)


async def test_every_change_of_a_key_is_an_event_with_its_actor(api: Api) -> None:
    made = await create(api)
    await api.delete(f"{PATH}/{made['id']}")
    assert await events_by(api, "key:development") == ["ApiKeyIssued", "ApiKeyRevoked"]
