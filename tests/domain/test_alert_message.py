"""What people are told of an alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.alert import AlertFacts
from domain.alert_message import digest, recovered, triggered, where

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULE, ERROR = UUID(int=1), UUID(int=2)
FACTS = AlertFacts(
    rule_id=RULE,
    rule_version=1,
    rule_name="Checkout",
    app="shop",
    severity="high",
    condition="error_count > 5 in 5m",
    explained="More than 5 occurrences within 5 minutes.",
    at=NOON,
    value=6,
    values=(6,),
    threshold=5,
    window="5m",
    since=NOON - timedelta(minutes=2),
    first_position=10,
    last_position=20,
    environment="production",
    source="web",
)


def said(**changes: Any) -> str:
    """The whole text of a trigger whose facts differ in this."""
    message = triggered(msgspec.structs.replace(FACTS, **changes)).message
    return f"{message.title}\n{message.text}"


def test_a_reminder_says_that_it_still_fires() -> None:
    assert "Still firing: Checkout" in said(reminder=True)


def test_a_value_that_was_bounded_is_at_least_so_much() -> None:
    assert "How many: at least 1000 within 5m" in said(value=1000, values=(1000,), at_least=True)


def test_two_comparisons_have_two_values() -> None:
    assert "How many: 6 and 2.5 within 5m" in said(values=(6, 2.5))


def test_the_seconds_of_a_time_are_whole() -> None:
    assert "At: 2026-03-01T12:00:00Z" in said(at=NOON + timedelta(microseconds=5))


def test_an_error_s_long_message_is_cut() -> None:
    title = triggered(
        msgspec.structs.replace(FACTS, error_id=ERROR, error_message="x" * 500)
    ).message.title
    assert len(title) < 160
    assert title.endswith("…")


@pytest.mark.parametrize(
    ("app", "environment", "source", "words"),
    [
        ("*", None, None, "all applications"),
        ("shop", None, "web", "application shop, source web"),
        ("shop", "test", None, "application shop, environment test"),
    ],
)
def test_a_place_is_as_much_of_it_as_is_known(
    app: str, environment: str | None, source: str | None, words: str
) -> None:
    assert where(app, environment, source) == words


def test_a_recovery_says_how_long_it_fired() -> None:
    later = NOON + timedelta(days=1, hours=2, minutes=3)
    found = recovered(FACTS, NOON, later, 4, "the condition was false for a whole window")
    assert "It fired for 1d 2h 3m, since 2026-03-01T12:00:00Z, and triggered 4 times." in (
        found.message.text
    )
    assert "Why: the condition was false for a whole window." in found.message.text


def test_a_digest_of_few_names_them_all() -> None:
    line = triggered(FACTS).line
    message = digest("Checkout", [line, line], 2, "/there", "high")
    assert message.text.splitlines()[2:] == [line, line]
    assert (message.title, message.kind) == ("[high] Checkout: 2 alerts", "digest")
