"""The errors of the first document over HTTP, against real servers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from tests.api.conftest import Api

DOCUMENTED = (
    "id timestamp level message stack_trace context source environment user_agent ip_address url "
    "fingerprint resolved count first_seen last_seen created_at updated_at"
).split()


async def test_a_report_is_answered_with_every_documented_field(api: Api) -> None:
    answer = await api.post(
        "/api/errors",
        json={
            "level": "error",
            "message": "Database connection failed",
            "stack_trace": "Error: Connection timeout\n at Database.connect(db.js:45)",
            "context": {"user_id": "12345", "additional_data": "any value"},
            "source": "backend",
            "environment": "production",
            "url": "https://api.example.com/users",
        },
    )
    body = answer.json()
    assert answer.status_code == 201
    assert body["status"] == "success"
    assert not set(DOCUMENTED) - set(body["data"])
    assert body["data"]["context"] == {"user_id": "12345", "additional_data": "any value"}


async def test_the_second_equal_report_counts_two_in_the_same_group(api: Api) -> None:
    first, second = await api.report(), await api.report()
    assert (second["id"], first["count"], second["count"]) == (first["id"], 1, 2)


async def test_an_error_is_found_right_after_its_report(api: Api) -> None:
    for number in range(5):
        made = await api.report(message=f"kind {'abcde'[number]} of failure")
        found = await api.get(f"/api/errors/{made['id']}")
        assert found.status_code == 200
        assert found.json()["data"] == made


async def test_a_list_that_names_the_write_holds_it(api: Api) -> None:
    for count in range(1, 4):
        made = await api.post("/api/errors", json={"message": "again", "source": "api"})
        answer = await api.get(
            "/api/errors?source=api", headers={"X-Min-Position": made.headers["X-Event-Position"]}
        )
        assert [one["count"] for one in answer.json()["data"]["errors"]] == [count]


async def test_a_list_has_the_documented_frame(api: Api) -> None:
    for word in ("one", "two", "three"):
        made = await api.report(message=f"failure {word}")
    await api.get(f"/api/errors/{made['id']}")
    answer = await api.get("/api/errors?limit=2&offset=2")
    data = answer.json()["data"]
    assert (data["total"], data["page"], data["limit"], len(data["errors"])) == (3, 2, 2, 1)


async def test_a_cursor_goes_through_the_whole_list_once(api: Api) -> None:
    made = [(await api.report(message=f"failure {word}"))["id"] for word in "abcdefg"]
    await api.get(f"/api/errors/{made[-1]}")
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        query = f"limit=3&cursor={cursor}" if cursor else "limit=3"
        data = (await api.get(f"/api/errors?{query}")).json()["data"]
        found += [one["id"] for one in data["errors"]]
        cursor = data["next_cursor"]
    assert found == made[::-1]


async def test_resolve_reopen_and_resolve_twice(api: Api) -> None:
    made = await api.report()
    for path, status, resolved in (
        ("resolve", "resolved", True),
        ("resolve", "resolved", True),
        ("reopen", "open", False),
        ("reopen", "open", False),
    ):
        answer = await api.put(f"/api/errors/{made['id']}/{path}")
        assert (answer.status_code, answer.json()) == (
            200,
            {"data": {"status": status}, "status": "success"},
        )
        position = answer.headers["X-Event-Position"]
        found = await api.get(f"/api/errors/{made['id']}", headers={"X-Min-Position": position})
        assert found.json()["data"]["resolved"] is resolved


async def test_a_report_on_a_resolved_error_reopens_it(api: Api) -> None:
    made = await api.report()
    await api.put(f"/api/errors/{made['id']}/resolve")
    again = await api.report()
    assert (again["id"], again["count"], again["resolved"]) == (made["id"], 2, False)


async def test_a_deleted_error_is_gone_and_starts_again_at_one(api: Api) -> None:
    made = await api.report()
    path = f"/api/errors/{made['id']}"
    gone = await api.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    seen = {"X-Min-Position": gone.headers["X-Event-Position"]}
    assert (await api.get(path, headers=seen)).status_code == 404
    assert (await api.get(f"{path}/occurrences")).status_code == 404
    assert (await api.delete(path)).status_code == 404
    assert (await api.put(f"{path}/resolve")).status_code == 404
    assert (await api.report())["count"] == 1


async def test_an_unknown_id_is_404_and_no_uuid_is_400(api: Api) -> None:
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("PUT", "/resolve"),
        ("PUT", "/reopen"),
        ("GET", "/occurrences"),
    ):
        unknown = await api.request(method, f"/api/errors/{uuid4()}{path}")
        wrong = await api.request(method, f"/api/errors/not-a-uuid{path}")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
        assert wrong.status_code == 400
        assert wrong.json()["fields"] == [{"field": "id", "problem": "must be a UUID"}]


async def test_bulk_gives_each_id_its_own_outcome(api: Api) -> None:
    made = [(await api.report(message=f"failure {word}"))["id"] for word in ("a", "b")]
    unknown = str(uuid4())
    answer = await api.post(
        "/api/errors/bulk", json={"action": "resolve", "ids": [made[0], unknown, made[1]]}
    )
    data = answer.json()["data"]
    assert [one["status"] for one in data["results"]] == ["resolved", "not_found", "resolved"]
    assert (data["done"], data["not_found"]) == (2, 1)
    seen = {"X-Min-Position": answer.headers["X-Event-Position"]}
    found = await api.get("/api/errors?resolved=true", headers=seen)
    assert found.json()["data"]["total"] == 2


async def test_bulk_refuses_what_it_cannot_do(api: Api) -> None:
    for body, field in (
        ({"action": "burn", "ids": [str(uuid4())]}, "action"),
        ({"action": "resolve", "ids": []}, "ids"),
        ({"action": "resolve", "ids": [str(uuid4())] * 101}, "ids"),
        ({"action": "resolve", "ids": [str(uuid4()), "x"]}, "ids[1]"),
        ({"action": "resolve"}, "ids"),
    ):
        answer = await api.post("/api/errors/bulk", json=body)
        assert answer.status_code == 400
        assert [one["field"] for one in answer.json()["fields"]] == [field]


async def test_occurrences_come_newest_first_and_page_by_cursor(api: Api) -> None:
    for number in range(5):
        made = await api.report(context={"n": number})
    path = f"/api/errors/{made['id']}/occurrences"
    first = (await api.get(f"{path}?limit=3")).json()["data"]
    rest = (await api.get(f"{path}?limit=3&cursor={first['next_cursor']}")).json()["data"]
    both = first["occurrences"] + rest["occurrences"]
    assert [one["context"]["n"] for one in both] == [4, 3, 2, 1, 0]
    assert [one["number"] for one in both] == [5, 4, 3, 2, 1]
    assert rest["next_cursor"] is None


async def test_an_occurrence_has_the_event_id_that_its_group_showed(api: Api) -> None:
    """The client's own id, or the log's where the client sent none."""
    without = await api.report()
    given = await api.report(event_id=str(uuid4()))
    path = f"/api/errors/{given['id']}/occurrences"
    newest, oldest = (await api.get(path)).json()["data"]["occurrences"]
    assert newest["event_id"] == given["event_id"]
    assert oldest["event_id"] == without["event_id"] == oldest["id"]


async def test_a_known_event_id_is_stored_once_in_its_own_group(api: Api) -> None:
    own = str(uuid4())
    first = await api.report(event_id=own)
    await api.report(message="another failure")
    again = await api.report(event_id=own, message="quite another text")
    assert (again["id"], again["count"]) == (first["id"], 1)


async def test_an_idempotency_key_stores_once_in_each_application(api: Api) -> None:
    await api.register("shop")
    for app in ("default", "shop"):
        for _ in range(2):
            answer = await api.post(
                "/api/errors",
                json={"message": "once", "source": "api", "app": app},
                headers={"Idempotency-Key": "retry-1"},
            )
            assert (answer.status_code, answer.json()["data"]["count"]) == (201, 1)


async def test_twenty_equal_reports_at_once_are_counted_one_to_twenty(api: Api) -> None:
    made = await asyncio.gather(*(api.report() for _ in range(20)))
    assert sorted(one["count"] for one in made) == list(range(1, 21))


async def test_secrets_leave_a_report_and_the_rest_of_it_stays_whole(api: Api) -> None:
    body = (
        b'{"message":"login of bob with password=hunter2 failed","source":"api","context":'
        b'{"password":"x","amount":12345678901234567890.10,"twice":1,"big":1e400}}'
    )
    answer = await api.post(
        "/api/errors", content=body, headers={"Content-Type": "application/json"}
    )
    assert b'"amount":12345678901234567890.10' in answer.content
    assert b'"big":1E+400' in answer.content
    assert answer.json()["data"]["context"]["password"] == "[Filtered]"
    assert "hunter2" not in answer.text
