"""The permission matrix: every route, every role, every kind of key that is none; and its print."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from api.access import ACCESS, CALLERS, FOR_ALL_APPS, WITHOUT_KEY, allowed, as_markdown
from infra.clock import utc_now
from tests.api.all_routes import knock, routes_of
from tests.api.settings_tools import head_of, works

if TYPE_CHECKING:
    from api.access import Route
    from tests.api.conftest import Api

DOCS = Path(__file__).parents[2] / "docs" / "permissions.md"
SECRET = "xylophone7351"

ROLES = {
    "viewer": {"read"},
    "developer": {"ingest", "read", "write"},
    "admin": {"ingest", "read", "write", "admin"},
    "owner": {"ingest", "read", "write", "admin"},
    "ingest key": {"ingest"},
    "no key": None,
}
"""What the contract gives each caller, written down once more."""


async def made(api: Api, path: str, **body: Any) -> dict[str, Any]:
    """What a POST creates."""
    answer = await api.post(f"/api/{path}", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def new_key(api: Api, *permissions: str, **wish: Any) -> dict[str, Any]:
    """A key that works, made by the API."""
    key = await made(api, "settings/api-keys", name="a key", permissions=permissions, **wish)
    assert await works(api, key["api_key"])
    return key


async def key_of_member(api: Api, role: str) -> str:
    """The personal key of somebody who was invited and has joined."""
    email = f"{role}@example.com"
    token = (await made(api, "settings/team/invite", email=email, role=role))["invite_token"]
    key = str((await made(api, "settings/team/accept", token=token, name=role))["api_key"])
    assert await works(api, key)
    return key


def is_let_in(status: int) -> bool:
    """Whether the guard let a request through: an empty wish may fail later, but never so."""
    return status not in (401, 403, 405) and (status < 500 or status == 503)


async def test_the_table_holds_every_route_with_its_permission(api_alone: Api) -> None:
    assert dict(ACCESS) == {
        route: operation.permission for route, operation in routes_of(api_alone).items()
    }


def test_the_table_knows_the_callers_as_the_contract_does() -> None:
    assert {who: held if held is None else set(held) for who, held in CALLERS.items()} == ROLES


def test_the_printed_table_is_fresh() -> None:
    hint = "run: python -m api.access > docs/permissions.md"
    assert DOCS.read_text(encoding="utf-8") == as_markdown(), hint


async def test_each_role_is_let_in_where_the_table_says_and_nowhere_else(api: Api) -> None:
    members = ("viewer", "developer", "admin", "owner")
    keys: dict[str, str | None] = {role: await key_of_member(api, role) for role in members}
    keys["ingest key"] = (await new_key(api, "ingest"))["api_key"]
    keys["no key"] = None
    wrong: list[tuple[Route, str, int]] = []
    seen: Counter[str] = Counter()
    for route in routes_of(api):
        for who, key in keys.items():
            status = (await knock(api, route, key)).status_code
            held = CALLERS[who]
            visits = held is None and route in WITHOUT_KEY
            expected = (
                is_let_in(status)
                if visits or allowed(route, held)
                else status == (401 if held is None else 403)
            )
            seen[who] += 1
            wrong += [] if expected else [(route, who, status)]
    assert wrong == []
    assert set(seen.values()) == {len(ACCESS)}


@pytest.mark.parametrize("kind", ["unknown", "revoked", "expired"])
async def test_a_key_that_is_no_more_opens_nothing(api: Api, kind: str) -> None:
    key = await KEYS_THAT_ARE_NONE[kind](api)
    wrong: list[tuple[Route, int]] = []
    for route in routes_of(api):
        answer = await knock(api, route, key)
        expected = (
            is_let_in(answer.status_code)
            if ACCESS[route] is None
            else (answer.status_code == 401 and kind in answer.json()["error"])
        )
        wrong += [] if expected else [(route, answer.status_code)]
    assert wrong == []


async def unknown(api: Api) -> str:
    return f"sk_live_{uuid4().hex}"


async def revoked(api: Api) -> str:
    key = await new_key(api, "ingest", "read", "write", "admin")
    assert (await api.delete(f"/api/settings/api-keys/{key['id']}")).status_code == 204
    await asyncio.sleep(1)
    return str(key["api_key"])


async def expired(api: Api) -> str:
    end = utc_now() + timedelta(seconds=1)
    key = await new_key(api, "ingest", "read", "write", "admin", expires_at=end.isoformat())
    await asyncio.sleep(1)
    return str(key["api_key"])


KEYS_THAT_ARE_NONE = {"unknown": unknown, "revoked": revoked, "expired": expired}


async def others_things(api: Api) -> dict[str, str]:
    """One of everything that belongs to the application `default`; path parameter -> id."""
    error = await made(api, "errors", message=f"{SECRET} broke", source=SECRET)
    condition = "error_count > 5 in 5m"
    rule = await made(api, "alerts/rules", name=SECRET, condition=condition, app="default")
    incident = await made(api, "alerts/incidents", title=SECRET, app="default")
    key = await made(api, "settings/api-keys", name=SECRET, app="default")
    return {
        "error_id": error["id"],
        "rule_id": rule["id"],
        "incident_id": incident["id"],
        "key_id": key["id"],
    }


async def key_of_shop(api: Api) -> str:
    """A key that may do everything, in another application."""
    await made(api, "settings/apps", id="shop", name="The Shop")
    return str((await new_key(api, "ingest", "read", "write", "admin", app="shop"))["api_key"])


async def test_a_key_of_another_application_finds_nothing_by_id(api: Api) -> None:
    ids, key = await others_things(api), await key_of_shop(api)
    owned = [route for route in routes_of(api) if any(f"{{{name}}}" in route[1] for name in ids)]
    answers = {route: (await knock(api, route, key, **ids)).status_code for route in owned}
    assert len(owned) >= 11
    assert answers == dict.fromkeys(owned, 404)


async def test_a_key_of_another_application_finds_nothing_in_any_list_or_number(api: Api) -> None:
    await others_things(api)
    key, head = await key_of_shop(api), await head_of(api)
    shown = 0
    for method, path in routes_of(api):
        if method != "GET" or ACCESS[method, path] is None or "{" in path:
            continue
        # The dashboard wants to be told an application: it is told the other one.
        query = {"appId": "default"} if (method, path) in WITHOUT_KEY else {}
        everything = await api.get(path, params=query, headers={"X-Min-Position": head})
        assert everything.status_code in (200, 202), (path, everything.text)
        shown += SECRET in everything.text
        headers = {"X-Min-Position": head, "X-API-Key": key}
        own = await api.get(path, params=query, headers=headers)
        let_in = own.status_code == 200
        assert let_in or query or (method, path) in FOR_ALL_APPS, (path, own.text)
        assert SECRET not in own.text, path
        if let_in and not query:
            assert own.json().get("data", {}).get("total", 0) == 0, path
    assert shown >= 5
    numbers = (await api.get("/api/stats", headers={"X-API-Key": key})).json()["data"]
    assert (numbers["total_errors"], numbers["total_occurrences"]) == (0, 0)


async def test_what_concerns_every_application_refuses_the_key_of_one(api: Api) -> None:
    key = await key_of_shop(api)
    refused = {
        route for route in routes_of(api) if (await knock(api, route, key)).status_code == 403
    }
    assert refused == FOR_ALL_APPS


async def test_a_key_never_grants_more_than_it_holds(api: Api) -> None:
    key = (await new_key(api, "admin"))["api_key"]
    wish = {"name": "more", "permissions": ["write"]}
    answer = await api.post("/api/settings/api-keys", json=wish, headers={"X-API-Key": key})
    assert answer.status_code == 403
