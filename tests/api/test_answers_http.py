"""What every answer has, and what bad requests are told."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from api.call import MAX_BODY
from tests.api.conftest import REPORT

if TYPE_CHECKING:
    from tests.api.conftest import Api

JSON = {"Content-Type": "application/json"}


def nested(levels: int) -> bytes:
    """A report whose context is nested so deep that the body has this many levels."""
    inner = levels - 2
    return b'{"message":"m","source":"s","context":{"a":%b%b}}' % (b"[" * inner, b"]" * inner)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is empty; it must be a JSON object"),
        (b"  \n", "the body is empty; it must be a JSON object"),
        (b"[]", "the body must be a JSON object"),
        (b'"text"', "the body must be a JSON object"),
        (b"{", "the body is not JSON: it ends too early"),
        (b'{"message": nope}', "the body is not JSON: invalid character (byte 13)"),
        (b'{"message":"\xff"}', "the body is not valid UTF-8 (byte 12)"),
        (b'{"context":{"a":NaN}}', "the body is not JSON: invalid character (byte 16)"),
        (b'{"context":{"a":Infinity}}', "the body is not JSON: invalid character (byte 16)"),
        (nested(200), "the body is nested deeper than 100 levels"),
        (nested(101), "the body is nested deeper than 100 levels"),
    ],
)
async def test_a_body_that_is_no_report_is_400(api_alone: Api, body: bytes, says: str) -> None:
    answer = await api_alone.post("/api/errors", content=body, headers=JSON)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": says, "status": "error", "code": "bad_request"},
    )


async def test_nesting_of_100_is_taken(api_alone: Api) -> None:
    answer = await api_alone.post("/api/errors", content=nested(100), headers=JSON)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("message", r"a\u0000b", "must not contain NUL characters"),
        ("source", r"\ud800", "must not contain half of a surrogate pair"),
        ("stack_trace", r"\ude00\ud83d", "must not contain half of a surrogate pair"),
        ("url", r"\ud83d\u0041", "must not contain half of a surrogate pair"),
    ],
)
async def test_text_that_cannot_be_kept_is_400_with_its_field(
    api_alone: Api, field: str, value: str, problem: str
) -> None:
    body = '{"message":"m","source":"s","%s":"%s"}' % (field, value)  # noqa: UP031
    answer = await api_alone.post("/api/errors", content=body.encode(), headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["fields"] == [{"field": field, "problem": problem}]


async def test_all_wrong_fields_are_named_at_once(api_alone: Api) -> None:
    answer = await api_alone.post(
        "/api/errors",
        json={"message": " ", "level": "fine", "context": [], "tags": {"a": 1}, "event_id": "x"},
    )
    assert answer.status_code == 400
    assert {one["field"]: one["problem"] for one in answer.json()["fields"]} == {
        "message": "must not be empty",
        "source": "is required",
        "level": "must be one of error, warning, info, debug, fatal",
        "context": "must be an object",
        "tags": "must be an object whose values are strings",
        "event_id": "must be a UUID",
    }


async def test_a_body_of_one_mebibyte_is_taken_and_one_byte_more_is_413(api_alone: Api) -> None:
    frame = b'{"message":"%b","source":"s"}'
    full = frame % (b"x" * (1_048_576 - len(frame % b"")))
    assert len(full) == 1_048_576
    taken = await api_alone.post("/api/errors", content=full, headers=JSON)
    refused = await api_alone.post("/api/errors", content=full + b" ", headers=JSON)
    assert taken.status_code == 201
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("declared", ["application/x-www-form-urlencoded", "text/plain"])
async def test_another_content_type_is_415_and_told_what_to_do(
    api_alone: Api, declared: str
) -> None:
    answer = await api_alone.post("/api/errors", content=b"{}", headers={"Content-Type": declared})
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["error"]


@pytest.mark.parametrize("declared", [{}, {"Content-Type": "application/json; charset=utf-8"}])
async def test_json_may_be_declared_or_not(api_alone: Api, declared: dict[str, str]) -> None:
    body = b'{"message":"m","source":"s"}'
    answer = await api_alone.post("/api/errors", content=body, headers=declared)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=abc", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("offset=-1", "offset"),
        ("offset=1e3", "offset"),
        ("level=fatal", "level"),
        ("resolved=yes", "resolved"),
        ("sort=name", "sort"),
        ("since=yesterday", "since"),
        ("until=2025-08-29T12:00:00", "until"),
        ("since=2025-08-30T00:00:00Z&until=2025-08-29T00:00:00Z", "since"),
        ("search=", "search"),
        ("source=%00", "source"),
        ("cursor=made-up", "cursor"),
    ],
)
async def test_a_wrong_parameter_is_400_with_its_name(api: Api, query: str, field: str) -> None:
    answer = await api.get(f"/api/errors?{query}")
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["fields"]] == [field]


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("POST", "/api/errors", {"message": "m"}, "source: is required"),
        ("POST", "/api/settings/api-keys", {}, "name: is required"),
        ("POST", "/api/settings/team/invite", {"email": "a@b.io", "role": "king"}, "role: must be"),
        ("POST", "/api/v1/ingest", {}, "events: is required"),
        ("GET", "/api/errors?limit=0", None, "limit: must be"),
    ],
)
async def test_what_is_wrong_with_a_field_is_told_in_one_form(
    api: Api, method: str, path: str, body: Any, says: str
) -> None:
    """The field, a colon, the problem; and the same code for every 400."""
    answer = await api.request(method, path, json=body)
    found = answer.json()
    assert (answer.status_code, found.get("code", "bad_request")) == (400, "bad_request")
    assert says in found["error"]
    assert found["error"] == "; ".join(
        f"{one['field']}: {one['problem']}" for one in found["fields"]
    )


async def test_a_compressed_body_is_opened_on_every_route(api: Api) -> None:
    packed = {"Content-Encoding": "gzip", **JSON}
    report = gzip.compress(json.dumps(REPORT).encode())
    answer = await api.post("/api/errors", content=report, headers=packed)
    assert (answer.status_code, answer.json()["data"]["message"]) == (201, REPORT["message"])
    app = gzip.compress(b'{"id":"shop","name":"Shop"}')
    made = await api.post("/api/settings/apps", content=app, headers=packed)
    assert made.status_code == 201, made.text


async def test_a_compressed_body_is_opened_up_to_the_limit_of_a_plain_one(api_alone: Api) -> None:
    packed = {"Content-Encoding": "gzip", **JSON}
    bomb = gzip.compress(b'{"message":"' + b"a" * (8 * MAX_BODY))
    answer = await api_alone.post("/api/errors", content=bomb, headers=packed)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    packed["Content-Encoding"] = "compress"
    answer = await api_alone.post("/api/errors", content=b"{}", headers=packed)
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (
        415,
        "gzip, x-gzip, deflate, br, zstd",
    )
    assert answer.json()["error"].startswith("Content-Encoding 'compress' is not one of")


async def test_an_unknown_parameter_is_ignored(api: Api) -> None:
    assert (await api.get("/api/errors?colour=red")).status_code == 200


@pytest.mark.parametrize("position", ["-1", "abc", "1.5", "99999999999999999999"])
async def test_a_wrong_position_is_400(api: Api, position: str) -> None:
    for path in ("/api/errors", "/api/errors/550e8400-e29b-41d4-a716-446655440000"):
        answer = await api.get(path, headers={"X-Min-Position": position})
        assert answer.json()["fields"][0]["field"] == "X-Min-Position"
        assert answer.status_code == 400


async def test_a_position_not_reached_in_time_is_503_with_the_time_to_wait(api: Api) -> None:
    answer = await api.get("/api/errors", headers={"X-Min-Position": "1000000"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["code"] == "projections_unavailable"


async def test_an_unknown_path_is_404_like_any_other_failure(api_alone: Api) -> None:
    answer = await api_alone.get("/api/nowhere")
    assert (answer.status_code, answer.json()) == (
        404,
        {
            "error": "there is no /api/nowhere here; GET /docs shows what there is",
            "status": "error",
            "code": "not_found",
        },
    )


async def test_a_wrong_method_is_405_and_told_which_are_right(api_alone: Api) -> None:
    answer = await api_alone.patch("/api/errors")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST", "OPTIONS"}
    assert answer.json()["code"] == "method_not_allowed"


async def test_a_request_id_is_taken_over_when_it_is_sane(api_alone: Api) -> None:
    for given, kept in (("abc-1.2_3", True), ("no blanks", False), ("x" * 129, False)):
        answer = await api_alone.get("/health/live", headers={"X-Request-ID": given})
        assert (answer.headers["X-Request-ID"] == given) is kept


async def test_the_request_id_is_the_correlation_of_what_it_causes(api_alone: Api) -> None:
    from uuid import UUID

    made = await api_alone.post("/api/errors", json=REPORT, headers={"X-Request-ID": "my-request"})
    error_id = UUID(made.json()["data"]["id"])
    page = await api_alone.container.occurrences.of_error(error_id, before=None, limit=1)
    context = page.occurrences[0].context
    assert (context.actor, context.correlation_id) == ("key:development", "my-request")


async def test_our_own_mistake_is_500_without_its_insides(api_alone: Api) -> None:
    async def broken() -> None:
        raise RuntimeError("the password is hunter2")

    object.__setattr__(api_alone.container, "health", broken)
    answer = await api_alone.get("/health", headers={"X-Request-ID": "req-500"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "req-500" in answer.json()["error"]
    assert "hunter2" not in answer.text


async def test_head_answers_like_get_without_a_body(api_alone: Api) -> None:
    answer = await api_alone.head("/health/live")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_health_tells_the_parts(api: Api) -> None:
    body = (await api.get("/health")).json()
    assert body["services"] == {"postgres": "up", "redis": "up", "projections": "up"}
    assert (body["status"], body["timestamp"][-1]) == ("ok", "Z")
    assert (await api.get("/health/live")).json() == {"status": "ok"}
    assert (await api.get("/health/ready")).json() == {"status": "ready"}


async def test_without_a_worker_health_is_degraded_and_the_process_still_ready(
    api_alone: Api,
) -> None:
    answer = await api_alone.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
    assert answer.json()["services"]["projections"] == "down"
    assert (await api_alone.get("/health/ready")).status_code == 200


async def test_health_says_why_alerting_stands_still(api: Api, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE process_managers SET problem = 'a bug'")
        answer = await api.get("/health")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["alerting stands still: a bug"]
        connection.execute("UPDATE process_managers SET problem = NULL")
    assert (await api.get("/health")).status_code == 200


async def test_the_front_page_is_json_or_html_as_asked(api_alone: Api) -> None:
    for_programs = await api_alone.get("/", headers={"Accept": "application/json"})
    for_people = await api_alone.get("/", headers={"Accept": "text/html,*/*"})
    assert for_programs.json()["entry_points"]["errors"] == "/api/errors"
    assert for_people.headers["Content-Type"].startswith("text/html")


async def test_metrics_count_requests_by_route_template(api_alone: Api) -> None:
    await api_alone.get("/api/errors/550e8400-e29b-41d4-a716-446655440000/occurrences")
    text = (await api_alone.get("/metrics")).text
    assert 'route="/api/errors/{error_id}/occurrences"' in text


async def test_metrics_time_the_queries_to_the_log(api_alone: Api) -> None:
    await api_alone.get("/api/errors/550e8400-e29b-41d4-a716-446655440000/occurrences")
    text = (await api_alone.get("/metrics")).text
    assert 'errata_query_seconds_count{query="stream"} 1.0' in text
