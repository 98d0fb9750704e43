"""`?as_of=`: the answer that would have been given then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from errata.past import Past
from projections.past import PastKeyspaces
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api


async def ask(api: Api, path: str, as_of: object = None, **parameters: Any) -> httpx.Response:
    """An answer, now or as of a moment."""
    if as_of is not None:
        parameters["as_of"] = str(as_of)
    return await api.get(path, params=parameters)


async def data(api: Api, path: str, as_of: object = None, **parameters: Any) -> Any:
    """The data of a good answer."""
    answer = await ask(api, path, as_of, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def head(api: Api) -> int:
    """The position of the last event."""
    return await api.container.store.head()


async def test_an_error_is_shown_as_it_was(api: Api) -> None:
    error = await api.report(message="first")
    before = await head(api)
    await api.report(message="first")
    resolved = await api.put(f"/api/errors/{error['id']}/resolve")
    assert resolved.status_code == 200
    path = f"/api/errors/{error['id']}"
    then, now = await data(api, path, before), await data(api, path)
    assert (then["count"], then["resolved"]) == (1, False)
    assert (now["count"], now["resolved"]) == (2, True)


async def test_lists_statistics_and_occurrences_are_those_of_the_moment(api: Api) -> None:
    error = await api.report(message="one")
    before = await head(api)
    await api.report(message="another thing entirely")
    await api.delete(f"/api/errors/{error['id']}")
    listed = await data(api, "/api/errors", before)
    assert [one["id"] for one in listed["errors"]] == [error["id"]]
    assert (await data(api, "/api/stats", before))["total_errors"] == 1
    trend = await data(api, "/api/analytics/trends", before, period="day", group_by="hour")
    assert sum(bucket["error_count"] for bucket in trend["data_points"]) == 1
    occurrences = await data(api, f"/api/errors/{error['id']}/occurrences", before)
    assert len(occurrences["occurrences"]) == 1
    assert (await ask(api, f"/api/errors/{error['id']}/occurrences")).status_code == 404


async def test_a_time_stands_for_the_last_position_recorded_by_then(api: Api) -> None:
    error = await api.report()
    path = f"/api/errors/{error['id']}"
    first = (await data(api, path))["created_at"]
    await asyncio.sleep(0.01)
    await api.report()
    assert (await data(api, path, first))["count"] == 1
    assert (await ask(api, path, "2020-01-01T00:00:00Z")).status_code == 404


async def test_the_answer_names_the_position_it_reflects(api: Api) -> None:
    await api.report()
    position = await head(api)
    await api.report()
    answer = await ask(api, "/api/stats", position)
    assert answer.headers["X-Read-Position"] == str(position)


@pytest.mark.parametrize(
    "as_of", ["0", "-1", "soon", "2025-08-29", "999999999", "2999-01-01T00:00:00Z", ""]
)
async def test_what_is_no_moment_of_the_past_is_refused(api: Api, as_of: str) -> None:
    answer = await ask(api, "/api/errors", as_of)
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == "as_of"


async def test_a_moment_before_the_position_asked_for_is_refused(api: Api) -> None:
    await api.report()
    answer = await api.get("/api/stats", params={"as_of": "1"}, headers={"X-Min-Position": "3"})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "as_of")


async def test_rules_incidents_keys_team_and_codes_are_those_of_the_moment(api: Api) -> None:
    before = await head(api)
    rule = {"name": "many", "condition": "error_count > 5 in 5m"}
    made = await api.post("/api/alerts/rules", json=rule)
    rule_id = made.json()["data"]["id"]
    after_rule = await head(api)
    await api.delete(f"/api/alerts/rules/{rule_id}")
    incident = await api.post("/api/alerts/incidents", json={"title": "Down", "severity": "high"})
    assert incident.status_code == 201, incident.text
    await api.post("/api/settings/api-keys", json={"name": "mine"})
    await api.post("/api/settings/team/invite", json={"email": "a@b.example", "role": "viewer"})
    assert (await data(api, "/api/alerts/rules", before))["total"] == 0
    assert (await data(api, "/api/alerts/rules", after_rule))["total"] == 1
    assert (await data(api, f"/api/alerts/rules/{rule_id}", after_rule))["name"] == "many"
    assert (await ask(api, f"/api/alerts/rules/{rule_id}")).status_code == 404
    for path, name in (
        ("/api/alerts/incidents", "incidents"),
        ("/api/settings/api-keys", "api_keys"),
        ("/api/settings/team", "members"),
    ):
        then, now = await data(api, path, after_rule), await data(api, path)
        assert (then[name], len(now[name])) == ([], 1)
    for path in ("/api/settings/apps", "/api/settings/integrations", "/api/monitoring/uptime"):
        await data(api, path, after_rule)
    for path in ("trends", "codes", "apps"):
        answer = await ask(api, f"/dashboard/api/{path}", after_rule, appId="test-app")
        assert answer.status_code == 200, answer.text


async def test_two_moments_never_share_an_answer_that_is_kept(api: Api) -> None:
    await api.report()
    position = await head(api)
    await api.report()
    for _ in range(2):
        assert (await data(api, "/api/stats", position))["total_occurrences"] == 1
        assert (await data(api, "/api/stats"))["total_occurrences"] == 2


async def test_what_takes_long_is_answered_with_how_far_it_is(api: Api) -> None:
    await api.report()
    past = api.container.past
    assert isinstance(past, Past)
    past._patience = 0.0
    answer = await ask(api, "/api/stats", 2)
    assert answer.status_code == 202
    assert answer.headers["Retry-After"] == "2"
    assert answer.json()["data"]["target"] == 2
    async with asyncio.timeout(PATIENCE):
        while (answer := await ask(api, "/api/stats", 2)).status_code == 202:
            await asyncio.sleep(0.02)
    assert answer.status_code == 200


async def test_the_dashboard_says_so_in_its_own_words(api: Api) -> None:
    past = api.container.past
    assert isinstance(past, Past)
    past._patience = 0.0
    answer = await ask(api, "/dashboard/api/codes", 1, appId="test-app")
    assert answer.status_code == 202
    assert answer.json() == {"success": True, "position": 0, "target": 1}


async def test_no_more_than_two_moments_are_built_at_a_time(api: Api) -> None:
    await api.report()
    past = api.container.past
    assert isinstance(past, Past)
    past._patience = 0.1
    building = "errata:as_of:building"
    for number in range(2):
        past.keyspaces.client.zadd(building, {f"somebody {number}": 2**40})
    answer = await ask(api, "/api/stats", 2)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    past.keyspaces.client.zremrangebyrank(building, 0, 0)
    past._patience = 10
    assert (await ask(api, "/api/stats", 2)).status_code == 200


async def test_what_nobody_asks_for_any_more_goes(api: Api) -> None:
    await api.report()
    past = api.container.past
    assert isinstance(past, Past)
    past.keyspaces = PastKeyspaces(past.keyspaces.client, lifetime=1)
    await data(api, "/api/stats", 3)
    pattern = "errata:{stats@3.*"
    assert past.keyspaces.client.keys(pattern)
    async with asyncio.timeout(PATIENCE):
        while past.keyspaces.client.keys(pattern):
            await asyncio.sleep(0.05)
            past.keyspaces.sweep()
    assert (await data(api, "/api/stats", 3))["total_errors"] == 1


async def test_the_past_needs_the_permission_of_the_present(api: Api) -> None:
    key = await api.issue("ingest")
    answer = await api.get("/api/stats", params={"as_of": "1"}, headers={"X-API-Key": key})
    assert answer.status_code == 403


async def test_an_error_that_was_never_reported_is_none_in_the_past(api: Api) -> None:
    assert (await ask(api, f"/api/errors/{uuid4()}", 1)).status_code == 404
