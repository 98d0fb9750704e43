"""Applications over HTTP: registered once, with the key that reports to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.conftest import REPORT
from tests.api.settings_tools import events_by, head_of, works

if TYPE_CHECKING:
    from tests.api.conftest import Api

PATH = "/api/settings/apps"


async def test_a_registered_application_takes_reports_with_its_key(api: Api) -> None:
    answer = await api.post(PATH, json={"id": "shop", "name": "The Shop"})
    made = answer.json()["data"]
    assert (answer.status_code, made["id"], made["name"]) == (201, "shop", "The Shop")
    assert made["api_key"].startswith("ei_")
    assert await works(api, made["api_key"])
    reported = await api.post("/api/errors", json=REPORT, headers={"X-API-Key": made["api_key"]})
    assert reported.json()["data"]["app"] == "shop"
    listed = await api.get(PATH, headers={"X-Min-Position": await head_of(api)})
    assert [one["id"] for one in listed.json()["data"]["apps"]] == ["default", "test-app", "shop"]
    assert listed.json()["data"]["apps"][2] == {
        "id": "shop",
        "name": "The Shop",
        "created_at": made["created_at"],
    }


async def test_a_taken_id_is_409_and_leaves_no_key(api: Api) -> None:
    for name in ("The Shop", "Another Shop"):
        await api.post(PATH, json={"id": "shop", "name": "The Shop"})
        answer = await api.post(PATH, json={"id": "shop", "name": name})
        assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
    assert await events_by(api, "key:development") == ["AppRegistered", "ApiKeyIssued"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["id", "name"]),
        ({"id": "-shop", "name": ""}, ["id", "name"]),
        ({"id": "a shop", "name": "The Shop"}, ["id"]),
        ({"id": "*", "name": "All"}, ["id"]),
    ],
)
async def test_a_bad_body_is_400_with_every_field(
    api_alone: Api, body: dict[str, Any], fields: list[str]
) -> None:
    answer = await api_alone.post(PATH, json=body)
    assert answer.status_code == 400
    assert sorted(one["field"] for one in answer.json()["fields"]) == fields


async def test_a_key_of_one_application_sees_that_one_and_registers_none(api: Api) -> None:
    headers = {"X-API-Key": await api.issue("ingest", "admin", app="test-app")}
    listed = await api.get(PATH, headers=headers)
    assert [one["id"] for one in listed.json()["data"]["apps"]] == ["test-app"]
    refused = await api.post(PATH, json={"id": "shop", "name": "The Shop"}, headers=headers)
    assert refused.status_code == 403
