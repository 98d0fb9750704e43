"""The outbox: what waits is what the log says was queued and has not ended, each rule's messages
in line by each channel."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain import delivery
from domain.delivery import (
    NotificationFailed,
    NotificationQueued,
    NotificationSent,
    QueueNotification,
)
from domain.integration import IntegrationCleared, IntegrationConfigured, Sealed
from domain.message import Event
from domain.notification import Message
from projections.outbox import MAX_SUMMED_UP, Outbox, Waiting
from tests.spec import START, recorded

ONE, OTHER = UUID(int=1), UUID(int=2)
LATER = START + timedelta(hours=1)
END = START + timedelta(days=2)


def queued(notification_id: UUID = ONE, **changes: Any) -> NotificationQueued:
    message = NotificationQueued(
        notification_id=notification_id,
        rule_id=UUID(int=9),
        rule_name="rule",
        app="default",
        channel="slack",
        at=START,
        message=Message("triggered", "title", "text"),
        alerts=(),
        count=1,
    )
    return msgspec.structs.replace(message, **changes)


def sent(notification_id: UUID = ONE) -> NotificationSent:
    return NotificationSent(
        notification_id=notification_id,
        rule_id=UUID(int=9),
        channel="slack",
        attempt=1,
        at=START,
    )


def failed(
    again: datetime | None, attempt: int = 1, notification_id: UUID = ONE
) -> NotificationFailed:
    return NotificationFailed(
        notification_id=notification_id,
        rule_id=UUID(int=9),
        channel="slack",
        attempt=attempt,
        at=START,
        reason="no",
        next_attempt_at=again,
    )


def event_of(command: QueueNotification) -> Event:
    """What the log holds of a message that is queued."""
    (event,) = delivery.decider.decide(delivery.Notification(), command)
    return event


def outbox(*events: Event) -> Outbox:
    """An outbox that was saved and taken up again after every event."""
    found = Outbox()
    for one in recorded(events):
        found.fold([one])
        found = Outbox.restored(found.snapshot())
    return found


def due(found: Outbox, at: datetime = END) -> list[UUID]:
    return [one.notification.notification_id for one in found.due(at)]


def test_what_is_queued_is_due_at_once_by_any_clock() -> None:
    assert due(outbox(queued()), START) == [ONE]
    assert due(outbox(queued()), START - timedelta(hours=1)) == [ONE]


def test_the_longest_due_comes_first() -> None:
    found = outbox(queued(), queued(OTHER, channel="email"), failed(LATER))
    assert due(found) == [OTHER, ONE]


def test_what_was_sent_waits_no_more() -> None:
    found = outbox(queued(), queued(OTHER), sent())
    assert due(found) == [OTHER]
    assert (len(found), list(found.first())) == (1, [OTHER])


def test_a_message_waits_for_the_one_before_it_by_the_same_rule_and_channel() -> None:
    others = [
        queued(UUID(int=3), channel="email"),
        queued(UUID(int=4), rule_id=UUID(int=8)),
    ]
    found = outbox(queued(), failed(LATER), queued(OTHER), *others)
    assert due(found, START) == [UUID(int=3), UUID(int=4)]
    assert due(found) == [UUID(int=3), UUID(int=4), ONE]
    assert due(outbox(queued(), failed(LATER), queued(OTHER), failed(None, 2)), START) == [OTHER]


def test_what_gathered_behind_a_message_is_summed_up_when_it_has_ended() -> None:
    three = [UUID(int=number) for number in (11, 12, 13)]
    past = [queued(), *map(queued, three), sent()]
    found = outbox(*past)
    (summary,) = found.summaries()
    assert (summary.sums_up, summary.count) == (tuple(three), 3)
    assert (due(found), len(found)) == ([], 3)
    # What comes later does not belong to it, and neither is tried before it is in the log.
    (same,) = outbox(*past, queued(OTHER)).summaries()
    assert same == summary
    found = outbox(*past, queued(OTHER), event_of(summary))
    assert (found.summaries(), due(found), len(found)) == ([], [summary.notification_id], 2)


def test_a_week_s_messages_of_one_a_minute_are_one() -> None:
    behind = [queued(UUID(int=number)) for number in range(100, 100 + MAX_SUMMED_UP + 2)]
    found = Outbox()
    found.fold(recorded([queued(), *behind, sent()]))
    (summary,) = found.summaries()
    assert len(summary.sums_up) == MAX_SUMMED_UP
    found.fold(recorded([event_of(summary), sent(summary.notification_id)]))
    (rest,) = found.summaries()
    assert rest.sums_up == tuple(one.notification_id for one in behind[-2:])


def test_a_summary_is_not_summed_up_again() -> None:
    three = [UUID(int=number) for number in (11, 12, 13)]
    past = [queued(), queued(three[0]), queued(three[1]), sent()]
    (first,) = outbox(*past).summaries()
    past += [queued(three[2]), queued(OTHER), event_of(first), sent(first.notification_id)]
    (second,) = outbox(*past).summaries()
    assert second.sums_up == (three[2], OTHER)


def test_of_a_log_that_did_not_keep_the_order_what_was_tried_goes_on_by_itself() -> None:
    past = [queued(), queued(OTHER), failed(LATER), failed(LATER, notification_id=OTHER)]
    found = outbox(*past, queued(UUID(int=3)), sent())
    assert (found.summaries(), due(found)) == ([], [OTHER])


def test_what_failed_waits_until_its_next_attempt() -> None:
    found = outbox(queued(), failed(LATER, attempt=3))
    assert due(found, LATER - timedelta(seconds=1)) == []
    (waiting,) = found.due(LATER)
    assert waiting.attempts == 3


def test_what_was_given_up_waits_no_more() -> None:
    assert due(outbox(queued(), failed(None))) == []


def test_the_latest_configuration_counts() -> None:
    first, second = Sealed("a", "a"), Sealed("b", "b")
    configured = [
        IntegrationConfigured(integration="slack", preview={}, sealed=sealed)
        for sealed in (first, second)
    ]
    assert outbox(*configured).sealed("slack") == second
    assert outbox(*configured).sealed("email") is None
    assert outbox(*configured, IntegrationCleared(integration="slack")).sealed("slack") is None


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 5), (1, 10), (2, 20), (9, 2560), (10, 3600), (5_000, 3600)]
)
def test_pauses_double_up_to_an_hour(attempts: int, seconds: int) -> None:
    waiting = Waiting(queued(), START, attempts, START)
    assert waiting.next_attempt(LATER) == LATER + timedelta(seconds=seconds)


def test_it_is_given_up_a_day_after_it_was_queued() -> None:
    waiting = Waiting(queued(), START, 30, START)
    last = START + timedelta(hours=23)
    assert waiting.next_attempt(last) == START + timedelta(days=1)
    assert waiting.next_attempt(last + timedelta(seconds=1)) is None
