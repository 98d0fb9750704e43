"""ETag and 304, positions of reads, and answers kept in memory until something changes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.conditional import matches
from infra.clock import utc_now
from tests.api.conftest import REPORT

if TYPE_CHECKING:
    from tests.api.conftest import Api

REVALIDATE = "private, max-age=0, must-revalidate"
RULE = {
    "name": "Many",
    "condition": "error_count > threshold in time_window",
    "threshold": 5,
    "time_window": "5m",
    "notifications": ["email"],
}
KEPT = ("/api/errors", "/api/stats", "/api/analytics/trends")


async def at_head(api: Api, path: str) -> Any:
    """The answer that has seen everything."""
    head = str(await api.container.store.head())
    answer = await api.get(path, headers={"X-Min-Position": head})
    assert answer.status_code == 200, answer.text
    return answer


async def hits(api: Api, cache: str, outcome: str = "hit") -> float:
    text = (await api.get("/metrics")).text
    label = re.escape(f'errata_cache_requests_total{{cache="{cache}",outcome="{outcome}"}}')
    found = re.search(rf"^{label} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def certain(api: Api) -> None:
    """Wait until positions have been looked at."""
    await api.container.positions.look()


@pytest.mark.parametrize(
    ("header", "matching"),
    [
        (b'"a"', True),
        (b'W/"a"', True),
        (b'"b", W/"c","a"', True),
        (b"*", True),
        (b" * ", True),
        (b'"A"', False),
        (b'"b","c"', False),
        (b"a", False),
        (b"", False),
        (b'"', False),
        (None, False),
    ],
)
def test_if_none_match_is_a_list_of_tags_or_a_star(header: bytes | None, matching: bool) -> None:
    assert matches(header, b'"a"') is matching


@pytest.mark.parametrize(
    "path", [*KEPT, "/api/settings/api-keys", "/api/settings/team", "/api/alerts/rules"]
)
async def test_a_read_has_a_tag_and_is_304_while_nothing_changes(api: Api, path: str) -> None:
    await api.report()
    first = await at_head(api, path)
    assert first.headers["Cache-Control"] == REVALIDATE
    again = await api.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("ETag", "Cache-Control", "X-Read-Position"):
        assert again.headers[name] == first.headers[name]
    assert "Content-Type" not in again.headers
    assert "Content-Length" not in again.headers


async def test_a_change_changes_the_tag(api: Api) -> None:
    error = await api.report()
    for path in (*KEPT, f"/api/errors/{error['id']}"):
        before = await at_head(api, path)
        await api.report()
        after = await api.get(
            path,
            headers={
                "If-None-Match": before.headers["ETag"],
                "X-Min-Position": str(await api.container.store.head()),
            },
        )
        assert after.status_code == 200
        assert after.headers["ETag"] != before.headers["ETag"]


async def test_head_is_conditional_as_get_is(api: Api) -> None:
    await api.report()
    tag = (await at_head(api, "/api/errors")).headers["ETag"]
    whole = await api.head("/api/errors")
    known = await api.head("/api/errors", headers={"If-None-Match": tag})
    assert (whole.status_code, whole.headers["ETag"], known.status_code) == (200, tag, 304)


async def test_a_write_has_no_tag_is_never_304_and_may_not_be_stored(api: Api) -> None:
    written = await api.post("/api/errors", json=REPORT, headers={"If-None-Match": "*"})
    secret = await api.post("/api/settings/api-keys", json={"name": "one"})
    for answer in (written, secret):
        assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
        assert "ETag" not in answer.headers
        assert "X-Read-Position" not in answer.headers


async def test_a_failure_may_not_be_stored(api: Api) -> None:
    for path, status in (("/api/errors/none", 400), ("/api/nothing", 404)):
        answer = await api.get(path, headers={"If-None-Match": "*"})
        assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "no-store")


async def test_the_tag_of_a_rule_is_its_version_and_if_match_takes_it(api: Api) -> None:
    made = await api.post("/api/alerts/rules", json=RULE)
    path = f"/api/alerts/rules/{made.json()['data']['id']}"
    tag = (await at_head(api, path)).headers["ETag"]
    assert tag == made.headers["ETag"] == '"1"'
    changed = await api.put(path, json={"threshold": 6}, headers={"If-Match": tag})
    lost = await api.put(path, json={"threshold": 7}, headers={"If-Match": tag})
    assert (changed.status_code, changed.headers["ETag"], lost.status_code) == (200, '"2"', 409)
    await at_head(api, path)
    for known, status in (('"1"', 200), ('"2"', 304), ('W/"2", "7"', 304)):
        answer = await api.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.headers["ETag"]) == (status, '"2"')


async def test_the_tag_of_an_incident_is_its_version(api: Api) -> None:
    made = await api.post("/api/alerts/incidents", json={"title": "Down", "severity": "high"})
    path = f"/api/alerts/incidents/{made.json()['data']['id']}"
    read = await at_head(api, path)
    moved = await api.put(
        path, json={"status": "investigating"}, headers={"If-Match": read.headers["ETag"]}
    )
    assert [one.headers["ETag"] for one in (made, read, moved)] == ['"1"', '"1"', '"2"']


async def test_a_read_names_the_position_that_it_reflects(api: Api) -> None:
    await api.report()
    head = await api.container.store.head()
    for path in KEPT:
        assert int((await at_head(api, path)).headers["X-Read-Position"]) >= head
    assert "X-Event-Position" not in (await at_head(api, "/api/stats")).headers


@pytest.mark.parametrize(
    ("path", "cache"), list(zip(KEPT, ("error_lists", "stats", "trends"), strict=True))
)
async def test_the_second_answer_comes_from_memory(api: Api, path: str, cache: str) -> None:
    await api.report()
    first = await at_head(api, path)
    before = await hits(api, cache)
    await certain(api)
    again = await api.get(path)
    assert (again.content, await hits(api, cache)) == (first.content, before + 1)


async def test_a_change_is_seen_at_once_though_the_answer_was_kept(api: Api) -> None:
    for count in range(1, 8):
        await api.report()
        for _ in range(2):
            stats = (await at_head(api, "/api/stats")).json()["data"]
            errors = (await at_head(api, "/api/errors")).json()["data"]["errors"]
            assert stats["total_occurrences"] == errors[0]["count"] == count


async def test_no_application_is_shown_what_was_kept_for_another(api: Api) -> None:
    await api.register("shop")
    bound = {"X-API-Key": await api.issue("read", app="shop")}
    await api.report()
    assert (await at_head(api, "/api/stats")).json()["data"]["total_errors"] == 1
    mine = await api.get("/api/stats", headers=bound)
    assert mine.json()["data"]["total_errors"] == 0


async def test_the_next_hour_asks_anew(api: Api) -> None:
    await api.report()
    first = await at_head(api, "/api/analytics/trends?period=day&group_by=hour")
    later = utc_now() + timedelta(hours=2)

    def clock() -> datetime:
        return later

    object.__setattr__(api.container, "clock", clock)
    again = await at_head(api, "/api/analytics/trends?period=day&group_by=hour")
    assert (
        again.json()["data"]["data_points"][-1]["timestamp"]
        > (first.json()["data"]["data_points"][-1]["timestamp"])
    )


async def test_memory_answers_nothing_once_redis_is_silent(api: Api) -> None:
    await api.report()
    await at_head(api, "/api/stats")
    await certain(api)
    before = await hits(api, "stats")
    object.__setattr__(api.container.positions, "_looked", None)
    answer = await api.get("/api/stats")
    assert (answer.status_code, await hits(api, "stats")) == (200, before)
