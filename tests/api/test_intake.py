"""A report's way from bytes to the command, without any server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.failures import BadRequest
from api.intake import Sender, read_report, to_command
from api.json_text import MAX_DEPTH, bad_escape, check_text, rewritten
from domain.error_group import ReportError
from domain.message import derived_id
from domain.scrubbing import Scrubber

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCRUBBER = Scrubber()


def body(**fields: Any) -> bytes:
    return json.dumps({"message": "m", "source": "s", **fields}).encode()


def command(sender: Sender | None = None, for_app: str = "default", **fields: Any) -> ReportError:
    return to_command(read_report(body(**fields)), for_app, sender or Sender(), SCRUBBER, NOW)


def problems(**fields: Any) -> dict[str, str]:
    with pytest.raises(BadRequest) as caught:
        read_report(body(**fields))
    return {one.field: one.problem for one in caught.value.problems}


def test_the_defaults_are_those_of_the_document() -> None:
    occurrence = command().occurrence
    assert (occurrence.level, occurrence.environment, occurrence.timestamp) == (
        "error",
        "production",
        NOW,
    )


def test_null_is_the_same_as_absent() -> None:
    optional = (
        "level environment stack_trace context url user_agent ip_address event_id timestamp app "
        "fingerprint tags user release"
    ).split()
    assert command(**dict.fromkeys(optional)) == command()


def test_fatal_is_kept_as_an_error_that_was_fatal() -> None:
    occurrence = command(level="fatal").occurrence
    assert (occurrence.level, occurrence.fatal) == ("error", True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message", None),
        ("message", 1),
        ("message", ""),
        ("source", None),
        ("source", " "),
        ("source", "x" * 201),
        ("level", "loud"),
        ("level", 3),
        ("environment", ""),
        ("environment", "x" * 101),
        ("stack_trace", ["a"]),
        ("context", "text"),
        ("context", [1]),
        ("url", 1),
        ("user_agent", {}),
        ("ip_address", 127),
        ("event_id", "not-a-uuid"),
        ("event_id", 7),
        ("timestamp", "yesterday"),
        ("timestamp", "2025-08-29"),
        ("timestamp", "2025-08-29T12:00:00"),
        ("timestamp", "0001-01-01T00:00:00+14:00"),
        ("timestamp", 1_700_000_000),
        ("app", ""),
        ("fingerprint", ""),
        ("fingerprint", []),
        ("fingerprint", ["a", ""]),
        ("fingerprint", ["a"] * 21),
        ("fingerprint", "x" * 2049),
        ("fingerprint", [1]),
        ("fingerprint", {}),
        ("tags", {"a": 1}),
        ("tags", {"a": True}),
        ("tags", []),
        ("user", "bob"),
        ("release", ""),
        ("release", "x" * 201),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(field: str, value: object) -> None:
    assert list(problems(**{field: value})) == [field]


def test_a_time_more_than_five_minutes_ahead_becomes_the_servers() -> None:
    for ahead, believed in ((timedelta(minutes=5), True), (timedelta(minutes=6), False)):
        claimed = NOW + ahead
        kept = command(timestamp=claimed.isoformat()).occurrence.timestamp
        assert kept == (claimed if believed else NOW)


def test_a_time_with_an_offset_is_kept_in_utc() -> None:
    occurrence = command(timestamp="2025-08-29T14:00:00+02:00").occurrence
    assert occurrence.timestamp == datetime(2025, 8, 29, 12, tzinfo=UTC)


def test_the_log_knows_an_event_id_per_application() -> None:
    own = str(uuid4())
    known = command(event_id=own)
    assert known.event_id == derived_id("report", "default", "id", own)
    assert command(event_id=own.upper()).event_id == known.event_id
    assert command(event_id=own, for_app="shop").event_id != known.event_id
    assert known.occurrence.event_id == own


def test_an_event_id_says_more_than_an_idempotency_key() -> None:
    keyed = Sender(idempotency_key="k")
    own = str(uuid4())
    assert command(keyed).event_id == derived_id("report", "default", "key", "k")
    assert command(keyed, event_id=own).event_id == command(event_id=own).event_id


def test_the_request_fills_in_what_the_body_does_not_say() -> None:
    sender = Sender(ip_address="10.0.0.1", user_agent="curl")
    assert command(sender).occurrence.ip_address == "10.0.0.1"
    said = command(sender, ip_address="10.9.9.9", user_agent="sdk/1").occurrence
    assert (said.ip_address, said.user_agent) == ("10.9.9.9", "sdk/1")


def test_secrets_are_counted_wherever_they_are_taken_out() -> None:
    occurrence = command(
        message="password=hunter2",
        url="https://bob:hunter2@host/?token=abc",
        context={"deep": [{"api_key": "k"}]},
        tags={"secret": "s"},
        user={"id": "1", "password": "p"},
    ).occurrence
    assert b"hunter2" not in msgspec.json.encode(occurrence)
    assert occurrence.filtered == 6


def test_a_key_given_twice_hides_nothing_from_the_scrubber() -> None:
    raw = b'{"note":"card 4111 1111 1111 1111","note":"fine"}'
    kept, _ = rewritten(raw, SCRUBBER.value)
    assert bytes(kept) == b'{"note":"fine"}'


@pytest.mark.parametrize(
    "number", ["1.10", "12345678901234567890.5", "1" * 5000, "-1e400", "9007199254740993", "0.1"]
)
def test_numbers_keep_every_digit(number: str) -> None:
    for text in (f'{{"n":{number}}}', f'{{"n":{number},"password":"x"}}'):
        kept, _ = rewritten(text.encode(), SCRUBBER.value)
        assert f'"n":{number}'.upper() in bytes(kept).decode().upper().replace("1E+400", "1E400")


def test_a_number_beyond_any_range_is_refused_with_its_field() -> None:
    raw = b'{"message":"m","source":"s","context":{"a":1e9999999999999999999}}'
    with pytest.raises(BadRequest, match="context: cannot be kept: a number is out of range"):
        to_command(read_report(raw), "default", Sender(), SCRUBBER, NOW)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (rb'"\u0041"', None),
        (rb'"\\u0000"', None),
        (rb'"\\\u0000"', "must not contain NUL characters"),
        (rb'"\ud83d\ude00"', None),
        (rb'"\uD83D\uDE00\ude00"', "must not contain half of a surrogate pair"),
        (rb'"\ud83d x \ude00"', "must not contain half of a surrogate pair"),
        (rb'"\ud83d"', "must not contain half of a surrogate pair"),
        (rb'"\ud83d\ud83d\ude00"', "must not contain half of a surrogate pair"),
    ],
)
def test_escapes_are_told_apart(text: bytes, problem: str | None) -> None:
    assert bad_escape(text) == problem


def test_brackets_in_strings_nest_nothing() -> None:
    check_text(b'{"a":"%b","b":"\\"%b"}' % (b"[" * 500, b"{" * 500))


def test_an_unterminated_string_is_looked_at_once() -> None:
    with pytest.raises(BadRequest):
        read_report(b'{"a":[' + b"[]," * 200 + b'"' + rb"\"" * 250_000)


def test_a_mebibyte_of_brackets_is_quick() -> None:
    with pytest.raises(BadRequest, match="nested deeper"):
        check_text(b"[" * 1_048_576)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_a_report_or_a_bad_request(raw: bytes) -> None:
    _try(raw)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    (
        "message source level environment stack_trace context url user_agent ip_address event_id "
        "timestamp app fingerprint tags user release other"
    ).split()
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_NAMES, _JSON))
def test_random_fields_are_a_report_or_a_bad_request(fields: dict[str, Any]) -> None:
    _try(json.dumps({"message": "m", "source": "s", **fields}).encode())


@settings(max_examples=100, deadline=None)
@given(_JSON)
def test_what_is_kept_decodes_to_what_was_sent(value: object) -> None:
    text = json.dumps(value, allow_nan=False).encode() if _finite(value) else b"null"
    if bad_escape(text) is None:
        kept, _ = rewritten(text, lambda same: (same, 0))
        assert json.loads(bytes(kept)) == json.loads(text)


def _finite(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _try(raw: bytes) -> None:
    try:
        made = to_command(read_report(raw), "default", Sender(), SCRUBBER, NOW)
    except BadRequest:
        return
    assert isinstance(made.stream_id, UUID)
    assert json.loads(msgspec.json.encode(made.occurrence))


def test_nesting_is_counted_exactly() -> None:
    check_text(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"[]" * 100)
    with pytest.raises(BadRequest):
        check_text(b"[" * (MAX_DEPTH + 1))
