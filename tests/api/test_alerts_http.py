"""Alert rules over HTTP, against real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from api.routes.alerts_described import FILTERED_RULE, RULE, RULE_ANSWER

if TYPE_CHECKING:
    from tests.api.conftest import Api

RULES = "/api/alerts/rules"
DOCUMENTED = {
    "name": "High Error Rate",
    "condition": "error_count > threshold in time_window",
    "threshold": 50,
    "time_window": "5m",
    "notifications": ["email", "slack"],
    "enabled": True,
}


async def created(api: Api, **changes: Any) -> dict[str, Any]:
    """A rule."""
    answer = await api.post(RULES, json={**DOCUMENTED, **changes})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def test_the_documents_rule_is_answered_with_all_its_fields(api: Api) -> None:
    answer = await api.post(RULES, json=DOCUMENTED)
    body = answer.json()
    assert (answer.status_code, body["status"]) == (201, "success")
    rule = body["data"]
    assert {field: rule[field] for field in DOCUMENTED} == DOCUMENTED
    assert rule["last_triggered"] is None
    assert rule["created_at"] == rule["updated_at"]
    assert rule["condition_explained"] == "More than 50 occurrences within 5 minutes."
    added = ("severity", "cooldown", "open_incident", "app", "version")
    assert [rule[field] for field in added] == ["medium", "5m", False, "default", 1]


async def test_the_examples_of_the_documentation_are_rules(api_alone: Api) -> None:
    for example in (RULE, FILTERED_RULE):
        answer = await api_alone.post(RULES, json=example)
        assert answer.status_code == 201, answer.text
        assert set(answer.json()["data"]) == set(RULE_ANSWER)


async def test_a_rule_is_found_right_after_it_was_made_and_changed(api: Api) -> None:
    made = await created(api)
    path = f"{RULES}/{made['id']}"
    assert (await api.get(path)).json()["data"] == made
    answer = await api.put(path, json={"enabled": False, "threshold": 7})
    changed = answer.json()["data"]
    seen = {"X-Min-Position": answer.headers["X-Event-Position"]}
    assert (await api.get(path, headers=seen)).json()["data"] == changed
    assert changed == {
        **made,
        "enabled": False,
        "threshold": 7,
        "condition_explained": "More than 7 occurrences within 5 minutes.",
        "version": 2,
        "updated_at": changed["updated_at"],
    }


async def test_threshold_and_window_are_filled_from_the_condition(api: Api) -> None:
    answer = await api.post(
        RULES, json={"name": "Rate", "condition": "error_rate >= 2.5 in 10 minutes per error"}
    )
    rule = answer.json()["data"]
    assert (rule["threshold"], rule["time_window"]) == (2.5, "10m")
    assert rule["notifications"] == []


async def test_the_same_body_again_is_no_change(api: Api) -> None:
    made = await created(api)
    answer = await api.put(f"{RULES}/{made['id']}", json=DOCUMENTED)
    assert (answer.status_code, answer.json()["data"]) == (200, made)


async def test_a_deleted_rule_is_gone(api: Api) -> None:
    made = await created(api)
    path = f"{RULES}/{made['id']}"
    gone = await api.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    seen = {"X-Min-Position": gone.headers["X-Event-Position"]}
    assert (await api.get(path, headers=seen)).status_code == 404
    assert (await api.put(path, json={"enabled": False})).status_code == 404
    assert (await api.delete(path)).status_code == 404
    assert (await api.get(RULES)).json()["data"]["rules"] == []


async def test_an_update_of_an_old_version_is_409(api: Api) -> None:
    made = await created(api)
    path = f"{RULES}/{made['id']}"
    for match, status in (('"1"', 200), ("1", 409), ("2", 200), ("*", 200), ('W/"1"', 400)):
        answer = await api.put(
            path, json={"name": f"Named for {match}"}, headers={"If-Match": match}
        )
        assert answer.status_code == status, match
    assert (await api.delete(path, headers={"If-Match": '"1"'})).status_code == 409
    answer = await api.put(path, json={}, headers={"If-Match": '"1"'})
    assert answer.json() == {
        "error": "the alert rule is at version 4 by now",
        "status": "error",
        "code": "conflict",
    }


async def test_all_wrong_fields_are_named_at_once(api: Api) -> None:
    answer = await api.post(
        RULES,
        json={
            "condition": "error_count > abc",
            "threshold": "many",
            "time_window": "soon",
            "enabled": "yes",
            "notifications": ["pigeon"],
            "severity": "awful",
            "cooldown": 5,
            "open_incident": 1,
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert {one["field"]: one["problem"] for one in answer.json()["fields"]} == {
        "name": "is required",
        "condition": "at 15: expected a number or 'threshold', found 'abc'",
        "threshold": "must be a number",
        "time_window": "must be 1 minute to 30 days, written as 5m, 1h, 30d or '5 minutes'",
        "enabled": "must be true or false",
        "notifications": "holds 'pigeon'; the channels are slack, email, webhook, sms",
        "severity": "must be one of low, medium, high, critical",
        "cooldown": "must be a string or null",
        "open_incident": "must be true or false",
    }


async def test_a_wrong_condition_is_400_with_position_and_expectation(api: Api) -> None:
    answer = await api.post(RULES, json={**DOCUMENTED, "condition": "error_count > abc"})
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "condition: at 15: expected a number or 'threshold', found 'abc'"
    )


async def test_a_threshold_against_the_stored_condition_is_400(api: Api) -> None:
    made = await created(api, condition="error_count > 50 in 5 minutes")
    answer = await api.put(f"{RULES}/{made['id']}", json={"threshold": 60})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "threshold")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is empty; it must be a JSON object"),
        (b"[]", "the body must be a JSON object"),
        (b"{", "the body is not JSON: it ends too early"),
        (rb'{"name":"a\u0000b"}', "name: must not contain NUL characters"),
    ],
)
async def test_a_body_that_is_no_rule_is_400(api_alone: Api, body: bytes, says: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await api_alone.post(RULES, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, says)


async def test_an_unknown_id_is_404_and_no_uuid_is_400(api: Api) -> None:
    for method in ("GET", "PUT", "DELETE"):
        unknown = await api.request(method, f"{RULES}/{uuid4()}", json={})
        wrong = await api.request(method, f"{RULES}/rule-1", json={})
        assert (unknown.status_code, unknown.json()["error"]) == (404, "no such alert rule")
        assert wrong.status_code == 400
        assert wrong.json()["fields"] == [{"field": "id", "problem": "must be a UUID"}]


async def test_the_list_has_filters_pages_and_cursors(api: Api) -> None:
    made = [(await created(api, name=f"Rule {n}", enabled=n != 1))["id"] for n in range(3)]
    await api.get(f"{RULES}/{made[-1]}")
    first = (await api.get(f"{RULES}?limit=2")).json()["data"]
    assert [rule["id"] for rule in first["rules"]] == made[:2]
    assert (first["total"], first["page"], first["limit"], first["offset"]) == (3, 1, 2, 0)
    rest = (await api.get(f"{RULES}?limit=2&cursor={first['next_cursor']}")).json()["data"]
    assert ([rule["id"] for rule in rest["rules"]], rest["next_cursor"]) == (made[2:], None)
    second = (await api.get(f"{RULES}?limit=2&offset=2")).json()["data"]
    assert ([rule["id"] for rule in second["rules"]], second["page"]) == (made[2:], 2)
    off = (await api.get(f"{RULES}?enabled=false")).json()["data"]
    assert [rule["id"] for rule in off["rules"]] == made[1:2]
    assert (await api.get(f"{RULES}?app=shop")).json()["data"]["total"] == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("enabled=maybe", "enabled"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("cursor=made-up", "cursor"),
        ("cursor=AAAA&offset=1", "cursor"),
    ],
)
async def test_a_wrong_parameter_is_400_with_its_name(api: Api, query: str, field: str) -> None:
    answer = await api.get(f"{RULES}?{query}")
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["fields"]] == [field]


async def test_a_key_of_one_application_sees_its_rules_only(api: Api) -> None:
    await api.register("shop")
    key = {"X-API-Key": await api.issue("read", "write", app="shop")}
    foreign, everywhere = await created(api), await created(api, app="*")
    own = (await api.post(RULES, json=DOCUMENTED, headers=key)).json()["data"]
    assert own["app"] == "shop"
    assert (await api.get(f"{RULES}/{own['id']}", headers=key)).status_code == 200
    listed = (await api.get(RULES, headers=key)).json()["data"]["rules"]
    assert [rule["id"] for rule in listed] == [own["id"]]
    for other in (foreign, everywhere):
        path = f"{RULES}/{other['id']}"
        assert (await api.get(path, headers=key)).status_code == 404
        assert (await api.put(path, json={"threshold": 1}, headers=key)).status_code == 404
        assert (await api.delete(path, headers=key)).status_code == 404
    for app in ("default", "*"):
        answer = await api.post(RULES, json={**DOCUMENTED, "app": app}, headers=key)
        assert answer.status_code == 403
        moved = await api.put(f"{RULES}/{own['id']}", json={"app": app}, headers=key)
        assert moved.status_code == 403


async def test_the_application_must_be_known_and_named_once(api: Api) -> None:
    await api.register("shop")
    for path, app, status in (
        (RULES, "nowhere", 400),
        (f"{RULES}?app=shop", "default", 400),
        (RULES, "", 400),
        (f"{RULES}?app=shop", "shop", 201),
    ):
        answer = await api.post(path, json={**DOCUMENTED, "app": app})
        assert answer.status_code == status, (path, app)
        if status == 400:
            assert answer.json()["fields"][0]["field"] == "app"


async def test_reading_keys_read_and_writing_keys_write(api: Api) -> None:
    made = await created(api)
    reader = {"X-API-Key": await api.issue("read")}
    path = f"{RULES}/{made['id']}"
    assert (await api.get(RULES, headers=reader)).status_code == 200
    assert (await api.get(path, headers=reader)).status_code == 200
    for method, where in (("POST", RULES), ("PUT", path), ("DELETE", path)):
        answer = await api.request(method, where, json=DOCUMENTED, headers=reader)
        assert answer.status_code == 403
