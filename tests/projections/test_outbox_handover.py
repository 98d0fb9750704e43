"""Whoever sends, with whatever part of the log in mind: nothing is told under two ids, nothing is
lost, and each line keeps its order."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.delivery import QueueNotification, RecordFailed, RecordSent
from domain.notification import Message
from projections.outbox import Outbox, Waiting
from tests.projections.helpers import START, Log

RULES = 2
WHAT = ["queue", "queue", "reads", "reads", "sent", "sent", "failed", "given up", "dies"]
STEPS = st.lists(
    st.tuples(st.sampled_from(WHAT), st.integers(0, 1), st.integers(1, 6)), min_size=30, max_size=60
)
"""What happens, to which rule or by whom, and a number."""


class World:
    """A log, a receiver, and two who send, each as far in the log as it happens to be."""

    def __init__(self) -> None:
        self.log = Log()
        self.senders = [Sender(self), Sender(self)]
        self.queued: list[tuple[UUID, UUID]] = []
        self.tried: dict[UUID, tuple[UUID, ...]] = {}
        """What each id told of, in the order of the first attempts."""

    def queue(self, rule: int) -> None:
        number = len(self.queued) + 1
        command = QueueNotification(
            notification_id=UUID(int=number),
            rule_id=UUID(int=rule),
            rule_name="rule",
            app="default",
            channel="slack",
            at=START,
            message=Message("triggered", "title", "text"),
            alerts=(),
            count=1,
        )
        self.queued.append((command.rule_id, command.notification_id))
        self.log.execute(command)


class Sender:
    """One who sends. It may be behind the log, or have been replaced long ago."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._outbox = Outbox()
        self._position = 0

    def read(self, events: int) -> None:
        page = self._world.log.events[self._position : self._position + events]
        self._outbox.fold(page)
        self._position += len(page)

    def try_one(self, which: int, outcome: str) -> None:
        for summary in self._outbox.summaries():
            self._world.log.execute(summary)
        due = self._outbox.due(START + timedelta(days=1))
        if due:
            self._try(due[which % len(due)], outcome)

    def _try(self, waiting: Waiting, outcome: str) -> None:
        told, key = waiting.notification, waiting.notification.notification_id
        of = told.sums_up or (key,)
        assert self._world.tried.setdefault(key, of) == of
        attempt = waiting.attempts + 1
        if outcome == "sent":
            self._world.log.execute(RecordSent(notification_id=key, attempt=attempt, at=START))
        elif outcome != "dies":
            again = START if outcome == "failed" else None
            self._world.log.execute(
                RecordFailed(
                    notification_id=key,
                    attempt=attempt,
                    at=START,
                    reason="no",
                    next_attempt_at=again,
                )
            )


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_every_message_is_told_under_one_id_and_in_order(
    steps: list[tuple[str, int, int]],
) -> None:
    world = World()
    for what, who, number in steps:
        if what == "queue":
            world.queue(who)
        elif what == "reads":
            world.senders[who].read(number)
        else:
            world.senders[who].try_one(number, what)
    last = Sender(world)
    for _ in range(3 * len(world.queued) + 1):
        last.read(len(world.log.events))
        last.try_one(0, "sent")
    told = [one for of in world.tried.values() for one in of]
    assert len(told) == len(set(told))
    for rule in range(RULES):
        line = [one for rule_id, one in world.queued if rule_id == UUID(int=rule)]
        assert [one for one in told if one in line] == line
