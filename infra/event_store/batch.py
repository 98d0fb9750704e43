"""One batch of commands, decided in order against the streams they touch. Pure: no I/O here.

The committer loads what a `Batch` needs, lets it decide, and writes what came out of it. Failures
are kept with the caller they belong to: a unit that is refused leaves no trace in the batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec

from domain.catalog import DECIDERS, NAMES
from domain.decider import Decider
from domain.failures import NotFound
from domain.message import Command, Committed, Context, Recorded


class Unit:
    """Commands that are committed together or not at all, and the caller who waits for them."""

    __slots__ = ("commands", "context", "outcome", "waiter")

    def __init__(
        self,
        commands: Sequence[Command],
        context: Context,
        waiter: asyncio.Future[Sequence[Committed]],
    ) -> None:
        self.commands = commands
        self.context = context
        self.waiter = waiter
        self.outcome: list[Committed] | Exception = []

    def settle(self) -> None:
        """Tell the caller, unless the caller has gone."""
        if self.waiter.done():
            return
        if isinstance(self.outcome, Exception):
            self.waiter.set_exception(self.outcome)
        else:
            self.waiter.set_result(self.outcome)

    def fail(self, error: Exception) -> None:
        """Tell the caller that nothing was stored, or that nobody knows."""
        self.outcome = error
        self.settle()


class Stream(msgspec.Struct, frozen=True):
    """A stream as a batch sees it: its decider, its version, its folded state."""

    decider: Decider[Any]
    version: int
    state: Any


class Batch:
    """Decides units against loaded streams and gathers the new events and changed streams."""

    def __init__(
        self,
        *,
        position: int,
        recorded_at: datetime,
        streams: Mapping[UUID, Stream],
        known: Mapping[UUID, UUID],
    ) -> None:
        self.position = position
        self.recorded_at = recorded_at
        self.events: list[Recorded[Any]] = []
        self._streams = dict(streams)
        self._known = dict(known)
        self._journal: list[_Step] = []

    @property
    def changed(self) -> dict[UUID, Stream]:
        """The streams that have new events, each as it is after its last one."""
        return {step.stream_id: self._streams[step.stream_id] for step in self._journal}

    def decide(self, units: Iterable[Unit]) -> None:
        """Give every unit its outcome; a refused or broken one fails alone."""
        for unit in units:
            mark = len(self._journal)
            try:
                unit.outcome = [self._one(command, unit.context) for command in unit.commands]
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this caller
                unit.outcome = error
                while len(self._journal) > mark:
                    self._undo(self._journal.pop())

    def _one(self, command: Command, context: Context) -> Committed:
        """Decide one command. Changes the batch only at its end, so a failure leaves no trace."""
        chosen = command.event_id
        known = self._known.get(chosen) if chosen is not None else None
        if known is not None:
            return Committed(None, (), self.position, known)
        stream_id = command.stream_id
        decider = DECIDERS[type(command)]
        before = self._streams.get(stream_id)
        stream = before or Stream(decider, 0, decider.initial)
        if stream.decider.kind != decider.kind:
            raise NotFound(f"{stream_id} is of another kind")
        events = stream.decider.decide(stream.state, command)
        state = stream.state
        recorded: list[Recorded[Any]] = []
        for number, event in enumerate(events, start=1):
            entry = Recorded(
                self.position + number,
                stream_id,
                stream.version + number,
                NAMES[type(event)],
                chosen if chosen is not None and number == 1 else uuid4(),
                self.recorded_at,
                context,
                event,
            )
            state = stream.decider.evolve(state, entry)
            recorded.append(entry)
        if recorded:
            after = Stream(stream.decider, stream.version + len(recorded), state)
            self._apply(_Step(stream_id, before, chosen, len(recorded)), after, recorded)
        return Committed(state, tuple(recorded), self.position)

    def _apply(self, step: _Step, after: Stream, recorded: list[Recorded[Any]]) -> None:
        self._journal.append(step)
        self._streams[step.stream_id] = after
        self.events += recorded
        self.position += step.events
        if step.event_id is not None:
            self._known[step.event_id] = step.stream_id

    def _undo(self, step: _Step) -> None:
        if step.before is None:
            del self._streams[step.stream_id]
        else:
            self._streams[step.stream_id] = step.before
        if step.event_id is not None:
            del self._known[step.event_id]
        del self.events[-step.events :]
        self.position -= step.events


class _Step(NamedTuple):
    """What one decided command changed in its batch, to be able to take it back."""

    stream_id: UUID
    before: Stream | None
    event_id: UUID | None
    events: int
