"""Histories: who did what to a thing, when, from where, and which fields it changed."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest

from tests.api.settings_tools import works

if TYPE_CHECKING:
    from httpx import Response

    from tests.api.conftest import Api

RULE = {"name": "Many", "condition": "error_count > 5 in 5m"}
CHECK = {"name": "Shop", "target": "https://shop.example.com/"}
WEBHOOK = {"config": {"url": "https://example.com/hook", "secret": "a shared secret"}}
NDJSON = {"Accept": "application/x-ndjson"}
CSV = {"Accept": "text/csv"}


async def history(api: Api, path: str, **query: Any) -> dict[str, Any]:
    answer = await api.get(f"/api/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


async def names(api: Api, path: str) -> list[str]:
    return [one["name"] for one in (await history(api, path))["history"]]


def changed(entry: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {one["field"]: (one["before"], one["after"]) for one in entry["changes"]}


async def made(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post(f"/api/{path}", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def test_an_entry_says_when_who_from_where_and_what_changed(api_alone: Api) -> None:
    error = (await api_alone.report())["id"]
    headers = {"X-Request-ID": "request-17"}
    await api_alone.put(f"/api/errors/{error}/resolve", headers=headers)
    page = await history(api_alone, f"errors/{error}/history")
    resolved, reported = page["history"]
    assert (resolved["name"], reported["name"]) == ("ErrorResolved", "ErrorReported")
    assert resolved["actor"] == "key:development"
    assert resolved["correlation_id"] == "request-17"
    assert resolved["address"] == "127.0.0.1"
    assert changed(resolved) == {
        "status": ("open", "resolved"),
        "resolved_at": (None, resolved["recorded_at"]),
    }
    assert changed(reported)["count"] == (0, 1)
    assert reported["address"] is None
    assert page["next_cursor"] is None


async def test_the_history_of_an_error_survives_its_deletion(api_alone: Api) -> None:
    error = (await api_alone.report())["id"]
    await api_alone.delete(f"/api/errors/{error}")
    deleted, _ = (await history(api_alone, f"errors/{error}/history"))["history"]
    assert deleted["name"] == "ErrorDeleted"
    assert changed(deleted)["status"] == ("open", "absent")


async def test_pages_follow_each_other_to_the_beginning(api_alone: Api) -> None:
    for _ in range(7):
        error = (await api_alone.report())["id"]
    found: list[tuple[int, int]] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = await history(api_alone, f"errors/{error}/history", **query)
        found += [changed(one)["count"] for one in page["history"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == [(number - 1, number) for number in range(7, 0, -1)]


async def test_everything_has_a_history(api: Api) -> None:
    rule = (await made(api, "alerts/rules", RULE))["id"]
    await api.put(f"/api/alerts/rules/{rule}", json={"enabled": False})
    found = (await history(api, f"alerts/rules/{rule}/changes"))["history"]
    assert changed(found[0])["settings.enabled"] == (True, False)
    assert (await api.delete(f"/api/alerts/rules/{rule}")).status_code == 204
    assert (await names(api, f"alerts/rules/{rule}/changes"))[0] == "AlertRuleDeleted"

    incident = (await made(api, "alerts/incidents", {"title": "Down"}))["id"]
    assert await names(api, f"alerts/incidents/{incident}/history") == ["IncidentOpened"]
    check = (await made(api, "monitoring/checks", CHECK))["id"]
    assert await names(api, f"monitoring/checks/{check}/history") == ["CheckCreated"]
    key = (await made(api, "settings/api-keys", {"name": "CI"}))["id"]
    await api.delete(f"/api/settings/api-keys/{key}")
    revoked, issued = (await history(api, f"settings/api-keys/{key}/history"))["history"]
    assert changed(revoked) == {"revoked": (False, True)}
    assert changed(issued)["key_hash"] == ("", "****")
    await made(api, "settings/apps", {"id": "shop", "name": "The Shop"})
    assert await names(api, "settings/apps/shop/history") == ["AppRegistered"]
    await api.put("/api/settings/integrations/webhook", json=WEBHOOK)
    path = "settings/integrations/webhook/history"
    (configured,) = (await history(api, path))["history"]
    assert changed(configured)["sealed.ciphertext"] == (None, "****")


async def test_the_history_of_a_member_is_theirs_alone(api: Api) -> None:
    members = [
        await made(
            api, "settings/team/invite", {"email": f"{who}@example.com", "role": "developer"}
        )
        for who in ("ann", "bob")
    ]
    ann, bob = (member["id"] for member in members)
    await api.put(f"/api/settings/team/{ann}", json={"role": "viewer"})
    role, invited = (await history(api, f"settings/team/{ann}/history"))["history"]
    assert changed(role) == {"role": ("developer", "viewer")}
    assert changed(invited)["token_hash"] == (None, "****")
    assert await names(api, f"settings/team/{bob}/history") == ["MemberInvited"]


@pytest.mark.parametrize(
    "path",
    [
        "errors/{}/history",
        "alerts/rules/{}/changes",
        "settings/team/{}/history",
        "settings/apps/nobody/history",
    ],
)
async def test_what_never_was_is_404(api_alone: Api, path: str) -> None:
    for headers in ({}, NDJSON):
        answer = await api_alone.get(f"/api/{path.format(uuid4())}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_id_of_another_kind_of_thing_is_404(api_alone: Api) -> None:
    error = (await api_alone.report())["id"]
    assert (await api_alone.get(f"/api/alerts/rules/{error}/changes")).status_code == 404


@pytest.mark.parametrize("query", ["cursor=p1", "limit=0", "limit=101"])
async def test_bad_input_is_named(api_alone: Api, query: str) -> None:
    answer = await api_alone.get(f"/api/errors/{uuid4()}/history?{query}")
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == query.split("=")[0]


# -- the audit trail -----------------------------------------------------------------------------


async def events(api: Api, **query: Any) -> list[dict[str, Any]]:
    """All events that a question finds, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await api.get("/api/audit/events", params=query)
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        found += data["events"]
        if data["next_cursor"] is None:
            return found
        query["cursor"] = data["next_cursor"]


