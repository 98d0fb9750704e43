"""A batch's way from bytes to commands, without any server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.failures import BadRequest
from api.ingest import MAX_PROBLEMS, read_batch, to_commands
from api.ingest_schemas import EXAMPLE
from api.intake import report_id
from api.json_text import MAX_DEPTH
from domain.error_group import ReportError
from domain.fingerprint import group_report
from domain.occurrence import Occurrence
from domain.scrubbing import FILTERED, Scrubber
from tests.api.ingest_tools import FRAME, batch, event, stack

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCRUBBER = Scrubber()


def command(**changes: Any) -> ReportError:
    events = read_batch(json.dumps(batch(event(**changes))).encode())
    return to_commands(events, 0, "test-app", SCRUBBER, NOW)[0]


def occurrence(**changes: Any) -> Occurrence:
    return command(**changes).occurrence


def problems(*events: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(BadRequest) as caught:
        to_commands(read_batch(json.dumps(batch(*events)).encode()), 0, "a", SCRUBBER, NOW)
    return {one.field: one.problem for one in caught.value.problems}


def refusal(body: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        read_batch(body)
    return caught.value.text


def test_every_field_of_the_document_is_kept() -> None:
    kept = occurrence(parsedStack=stack(FRAME))
    assert (kept.code, kept.platform, kept.platform_version) == (
        "network/request-failed",
        "ios",
        "17.0",
    )
    assert (kept.source, kept.release, kept.user_id) == ("ios", "1.0.0", "user-123")
    assert (kept.level, kept.environment, kept.fatal) == ("error", "production", False)
    assert kept.timestamp == datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    assert msgspec.json.decode(kept.context) == {"endpoint": "/api/users", "statusCode": 500}
    assert msgspec.json.decode(kept.parsed_stack) == stack(FRAME)
    assert kept.tags == {"severity": "high"}


def test_the_clients_id_becomes_the_same_id_as_on_the_other_route() -> None:
    made = command(id="550e8400-e29b-41d4-a716-446655440000")
    assert made.event_id == report_id("test-app", "550e8400-e29b-41d4-a716-446655440000")
    assert made.occurrence.event_id == "550e8400-e29b-41d4-a716-446655440000"


def test_what_may_be_absent_may_be_null_or_empty() -> None:
    names = ("code", "appVersion", "platformVersion", "userId")
    absent = occurrence(**dict.fromkeys((*names, "stackTrace", "metadata", "tags"), ...))
    null = occurrence(**dict.fromkeys((*names, "stackTrace", "metadata", "tags")))
    assert msgspec.structs.replace(absent, event_id=None) == msgspec.structs.replace(
        null, event_id=None
    )
    assert (absent.code, absent.release, absent.platform_version, absent.user_id) == (None,) * 4
    assert occurrence(**dict.fromkeys(names, "")).user_id is None


@pytest.mark.parametrize(
    ("tags", "level", "fatal"),
    [
        ({}, "error", False),
        ({"severity": "high"}, "error", False),
        ({"severity": "Warning"}, "warning", False),
        ({"severity": "fatal"}, "error", True),
        ({"level": "debug"}, "debug", False),
        ({"severity": "info", "level": "debug"}, "info", False),
        ({"severity": "high", "level": "info"}, "info", False),
    ],
)
def test_the_level_comes_from_the_tags(tags: dict[str, str], level: str, fatal: bool) -> None:
    kept = occurrence(tags=tags)
    assert (kept.level, kept.fatal) == (level, fatal)


def test_the_environment_comes_from_its_tag() -> None:
    assert occurrence(tags={"environment": "staging"}).environment == "staging"
    assert occurrence(tags={"environment": " "}).environment == "production"
    assert problems(event(), event(tags={"environment": "x" * 101})) == {
        "events[1].tags.environment": "must have at most 100 characters"
    }


def test_events_with_a_code_are_grouped_by_it_alone() -> None:
    one, other = command(), command(message="another", stackTrace="Error: y\n    at z (b.js:1:1)")
    assert (
        one.fingerprint
        == other.fingerprint
        == group_report("m", None, code=one.occurrence.code).fingerprint
    )
    assert one.grouping.parts == ("version 1", "code", "network/request-failed")


def test_events_without_a_code_are_grouped_like_reports() -> None:
    made = command(code=None)
    same = group_report(made.occurrence.message, made.occurrence.stack_trace)
    assert made.fingerprint == same.fingerprint


def test_a_time_ahead_of_ours_is_not_believed() -> None:
    ahead = (NOW + timedelta(minutes=6)).isoformat()
    assert occurrence(timestamp=ahead).timestamp == NOW
    assert occurrence(timestamp="2024-01-15T12:30:00+02:00").timestamp == datetime(
        2024, 1, 15, 10, 30, tzinfo=UTC
    )


def test_secrets_leave_every_part_of_an_event() -> None:
    secret = "password=hunter2secret"
    kept = occurrence(
        message=secret,
        stackTrace=f"Error: {secret}",
        metadata={"password": "x", "deep": [secret]},
        tags={"api_key": "k"},
        parsedStack=stack(FRAME | {"raw": secret}, raw=secret),
    )
    assert b"hunter2" not in msgspec.json.encode(kept)
    assert kept.filtered == 7
    assert msgspec.json.decode(kept.parsed_stack)["raw"] == f"password={FILTERED}"


def test_numbers_in_metadata_keep_every_digit() -> None:
    body = json.dumps(batch(event(metadata={"n": 1}))).replace('{"n": 1}', '{"n": 1.10}')
    made = to_commands(read_batch(body.encode()), 0, "test-app", SCRUBBER, NOW)[0]
    assert bytes(made.occurrence.context) == b'{"n":1.10}'


@pytest.mark.parametrize("field", ["id", "message", "appId", "platform", "timestamp"])
def test_a_required_field_that_is_missing_is_named_with_its_index(field: str) -> None:
    for value in (..., None):
        assert problems(event(), event(**{field: value})) == {f"events[1].{field}": "is required"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "no-uuid"),
        ("code", 7),
        ("code", "x" * 201),
        ("message", ["m"]),
        ("stackTrace", {}),
        ("appId", ""),
        ("appVersion", 1.0),
        ("platform", ""),
        ("platform", "x" * 33),
        ("platformVersion", "1" * 201),
        ("userId", 12),
        ("timestamp", "yesterday"),
        ("timestamp", 1700000000),
        ("timestamp", "2024-01-15T10:30:00"),
        ("timestamp", "0001-01-01T00:00:00+05:00"),
        ("metadata", []),
        ("metadata", "text"),
        ("tags", {"n": 1}),
        ("parsedStack", "text"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_index(field: str, value: Any) -> None:
    assert list(problems(event(), event(), event(**{field: value}))) == [f"events[2].{field}"]


@pytest.mark.parametrize(
    ("wrong", "field", "problem"),
    [
        (
            stack(FRAME, FRAME | {"lineNumber": "3"}),
            ".frames[1].lineNumber",
            "a whole number or null",
        ),
        (stack(FRAME | {"fileName": 1}), ".frames[0].fileName", "a string or null"),
        (stack(FRAME | {"inApp": 1}), ".frames[0].inApp", "true or false"),
        (stack(FRAME | {"raw": None}), ".frames[0].raw", "a string"),
        (stack(None), ".frames[0]", "an object"),
        (stack() | {"frames": None}, ".frames", "a list"),
        (stack() | {"raw": []}, ".raw", "a string"),
        (
            stack(parser="chrome"),
            ".parser",
            "one of browser, react-native, node, unknown",
        ),
        (stack(parser=None), ".parser", "one of browser, react-native, node, unknown"),
        ([], "", "an object of frames, raw and parser"),
    ],
)
def test_what_is_wrong_deep_in_a_parsed_stack_is_named(
    wrong: Any, field: str, problem: str
) -> None:
    found = problems(event(parsedStack=wrong))
    assert found == {f"events[0].parsedStack{field}": f"must be {problem}"}


def test_what_a_parsed_stack_lacks_is_named() -> None:
    frame = {name: value for name, value in FRAME.items() if name != "raw"}
    assert problems(event(parsedStack=stack(frame))) == {
        "events[0].parsedStack.frames[0].raw": "is required"
    }
    assert problems(event(parsedStack={"frames": []})) == {
        "events[0].parsedStack.raw": "is required"
    }


def test_a_frame_may_have_nulls_where_the_document_has_them() -> None:
    nullable = ("functionName", "fileName", "lineNumber", "columnNumber")
    frame = FRAME | dict.fromkeys(nullable)
    assert msgspec.json.decode(occurrence(parsedStack=stack(frame)).parsed_stack) == stack(frame)


def test_all_problems_are_told_up_to_twenty() -> None:
    found = problems(event(id=1, platform=""), event(), event(message=None))
    assert list(found) == ["events[0].id", "events[0].platform", "events[2].message"]
    assert len(problems(*[event(id=1, message=2)] * 100)) == MAX_PROBLEMS


def test_characters_that_cannot_be_kept_are_named() -> None:
    found = problems(event(), event(message="a\x00b", tags={"x": "\ud800"}))
    assert list(found) == ["events[1].message", "events[1].tags"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty"),
        (b"[]", "the body must be a JSON object"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not valid UTF-8"),
        (b'{"events": NaN}', "the body is not JSON"),
        (b"{}", "events: is required"),
        (b'{"events": null}', "events: is required"),
        (b'{"events": {}}', "events: must be a list of events"),
        (b'{"events": []}', "events: must hold 1 to 1,000 events"),
        (b'{"events": [%s1]}' % (b"1," * 1_000), "events: must hold 1 to 1,000 events"),
        (b'{"events": [1]}', "events[0]: must be an object"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_with_the_reason(body: bytes, said: str) -> None:
    assert refusal(body).startswith(said)


@settings(max_examples=60, deadline=None)
@given(st.integers(90, 2_500), st.sampled_from(["metadata", "unknown", "beside", "list"]))
def test_nesting_is_counted_wherever_it_is(depth: int, where: str) -> None:
    nest = "[" * depth + "]" * depth
    around = {"metadata": 4, "unknown": 3, "beside": 1, "list": 3}[where]
    whole = json.dumps(batch(*[event(metadata={"x": "NEST"}, unknown=0)] * 40))
    if where == "metadata":
        whole = whole.replace('"NEST"', nest, 1)
    elif where == "unknown":
        whole = whole.replace('"unknown": 0', f'"unknown": {nest}', 1)
    elif where == "beside":
        whole = whole[:-1] + f', "beside": {nest}}}'
    else:
        whole = whole.replace('"unknown": 0', f'"unknown": {nest}')
    if depth + around > MAX_DEPTH:
        assert refusal(whole.encode()) == "the body is nested deeper than 100 levels"
    else:
        assert len(read_batch(whole.encode())) == 40


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["events", *EXAMPLE["events"][0]]), inner, max_size=4)
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        to_commands(read_batch(body), 0, "a", SCRUBBER, NOW)
    except BadRequest as refused:
        assert refused.text
