"""Discrepancies in words that somebody understands who has never seen the keys in Redis."""

from __future__ import annotations

from uuid import UUID

from projections.findings import Finding, in_words, stream_of, suspects_of
from projections.verification import Discrepancy, Suspect, Value

ERROR = UUID("0d9e4f0b-8a6b-5a3c-9d6e-0b1f4c2a7e11")


def told(
    read_model: str, key: bytes, member: bytes, found: Value | None, expected: Value | None
) -> list[tuple[str | None, str | None, str | None]]:
    findings: list[Finding] = list(in_words(read_model, Discrepancy(key, member, found, expected)))
    return [(one.field, one.found, one.expected) for one in findings]


def test_documents_are_compared_field_by_field() -> None:
    field = ERROR.bytes + b"s"
    one, other = b'{"resolved":true,"updated_at":1}', b'{"resolved":false,"updated_at":1}'
    assert told("error_groups", b"documents", field, one, other) == [
        (f"{ERROR} standing: resolved", "true", "false")
    ]


def test_a_document_that_cannot_be_read_is_shown_as_it_is() -> None:
    field = ERROR.bytes + b"r"
    assert told("error_groups", b"documents", field, b"{", b'{"count":1}') == [
        (f"{ERROR} latest report", "{", '{"count":1}')
    ]


def test_scores_and_members_are_told_apart() -> None:
    assert told("error_groups", b"by:x", ERROR.bytes, 7.0, 7.5) == [(str(ERROR), "7", "7.5")]
    assert told("error_groups", b"w:failed", ERROR.bytes, True, None) == [
        (str(ERROR), "there", None)
    ]


def test_hours_and_days_are_times() -> None:
    group = b"group:" + ERROR.hex.encode()
    hour = 490_000  # since 1970
    assert told("stats", group, b"%d" % (hour * 3 + 2), None, b"1") == [
        ("2025-11-24 16:00 resolutions", None, "1")
    ]
    assert told("dashboard_trends", b"buckets:shop", b"h%du" % hour, b"2", b"3") == [
        ("2025-11-24 16:00 users", "2", "3")
    ]
    assert told("dashboard_trends", b"buckets:shop", b"d20416", b"2", b"3") == [
        ("2025-11-24 occurrences", "2", "3")
    ]
    assert told("dashboard_trends", group, b"%dcnet/failed" % hour, b"2", b"3") == [
        ("2025-11-24 16:00 codes net/failed", "2", "3")
    ]


def test_what_is_no_text_is_shown_in_hex_and_what_is_long_is_cut() -> None:
    ((_, found, expected),) = told("codes", b"k", b"", b"\xff\0", b"x" * 1_000)
    assert found == "0xff00"
    assert expected == "x" * 200 + "..."


def test_a_stream_is_known_by_its_id_in_the_key_or_the_member() -> None:
    by_key = Discrepancy(b"group:" + ERROR.hex.encode(), b"7", None, b"1")
    by_member = Discrepancy(b"documents", ERROR.bytes + b"r", None, b"1")
    sums = Discrepancy(b"codes:default", b"net/timeout", None, b"1")
    assert [stream_of(one) for one in (by_key, by_member, sums)] == [ERROR, ERROR, None]


def test_what_may_be_of_an_error_is_what_holds_its_id() -> None:
    own_key = b"group:" + ERROR.hex.encode()
    held = {own_key: [b"1", b"2"], b"by:x": [ERROR.bytes, b"other"], b"counts:*": [b"errors"]}
    suspects = suspects_of(ERROR, held)
    assert Suspect(own_key, b"1") in suspects
    assert Suspect(b"by:x", ERROR.bytes) in suspects
    assert Suspect(b"documents", ERROR.bytes + b"r") in suspects
    assert not {one.key for one in suspects} & {b"counts:*"}
    assert Suspect(b"by:x", b"other") not in suspects
