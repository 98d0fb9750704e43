"""`?as_of=`: the answer that would have been given then."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from errata.past import Past
from projections.past import PastKeyspaces
from tests.api.all_routes import routes_of
from tests.api.ingest_tools import FRAME, KEY, batch, event, stack
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


async def test_what_has_no_past_says_so_and_never_shows_the_present_instead(
    api_alone: Api,
) -> None:
    present = [
        path
        for (method, path), operation in routes_of(api_alone).items()
        if method == "GET" and operation.permission and operation.as_of is None
    ]
    assert "/api/monitoring/services" in present
    for path in present:
        for as_of in ("1", "bogus"):
            answer = await ask(api_alone, path, as_of)
            assert answer.status_code == 400, path
            assert "as_of: is not for this path" in answer.json()["error"]


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
    for path in ("errors", "trends", "codes", "apps"):
        answer = await ask(api, f"/dashboard/api/{path}", after_rule, appId="test-app")
        assert answer.status_code == 200, answer.text


async def test_occurrences_on_the_dashboard_are_those_of_the_moment(api: Api) -> None:
    first = await api.report(app="test-app", message="one", user={"id": "u"})
    for _ in range(2):
        await api.report(app="test-app", message="another thing entirely")
    before = await head(api)
    await api.delete(f"/api/errors/{first['id']}")
    await api.report(app="test-app", message="one")
    messages = {
        at: [one["message"] for one in (await on_dashboard(api, "errors", at))["errors"]]
        for at in (before - 2, before, before + 1, None)
    }
    other = "another thing entirely"
    assert messages == {
        before - 2: ["one"],
        before: [other, other, "one"],
        before + 1: [other, other],
        None: ["one", other, other],
    }
    page = await on_dashboard(api, "errors", before, limit=2)
    assert page["pagination"]["hasMore"] is True
    cursor = page["pagination"]["nextCursor"]
    rest = await on_dashboard(api, "errors", before, limit=2, cursor=cursor)
    assert [one["message"] for one in rest["errors"]] == ["one"]
    assert rest["pagination"]["hasMore"] is False
    (found,) = (await on_dashboard(api, "errors", before, userId="u"))["errors"]
    path = f"errors/{found['id']}"
    assert (await on_dashboard(api, path, before))["error"] == found
    for at in (before - 3, before + 1, None):
        answer = await ask(api, f"/dashboard/api/{path}", at, appId="test-app")
        assert answer.status_code == 404, at


async def on_dashboard(api: Api, path: str, as_of: int | None, **parameters: Any) -> Any:
    """What the dashboard's API shows of test-app, as of the log's head or a moment."""
    answer = await api.get(
        f"/dashboard/api/{path}",
        params={"appId": "test-app", **parameters, **({"as_of": as_of} if as_of else {})},
        headers={} if as_of else {"X-Min-Position": str(await head(api))},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_index_of_occurrences_is_waited_for(api_alone: Api) -> None:
    """Nobody works here, so it stays where it is."""
    past = api_alone.container.past
    assert isinstance(past, Past)
    past._patience = 0.0
    answer = await ask(api_alone, "/dashboard/api/errors", 1, appId="test-app")
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "2")
    assert answer.json() == {"success": True, "position": 0, "target": 1}


async def test_stacks_are_shown_with_the_source_maps_of_the_moment(api: Api) -> None:
    sent = event(parsedStack=stack(FRAME))
    assert (await api.post("/api/v1/ingest", json=batch(sent), headers=KEY)).status_code == 200
    reported = await head(api)
    for source in ("src/a.ts", "src/b.ts"):
        text = {"version": 3, "sources": [source], "names": [], "mappings": "AAAA"}
        one = {"appVersion": "1.0.0", "fileName": "a.js", "sourceMap": json.dumps(text)}
        answer = await api.post("/api/v1/sourcemaps/upload", json=one, headers=KEY)
        assert answer.status_code == 200, answer.text
    files = []
    for at in (reported, reported + 1, reported + 2):
        page = await on_dashboard(api, "errors", at, startTime="2020-01-01T00:00:00Z")
        (frame,) = page["errors"][0]["parsedStack"]["frames"]
        files.append(frame["originalFileName"])
    assert files == [None, "src/a.ts", "src/b.ts"]


async def test_what_a_rule_has_done_is_that_of_the_moment(api: Api) -> None:
    rule = {"name": "many", "condition": "error_count > 5 in 5m"}
    rule_id = (await api.post("/api/alerts/rules", json=rule)).json()["data"]["id"]
    position = await head(api)
    await api.delete(f"/api/alerts/rules/{rule_id}")
    path = f"/api/alerts/rules/{rule_id}/history"
    for at in (position, None):  # of a deleted rule it is still there
        assert (await data(api, path, at))["history"] == []
    assert (await ask(api, path, position - 1)).status_code == 404


async def test_a_history_ends_at_the_moment(api: Api) -> None:
    error = await api.report()
    position = await head(api)
    await api.put(f"/api/errors/{error['id']}/resolve")
    path = f"/api/errors/{error['id']}/history"
    then, now = [(await data(api, path, at))["history"] for at in (position, None)]
    assert [entry["name"] for entry in then] == ["ErrorReported"]
    assert [entry["name"] for entry in now] == ["ErrorResolved", "ErrorReported"]
    assert (await ask(api, path, position - 1)).status_code == 404
    file = await api.get(
        path, params={"as_of": position}, headers={"Accept": "application/x-ndjson"}
    )
    assert "ErrorResolved" not in file.text
    assert json.loads(file.text.splitlines()[-1])["events"] == 1


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
