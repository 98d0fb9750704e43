"""The outbox: what waits is what the log says was queued and has not ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from domain.delivery import NotificationFailed, NotificationQueued, NotificationSent
from domain.integration import IntegrationCleared, IntegrationConfigured, Sealed
from domain.message import Event
from domain.notification import Message
from projections.outbox import Outbox, Waiting
from tests.spec import START, recorded

ONE, OTHER = UUID(int=1), UUID(int=2)
LATER = START + timedelta(hours=1)
END = START + timedelta(days=2)


def queued(notification_id: UUID = ONE) -> NotificationQueued:
    return NotificationQueued(
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


def sent(notification_id: UUID = ONE) -> NotificationSent:
    return NotificationSent(
        notification_id=notification_id,
        rule_id=UUID(int=9),
        channel="slack",
        attempt=1,
        at=START,
    )


def failed(again: datetime | None, attempt: int = 1) -> NotificationFailed:
    return NotificationFailed(
        notification_id=ONE,
        rule_id=UUID(int=9),
        channel="slack",
        attempt=attempt,
        at=START,
        reason="no",
        next_attempt_at=again,
    )


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
    found = outbox(queued(), queued(OTHER), failed(LATER))
    assert due(found) == [OTHER, ONE]


def test_what_was_sent_waits_no_more() -> None:
    found = outbox(queued(), queued(OTHER), sent())
    assert due(found) == [OTHER]
    assert (len(found), ONE in found, OTHER in found) == (1, False, True)


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
