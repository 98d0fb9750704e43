"""What people are told of an alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.alert import AlertFacts, Measured
from domain.alert_message import digest, recovered, summed_up, triggered, where
from domain.condition import Metric, Number
from domain.notification import Message
from domain.rule_settings import RuleSettings

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
    measured=(Measured(metric="error_count", value=6, operator=">", threshold=5, window="5m"),),
)
SETTINGS = RuleSettings(
    name="Checkout",
    condition="error_count > threshold in time_window",
    threshold=5,
    time_window="5m",
    app="shop",
    severity="high",
)


def said(**changes: Any) -> str:
    """The whole text of a trigger whose facts differ in this."""
    message = triggered(msgspec.structs.replace(FACTS, **changes)).message
    return f"{message.title}\n{message.text}"


def test_a_reminder_says_that_it_still_fires() -> None:
    assert "Still firing: Checkout" in said(reminder=True)


def test_a_value_that_was_bounded_is_at_least_so_much() -> None:
    assert "How many: at least 1000 occurrences within 5m (> 5)" in said(
        measured=(measured("error_count", 1000, at_least=True),)
    )


def test_two_comparisons_have_a_value_a_unit_and_a_threshold_each() -> None:
    both = (measured("error_count", 6), measured("affected_users", 1, threshold=0, window="1h"))
    assert "How many: 6 occurrences within 5m (> 5) and 1 affected user within 1h (> 0)" in said(
        measured=both
    )


def test_a_reminder_tells_since_when_it_fires_and_since_when_was_counted() -> None:
    text = said(reminder=True, firing_since=NOON - timedelta(hours=3))
    assert "Firing since: 2026-03-01T09:00:00Z\nCounted since: 2026-03-01T11:58:00Z" in text


def test_the_newest_error_of_many_is_named_with_its_path() -> None:
    text = said(latest_error_id=ERROR, latest_message="no\n route")
    assert f"Latest: no route (/api/errors/{ERROR})" in text


def test_an_error_whose_message_is_not_known_has_its_path() -> None:
    assert f"Latest: (/api/errors/{ERROR})" in said(latest_error_id=ERROR)


def measured(metric: Metric, value: Number, **more: Any) -> Measured:
    """A comparison that finds `value`, against more than 5 within 5 minutes."""
    asked: dict[str, Any] = {"operator": ">", "threshold": 5, "window": "5m"}
    return Measured(metric=metric, value=value, **(asked | more))


def test_the_seconds_of_a_time_are_whole() -> None:
    assert "At: 2026-03-01T12:00:00Z" in said(at=NOON + timedelta(microseconds=5))


def test_an_error_s_long_message_is_cut() -> None:
    title = triggered(
        msgspec.structs.replace(FACTS, error_id=ERROR, error_message="x" * 500)
    ).message.title
    assert len(title) < 160
    assert title.endswith("…")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"app": "*", "environment": None, "source": None}, "all applications"),
        ({"environment": None}, "application shop, source web"),
        ({"source": None}, "application shop, environment production"),
        (
            {"source": None, "elsewhere": True},
            "application shop, environment production, and others",
        ),
    ],
)
def test_a_place_is_as_much_of_it_as_is_known(changes: dict[str, Any], words: str) -> None:
    assert where(msgspec.structs.replace(FACTS, **changes)) == words


@pytest.mark.parametrize(
    ("down", "services", "words"),
    [
        (0, (), "no service"),
        (1, ("db",), "service db"),
        (2, ("db", "api"), "services db, api"),
        (9, ("db", "api"), "services db, api and 7 more"),
    ],
)
def test_services_are_named_and_belong_to_no_application(
    down: int, services: tuple[str, ...], words: str
) -> None:
    asked = (measured("service_down", down),)
    facts = msgspec.structs.replace(FACTS, measured=asked, services=services)
    assert where(facts) == words


def test_services_and_errors_are_told_side_by_side() -> None:
    asked = (measured("service_down", 1), measured("error_count", 6))
    facts = msgspec.structs.replace(FACTS, measured=asked, services=("db",))
    assert where(facts) == "service db, application shop, environment production, source web"


def test_a_recovery_says_how_long_it_fired() -> None:
    later = NOON + timedelta(days=1, hours=2, minutes=3)
    found = recovered(FACTS, NOON, later, 4, "the condition was false for a whole window")
    assert "It fired for 1d 2h 3m, since 2026-03-01T12:00:00Z, and triggered 4 times." in (
        found.message.text
    )
    assert "Why: the condition was false for a whole window." in found.message.text


def test_a_recovery_from_what_an_old_log_tells_says_where_too() -> None:
    old = msgspec.structs.replace(FACTS, measured=())
    found = recovered(old, NOON, NOON + timedelta(minutes=3), 1, "quiet")
    assert "Where: application shop, environment production, source web" in found.message.text


def test_messages_that_waited_are_the_newest_in_full_and_the_titles_of_the_others() -> None:
    minutes = [NOON + timedelta(minutes=number) for number in range(13)]
    earlier = [(at, Message("triggered", f"Still firing {at:%M}", "long")) for at in minutes]
    newest = Message("recovered", "Recovered: Checkout", "It fired for 13m.", severity="high")
    message = summed_up(RULE, earlier, newest, 15)
    assert message.title == "Recovered: Checkout (and 13 messages before)"
    assert (message.kind, message.severity) == ("digest", "high")
    assert message.link == f"/api/alerts/rules/{RULE}/history"
    first, _, waited, _, *listed, rest = message.text.splitlines()
    assert first == "It fired for 13m."
    assert waited == (
        "Before that, since 2026-03-01T12:00:00Z, 13 messages could not be sent in time."
        " With this one they tell of 15 alerts:"
    )
    assert listed[0] == "2026-03-01T12:12:00Z Still firing 12"
    assert (len(listed), rest) == (10, "and 3 more before")


def test_one_message_that_waited_is_one() -> None:
    earlier = [(NOON, Message("triggered", "Alert", "long"))]
    message = summed_up(RULE, earlier, Message("recovered", "Recovered", "all"), 2)
    assert message.title == "Recovered (and 1 message before)"
    assert message.text.splitlines()[-1] == "2026-03-01T12:00:00Z Alert"


def test_a_digest_of_few_names_them_all() -> None:
    line = triggered(FACTS).line
    message = digest(RULE, SETTINGS, [line, line], 2, NOON)
    assert message.text.splitlines() == [
        "2 alerts of the rule Checkout",
        "",
        "Since: 2026-03-01T12:00:00Z",
        "Where: application shop",
        "Why: More than 5 occurrences within 5 minutes."
        " The condition is: error_count > threshold in time_window",
        "",
        line,
        line,
    ]
    assert line == (
        "2026-03-01T12:00:00Z alert, 6 occurrences within 5m (> 5),"
        " environment production, source web"
    )
    assert (message.title, message.kind) == ("[high] Checkout: 2 alerts", "digest")
    assert (message.link, message.severity) == (f"/api/alerts/rules/{RULE}/history", "high")


def test_a_digest_about_services_is_of_no_application() -> None:
    settings = msgspec.structs.replace(SETTINGS, condition="service_down > threshold in 5m")
    assert "Where: the services that are watched" in digest(RULE, settings, [], 2, NOON).text