async def test_every_event_is_in_the_trail_in_either_order(api_alone: Api) -> None:
    for number in range(7):
        await api_alone.report(message="abcdefg"[number] * 3)
    head = await api_alone.container.store.head()
    newest = await events(api_alone, limit=3)
    oldest = await events(api_alone, limit=4, order="asc")
    assert [one["position"] for one in newest] == list(range(head, 0, -1))
    assert oldest == newest[::-1]
    assert all(one["changes"] for one in newest)


async def test_filters_choose_what_is_shown(api: Api) -> None:
    error = await api.report()
    key = await made(api, "settings/api-keys", {"name": "CI"})
    headers = {"X-Request-ID": "request-17"}
    await api.delete(f"/api/settings/api-keys/{key['id']}", headers=headers)
    (revoked,) = await events(api, correlation_id="request-17")
    assert (revoked["name"], revoked["kind"]) == ("ApiKeyRevoked", "api_key")
    assert revoked["data"]["key_hash"] == "****"
    assert [one["name"] for one in await events(api, stream=error["id"])] == ["ErrorReported"]
    assert {one["kind"] for one in await events(api, kind="app")} == {"app"}
    assert [one["position"] for one in await events(api, name="ApiKeyRevoked")] == [
        revoked["position"]
    ]
    assert await events(api, kind="app", name="ApiKeyRevoked") == []
    assert {one["actor"] for one in await events(api, actor="key:development")} == {
        "key:development"
    }
    at = revoked["recorded_at"]
    assert (await events(api, since=at))[-1]["position"] <= revoked["position"]
    assert (await events(api, until=at))[0]["position"] >= revoked["position"]
    assert await events(api, since="2035-01-01T00:00:00Z") == []
    place = revoked["position"]
    (one,) = await events(api, after=place - 1, before=place + 1)
    assert one == revoked
    assert await events(api, position=place) == [revoked]
    assert await events(api, position=place, after=place) == []
    assert await events(api, kind="key") == await events(api, kind="api_key")


