"""Incidents over HTTP, against real servers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from domain.member import Granter, InviteMember, RemoveMember, member_id
from domain.permissions import ALL_PERMISSIONS, OWNER

if TYPE_CHECKING:
    from tests.api.conftest import Api

INCIDENTS = "/api/alerts/incidents"
DOCUMENTED = {
    "title": "Database Connection Timeout",
    "severity": "critical",
    "description": "Multiple database connection timeouts detected",
}
OWNERS = Granter(ALL_PERMISSIONS, OWNER)


async def opened(api: Api, **changes: Any) -> dict[str, Any]:
    """An incident."""
    answer = await api.post(INCIDENTS, json={**DOCUMENTED, **changes})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def invited(api: Api, email: str) -> str:
    """The id of somebody who was just invited."""
    now = datetime.now(UTC)
    command = InviteMember(email=email, role="viewer", token_hash=email, invited_at=now, by=OWNERS)
    await api.execute(command)
    return str(member_id(email))


async def test_the_documents_incident_is_answered_with_all_its_fields(api: Api) -> None:
    member = await invited(api, "alice@example.com")
    answer = await api.post(INCIDENTS, json={**DOCUMENTED, "assigned_to": member})
    body = answer.json()
    assert (answer.status_code, body["status"]) == (201, "success")
    incident = body["data"]
    assert {field: incident[field] for field in DOCUMENTED} == DOCUMENTED
    assert (incident["assigned_to"], incident["status"]) == (member, "open")
    assert (incident["version"], incident["app"]) == (1, "default")
    assert incident["created_at"] == incident["updated_at"]


async def test_an_incident_comes_with_its_timeline(api: Api) -> None:
    made = await opened(api)
    path = f"{INCIDENTS}/{made['id']}"
    answer = await api.put(path, json={"status": "investigating", "severity": "high"})
    changed = answer.json()["data"]
    assert (changed["status"], changed["version"]) == ("investigating", 2)
    position = int(answer.headers["X-Event-Position"])
    found = (await api.get(path, headers={"X-Min-Position": str(position)})).json()["data"]
    timeline = found.pop("timeline")
    assert found == changed
    assert [entry["event"] for entry in timeline] == ["IncidentOpened", "IncidentChanged"]
    assert timeline[1] == {
        "position": position,
        "at": changed["updated_at"],
        "actor": "key:development",
        "event": "IncidentChanged",
        "changes": [
            {"field": "severity", "before": "critical", "after": "high"},
            {"field": "status", "before": "open", "after": "investigating"},
        ],
    }


async def test_a_move_that_is_not_allowed_is_409(api: Api) -> None:
    path = f"{INCIDENTS}/{(await opened(api))['id']}"
    assert (await api.put(path, json={"status": "closed"})).status_code == 200
    answer = await api.put(path, json={"status": "resolved"})
    assert (answer.status_code, answer.json()["error"]) == (
        409,
        "an incident that is closed cannot become resolved, only open",
    )
    assert (await api.put(path, json={"status": "open"})).status_code == 200


async def test_only_members_are_assigned_and_null_takes_them_off(api: Api) -> None:
    member = await invited(api, "alice@example.com")
    path = f"{INCIDENTS}/{(await opened(api, assigned_to=member))['id']}"
    for somebody, problem in (
        (str(uuid4()), "is not a member of the team"),
        ("user-123", "must be a member's id (a UUID), or null"),
    ):
        for answer in (
            await api.put(path, json={"assigned_to": somebody}),
            await api.post(INCIDENTS, json={**DOCUMENTED, "assigned_to": somebody}),
        ):
            assert answer.status_code == 400
            assert answer.json()["fields"] == [{"field": "assigned_to", "problem": problem}]
    unassigned = await api.put(path, json={"assigned_to": None})
    assert unassigned.json()["data"]["assigned_to"] is None


async def test_a_removed_member_is_no_member(api: Api) -> None:
    member = await invited(api, "alice@example.com")
    from uuid import UUID

    position = await api.execute(RemoveMember(member_id=UUID(member), by=OWNERS))
    assert await api.container.positions.wait("members", position, 5)
    answer = await api.post(INCIDENTS, json={**DOCUMENTED, "assigned_to": member})
    assert answer.status_code == 400


async def test_an_update_of_an_old_version_is_409(api: Api) -> None:
    path = f"{INCIDENTS}/{(await opened(api))['id']}"
    for match, status in (('"1"', 200), ('"1"', 409), ("2", 200)):
        answer = await api.put(
            path, json={"title": f"After {match} {status}"}, headers={"If-Match": match}
        )
        assert answer.status_code == status


async def test_a_change_to_what_is_so_already_is_no_event(api: Api) -> None:
    made = await opened(api)
    head = await api.container.store.head()
    answer = await api.put(f"{INCIDENTS}/{made['id']}", json={**DOCUMENTED, "status": "open"})
    assert (answer.status_code, answer.json()["data"]) == (200, made)
    assert await api.container.store.head() == head


async def test_all_wrong_fields_are_named_at_once(api: Api) -> None:
    answer = await api.post(
        INCIDENTS,
        json={
            "severity": "awful",
            "status": "closed",
            "description": 5,
            "assigned_to": str(uuid4()),
        },
    )
    assert answer.status_code == 400
    assert {one["field"]: one["problem"] for one in answer.json()["fields"]} == {
        "title": "is required",
        "severity": "must be one of low, medium, high, critical",
        "status": "of a new incident is open; change it afterwards",
        "description": "must be a string or null",
        "assigned_to": "is not a member of the team",
    }


async def test_an_unknown_id_is_404_and_no_uuid_is_400(api: Api) -> None:
    for method in ("GET", "PUT"):
        unknown = await api.request(method, f"{INCIDENTS}/{uuid4()}", json={})
        wrong = await api.request(method, f"{INCIDENTS}/incident-1", json={})
        assert (unknown.status_code, unknown.json()["error"]) == (404, "no such incident")
        assert wrong.json()["fields"] == [{"field": "id", "problem": "must be a UUID"}]


async def test_the_list_has_filters_pages_and_cursors(api: Api) -> None:
    member = await invited(api, "alice@example.com")
    made = [
        (await opened(api, severity=severity, assigned_to=who))["id"]
        for severity, who in (("low", None), ("critical", member), ("low", None))
    ]
    await api.put(f"{INCIDENTS}/{made[0]}", json={"status": "closed"})
    last = await api.container.store.head()
    seen = {"X-Min-Position": str(last)}
    first = (await api.get(f"{INCIDENTS}?limit=2", headers=seen)).json()["data"]
    assert [one["id"] for one in first["incidents"]] == [made[2], made[1]]
    assert (first["total"], first["page"], first["limit"], first["offset"]) == (3, 1, 2, 0)
    rest = (await api.get(f"{INCIDENTS}?limit=2&cursor={first['next_cursor']}")).json()["data"]
    assert ([one["id"] for one in rest["incidents"]], rest["next_cursor"]) == (made[:1], None)
    for query, wanted in (
        ("status=closed", [made[0]]),
        ("status=open&severity=low", [made[2]]),
        ("severity=critical", [made[1]]),
        (f"assigned_to={member}", [made[1]]),
        ("app=shop", []),
        ("offset=1&limit=1", [made[1]]),
    ):
        data = (await api.get(f"{INCIDENTS}?{query}")).json()["data"]
        assert [one["id"] for one in data["incidents"]] == wanted, query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=gone", "status"),
        ("severity=awful", "severity"),
        ("assigned_to=user-123", "assigned_to"),
        ("limit=101", "limit"),
        ("cursor=made-up", "cursor"),
    ],
)
async def test_a_wrong_parameter_is_400_with_its_name(api: Api, query: str, field: str) -> None:
    answer = await api.get(f"{INCIDENTS}?{query}")
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["fields"]] == [field]


async def test_a_key_of_one_application_sees_its_incidents_only(api: Api) -> None:
    await api.register("shop")
    key = {"X-API-Key": await api.issue("read", "write", app="shop")}
    foreign = await opened(api)
    own = (await api.post(INCIDENTS, json=DOCUMENTED, headers=key)).json()["data"]
    assert own["app"] == "shop"
    path = f"{INCIDENTS}/{foreign['id']}"
    assert (await api.get(path, headers=key)).status_code == 404
    assert (await api.put(path, json={"title": "x"}, headers=key)).status_code == 404
    assert (await api.get(f"{INCIDENTS}/{own['id']}", headers=key)).status_code == 200
    listed = (await api.get(INCIDENTS, headers=key)).json()["data"]["incidents"]
    assert [one["id"] for one in listed] == [own["id"]]


async def test_reading_keys_cannot_write(api: Api) -> None:
    made = await opened(api)
    reader = {"X-API-Key": await api.issue("read")}
    path = f"{INCIDENTS}/{made['id']}"
    assert (await api.get(path, headers=reader)).status_code == 200
    for method, where in (("POST", INCIDENTS), ("PUT", path)):
        answer = await api.request(method, where, json=DOCUMENTED, headers=reader)
        assert answer.status_code == 403
