"""What becomes of a notification."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import delivery
from domain.delivery import (
    MAX_ALERTS,
    AlertRef,
    NotificationFailed,
    NotificationQueued,
    NotificationSent,
    QueueNotification,
    RecordFailed,
    RecordSent,
    not_configured,
)
from domain.notification import Message
from tests.projections.helpers import START
from tests.spec import Given, given

ID, RULE = UUID(int=1), UUID(int=2)
LATER = START + timedelta(seconds=5)
REF = AlertRef(UUID(int=3), None, START, "triggered")
QUEUE = QueueNotification(
    notification_id=ID,
    rule_id=RULE,
    rule_name="Rule",
    app="default",
    channel="email",
    at=START,
    message=Message("alert", "Rule", "6 occurrences within 5 minutes"),
    alerts=(REF,),
    count=1,
)
FAIL = RecordFailed(notification_id=ID, attempt=1, at=START, reason="no", next_attempt_at=LATER)
GIVE_UP = RecordFailed(notification_id=ID, attempt=2, at=LATER, reason="still no")
SENT = RecordSent(notification_id=ID, attempt=2, at=LATER)


def after(*commands: Any) -> Given:
    """A notification with the past that these commands made."""
    return given(delivery.decider, *given(delivery.decider).when(*commands).events)


def test_a_queued_notification_holds_all_that_is_to_be_said() -> None:
    (event,) = after().when(QUEUE).events
    assert isinstance(event, NotificationQueued)
    assert (event.message, event.alerts, event.count) == (QUEUE.message, (REF,), 1)


def test_a_digest_names_a_hundred_alerts_and_counts_all() -> None:
    many = msgspec.structs.replace(QUEUE, alerts=(REF,) * 120, count=120)
    (event,) = after().when(many).events
    assert isinstance(event, NotificationQueued)
    assert (len(event.alerts), event.count) == (MAX_ALERTS, 120)


def test_a_message_names_those_that_it_sums_up() -> None:
    both = msgspec.structs.replace(QUEUE, count=2, sums_up=(UUID(int=8), UUID(int=9)))
    (event,) = after().when(both).events
    assert isinstance(event, NotificationQueued)
    assert event.sums_up == (UUID(int=8), UUID(int=9))


def test_another_message_under_the_same_id_is_refused() -> None:
    other = msgspec.structs.replace(QUEUE, channel="slack")
    after(QUEUE).when(other).then_refused("already_exists")


def test_an_attempt_is_recorded_with_its_rule_and_channel() -> None:
    after(QUEUE).when(FAIL, SENT).then(
        NotificationFailed(
            notification_id=ID,
            rule_id=RULE,
            channel="email",
            attempt=1,
            at=START,
            reason="no",
            next_attempt_at=LATER,
        ),
        NotificationSent(notification_id=ID, rule_id=RULE, channel="email", attempt=2, at=LATER),
    )


def test_what_was_sent_or_given_up_is_settled() -> None:
    third = msgspec.structs.replace(SENT, attempt=3)
    after(QUEUE, SENT).when(third, GIVE_UP).then_nothing()
    after(QUEUE, GIVE_UP).when(third).then_nothing()
    assert after(QUEUE, FAIL).state.ended is False


def test_an_attempt_that_is_known_already_changes_nothing() -> None:
    after(QUEUE, FAIL).when(msgspec.structs.replace(SENT, attempt=1)).then_nothing()


def test_what_was_never_queued_has_no_fate() -> None:
    after().when(SENT).then_refused("not_found")
    after().when(FAIL).then_refused("not_found")


def test_a_channel_that_is_not_configured_says_so() -> None:
    assert not_configured("slack") == "slack is not configured"


_commands = st.sampled_from([QUEUE, FAIL, GIVE_UP, SENT])


@for_all(st.lists(_commands), _commands)
def test_repeating_a_command_adds_nothing(past: list[Any], command: Any) -> None:
    once = after(QUEUE, *past).when(command).events
    assert after(QUEUE, *past).when(command, command).events == once