async def test_a_key_of_one_application_sees_what_is_about_it(api: Api) -> None:
    await api.register("shop")
    key = await api.issue("admin", app="shop")
    await api.report(app="shop")
    await api.report(message="of another application")
    answer = await api.get("/api/audit/events", headers={"X-API-Key": key})
    shown = answer.json()["data"]["events"]
    assert [one["name"] for one in shown] == ["ErrorReported", "ApiKeyIssued", "AppRegistered"]
    refused = await api.get("/api/audit/events?app=default", headers={"X-API-Key": key})
    assert refused.status_code == 403


async def test_no_secret_is_in_any_answer(api: Api) -> None:
    key = await made(api, "settings/api-keys", {"name": "CI"})
    invite = {"email": "bob@example.com", "role": "viewer"}
    token = (await made(api, "settings/team/invite", invite))["invite_token"]
    await api.put("/api/settings/integrations/webhook", json=WEBHOOK)
    secrets = secrets_in(api, key["api_key"], token)
    for headers in ({}, NDJSON, CSV):
        shown = (await api.get("/api/audit/events", headers=headers)).text
        assert "ApiKeyIssued" in shown
        assert not [secret for secret in secrets if secret in shown]


def secrets_in(api: Api, *plain: str) -> list[str]:
    from domain.api_key import key_hash
    from domain.member import token_hash

    key, token = plain
    return [key, token, key_hash(key), token_hash(token), "a shared secret", "gAAAA"]


# -- files ---------------------------------------------------------------------------------------


def lines(answer: Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    assert answer.headers["Cache-Control"] == "no-store"
    return [msgspec.json.decode(line) for line in answer.content.splitlines()]


async def test_the_whole_trail_comes_as_json_lines(api_alone: Api) -> None:
    for _ in range(5):
        await api_alone.report()
    head = await api_alone.container.store.head()
    header, *found, trailer = lines(await api_alone.get("/api/audit/events", headers=NDJSON))
    assert (header["after"], header["until"], header["verbatim"]) == (0, head, False)
    assert [one["position"] for one in found] == list(range(1, head + 1))
    assert found[-1]["context"]["actor"] == "key:development"
    assert (trailer["end"], trailer["events"]) == (True, head)


async def test_the_whole_trail_comes_as_a_table(api_alone: Api) -> None:
    await api_alone.report(message='with "quotes",\nand lines')
    answer = await api_alone.get("/api/audit/events?kind=error_group", headers=CSV)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    columns, reported, trailer = list(csv.reader(io.StringIO(answer.text)))
    row = dict(zip(columns, reported, strict=True))
    assert row["name"] == "ErrorReported"
    assert "quotes" in msgspec.json.decode(row["data"])["occurrence"]["message"]
    assert len(trailer) == len(columns)
    assert trailer[0] == "end"


async def test_a_whole_history_comes_as_a_file(api_alone: Api) -> None:
    for _ in range(3):
        error = (await api_alone.report())["id"]
    header, *found, trailer = lines(
        await api_alone.get(f"/api/errors/{error}/history", headers=NDJSON)
    )
    assert header["what"] == "history"
    assert [one["stream_version"] for one in found] == [1, 2, 3]
    assert all(one["changes"] for one in found)
    assert (trailer["events"], trailer["chain"]) == (3, None)


async def test_the_address_of_a_member_who_acts_is_kept(api: Api) -> None:
    invite = {"email": "ann@example.com", "role": "owner"}
    token = (await made(api, "settings/team/invite", invite))["invite_token"]
    member = await made(api, "settings/team/accept", {"token": token, "name": "Ann"})
    assert await works(api, member["api_key"])
    (joined, _) = (await history(api, f"settings/team/{member['id']}/history"))["history"]
    assert (joined["actor"], joined["address"]) == (f"member:{member['id']}", "127.0.0.1")
