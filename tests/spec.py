"""The words tests are written in: given events, when a command, then events; given, then answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.catalog import NAMES
from domain.decider import Decider, fold
from domain.failures import DomainError
from domain.message import Command, Context, Event, Recorded, derived_id

START = datetime(2026, 1, 1, tzinfo=UTC)
SOMEBODY = Context("key:test", "request-1", "command-1")


def recorded(
    events: Iterable[Event],
    *,
    stream: UUID | None = None,
    first_position: int = 1,
    first_version: int = 1,
    start: datetime = START,
    apart: timedelta = timedelta(seconds=1),
) -> list[Recorded[Any]]:
    """Events in envelopes, one after the other in one stream."""
    stream_id = stream or derived_id("test", "stream")
    return [
        Recorded(
            first_position + number,
            stream_id,
            first_version + number,
            NAMES[type(event)],
            derived_id("test", "event", str(first_position + number)),
            start + number * apart,
            SOMEBODY,
            event,
        )
        for number, event in enumerate(events)
    ]


class Given:
    """A stream with a past."""

    def __init__(self, decider: Decider[Any], past: Sequence[Event]) -> None:
        self._decider = decider
        self._past = list(past)

    def when(self, *commands: Command) -> Then:
        """Decide commands one after the other; each sees the events of those before it."""
        events: list[Event] = []
        for command in commands:
            state = fold(self._decider, recorded([*self._past, *events]))
            try:
                events += self._decider.decide(state, command)
            except DomainError as refusal:
                return Then(events, refusal)
        return Then(events, None)

    @property
    def state(self) -> Any:
        """The state that the past adds up to."""
        return fold(self._decider, recorded(self._past))


class Then:
    """What came of it."""

    def __init__(self, events: Sequence[Event], refusal: DomainError | None) -> None:
        self.events = list(events)
        self.refusal = refusal

    def then(self, *expected: Event) -> None:
        """Exactly these events, and no refusal."""
        assert self.refusal is None, self.refusal
        assert self.events == list(expected)

    def then_nothing(self) -> None:
        """No events and no refusal: the wish was fulfilled already."""
        self.then()

    def then_kinds(self, *expected: type[Event]) -> None:
        """Events of these classes, in this order."""
        assert self.refusal is None, self.refusal
        assert [type(event) for event in self.events] == list(expected)

    def then_refused(self, code: str) -> None:
        """A refusal with this code."""
        assert self.refusal is not None, f"expected a refusal, got {self.events}"
        assert self.refusal.code == code


def given(decider: Decider[Any], *past: Event) -> Given:
    """A stream that has these events behind it."""
    return Given(decider, past)
