"""The team over HTTP: invited, joined, in another role, gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from infra.clock import utc_now
from tests.api.conftest import running
from tests.api.settings_tools import events_by, head_of, works

if TYPE_CHECKING:
    from infra.settings import Settings
    from tests.api.conftest import Api

PATH = "/api/settings/team"


async def invite(api: Api, email: str = "ann@example.com", role: str = "viewer") -> dict[str, Any]:
    answer = await api.post(f"{PATH}/invite", json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def join(api: Api, email: str = "ann@example.com", role: str = "viewer") -> dict[str, Any]:
    """A member with a key that works, without the client's own key."""
    token = (await invite(api, email, role))["invite_token"]
    answer = await api.post(f"{PATH}/accept", json={"token": token, "name": email.split("@")[0]})
    assert answer.status_code == 201, answer.text
    joined = dict(answer.json()["data"])
    assert await works(api, joined["api_key"])
    return joined


async def members(api: Api) -> list[dict[str, Any]]:
    answer = await api.get(PATH, headers={"X-Min-Position": await head_of(api)})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"]["members"])


async def test_a_fresh_system_has_no_members(api: Api) -> None:
    assert await members(api) == []


async def test_an_invited_one_is_listed_without_a_name(api: Api) -> None:
    made = await invite(api, "NewUser@company.com")
    assert len(made.pop("invite_token")) == 43
    assert made.pop("invite_expires_at") > made["created_at"]
    assert made == {
        "id": made["id"],
        "name": None,
        "email": "newuser@company.com",
        "role": "viewer",
        "status": "invited",
        "last_active": None,
        "created_at": made["created_at"],
    }
    assert await members(api) == [made]


async def test_accepting_needs_no_key_and_gives_one(api: Api) -> None:
    token = (await invite(api, role="developer"))["invite_token"]
    del api.headers["X-API-Key"]
    answer = await api.post(f"{PATH}/accept", json={"token": token, "name": "Ann"})
    joined = answer.json()["data"]
    assert (answer.status_code, joined["name"], joined["status"]) == (201, "Ann", "active")
    assert joined["permissions"] == ["ingest", "read", "write"]
    api.headers["X-API-Key"] = joined["api_key"]
    assert await works(api, joined["api_key"])
    assert (await api.report())["count"] == 1
    assert (await api.get(PATH)).status_code == 403


async def test_a_member_acts_under_their_own_name(api: Api) -> None:
    joined = await join(api, role="admin")
    api.headers["X-API-Key"] = joined["api_key"]
    await invite(api, "bob@example.com")
    assert await events_by(api, f"member:{joined['id']}") == [
        "MemberJoined",
        "ApiKeyIssued",
        "MemberInvited",
    ]


async def test_a_token_is_used_once(api: Api) -> None:
    token = (await invite(api))["invite_token"]
    body = {"token": token, "name": "Ann"}
    first, second = [await api.post(f"{PATH}/accept", json=body) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 409)


async def test_accepting_at_the_same_moment_makes_one_member_and_one_key(api: Api) -> None:
    token = (await invite(api))["invite_token"]
    body = {"token": token, "name": "Ann"}
    answers = await asyncio.gather(*(api.post(f"{PATH}/accept", json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    keys = await api.get("/api/settings/api-keys", headers={"X-Min-Position": await head_of(api)})
    assert len(keys.json()["data"]["api_keys"]) == 1


async def test_an_expired_token_is_409(settings: Settings, api: Api) -> None:
    token = (await invite(api))["invite_token"]
    async with running(settings, clock=lambda: utc_now() + timedelta(days=8)) as later:
        answer = await later.post(f"{PATH}/accept", json={"token": token, "name": "Ann"})
    assert (answer.status_code, "expired" in answer.json()["error"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"token": "unknown", "name": "Ann"}, 404),
        ({"token": "unknown"}, 400),
        ({"name": "Ann"}, 400),
        ({"token": 7, "name": ""}, 400),
    ],
)
async def test_accepting_is_refused(api: Api, body: dict[str, Any], status: int) -> None:
    assert (await api.post(f"{PATH}/accept", json=body)).status_code == status


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["email", "role"]),
        ({"email": "nobody", "role": "king"}, ["email", "role"]),
        ({"email": "ann@example.com", "role": None}, ["role"]),
    ],
)
async def test_a_bad_invitation_is_400_with_every_field(
    api_alone: Api, body: dict[str, Any], fields: list[str]
) -> None:
    answer = await api_alone.post(f"{PATH}/invite", json=body)
    assert answer.status_code == 400
    assert sorted(one["field"] for one in answer.json()["fields"]) == fields


async def test_an_address_is_invited_once(api_alone: Api) -> None:
    await invite(api_alone)
    body = {"email": "ANN@example.com", "role": "viewer"}
    assert (await api_alone.post(f"{PATH}/invite", json=body)).status_code == 409


async def test_a_new_role_changes_what_the_key_may_do(api: Api) -> None:
    joined = await join(api)
    headers = {"X-API-Key": joined["api_key"]}
    assert (await api.get(PATH, headers=headers)).status_code == 403
    changed = await api.put(f"{PATH}/{joined['id']}", json={"role": "admin"})
    assert (changed.status_code, changed.json()["data"]["role"]) == (200, "admin")
    await asyncio.sleep(0.6)
    assert (await api.get(PATH, headers=headers)).status_code == 200


async def test_a_role_changed_before_joining_is_the_role_joined_in(api: Api) -> None:
    made = await invite(api)
    await api.put(f"{PATH}/{made['id']}", json={"role": "developer"})
    await api.get(PATH, headers={"X-Min-Position": await head_of(api)})
    body = {"token": made["invite_token"], "name": "Ann"}
    joined = (await api.post(f"{PATH}/accept", json=body)).json()["data"]
    assert (joined["role"], "write" in joined["permissions"]) == ("developer", True)


async def test_a_removed_member_is_gone_with_their_key(api: Api) -> None:
    joined = await join(api)
    removed = await api.delete(f"{PATH}/{joined['id']}")
    assert (removed.status_code, removed.content) == (204, b"")
    await asyncio.sleep(0.6)
    answer = await api.get("/api/errors", headers={"X-API-Key": joined["api_key"]})
    assert (answer.status_code, answer.json()["error"]) == (401, "the API key was revoked")
    assert await members(api) == []
    assert (await api.delete(f"{PATH}/{joined['id']}")).status_code == 404
    assert (await join(api))["id"] != joined["id"]


async def test_the_last_owner_stays(api: Api) -> None:
    owner = await join(api, role="owner")
    path = f"{PATH}/{owner['id']}"
    assert (await api.delete(path)).status_code == 409
    assert (await api.put(path, json={"role": "admin"})).status_code == 409
    await join(api, "otto@example.com", "owner")
    assert (await api.delete(path)).status_code == 204


async def test_only_owners_touch_owners(api: Api) -> None:
    owner = await join(api, role="owner")
    admin = await join(api, "adam@example.com", "admin")
    api.headers["X-API-Key"] = admin["api_key"]
    refused = [
        await api.post(f"{PATH}/invite", json={"email": "x@example.com", "role": "owner"}),
        await api.put(f"{PATH}/{owner['id']}", json={"role": "viewer"}),
        await api.put(f"{PATH}/{admin['id']}", json={"role": "owner"}),
        await api.delete(f"{PATH}/{owner['id']}"),
        await api.delete(f"/api/settings/api-keys/{owner['key_id']}"),
    ]
    assert [answer.status_code for answer in refused] == [403] * 5


async def test_a_plain_admin_key_is_no_owner(api_alone: Api) -> None:
    key = await api_alone.issue("ingest", "read", "write", "admin")
    body = {"email": "x@example.com", "role": "owner"}
    answer = await api_alone.post(f"{PATH}/invite", json=body, headers={"X-API-Key": key})
    assert answer.status_code == 403


async def test_a_key_of_one_application_does_not_manage_the_team(api: Api) -> None:
    await api.register("shop")
    headers = {"X-API-Key": await api.issue("ingest", "read", "write", "admin", app="shop")}
    body = {"email": "x@example.com", "role": "viewer"}
    answers = [
        await api.get(PATH, headers=headers),
        await api.post(f"{PATH}/invite", json=body, headers=headers),
        await api.put(f"{PATH}/{uuid4()}", json={"role": "viewer"}, headers=headers),
        await api.delete(f"{PATH}/{uuid4()}", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [403] * 4


async def test_unknown_members_are_404_and_bad_ids_400(api_alone: Api) -> None:
    for path, status in ((f"{PATH}/{uuid4()}", 404), (f"{PATH}/user-1", 400)):
        assert (await api_alone.put(path, json={"role": "viewer"})).status_code == status
        assert (await api_alone.delete(path)).status_code == status
