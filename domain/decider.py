"""A decider: the pure heart of an aggregate, as three plain functions.

`initial` is the state before anything happened, `evolve` folds one recorded event into the state,
`decide` answers a command with the events that follow from it, possibly none, or raises a
`DomainError`. The pattern is Jérémie Chassaing's "Functional Event Sourcing Decider".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from domain.message import Command, Event, Recorded

S = TypeVar("S", bound=msgspec.Struct)


class Decider(msgspec.Struct, Generic[S], frozen=True):
    """One aggregate's decisions.

    `kind` names its streams in the log. `state_schema` grows whenever the shape or the meaning of
    the state changes: stored states of another schema are folded again from their events.
    """

    kind: str
    state_type: type[S]
    state_schema: int
    initial: S
    evolve: Callable[[S, Recorded[Any]], S]
    decide: Callable[[S, Any], Sequence[Event]]


def fold(decider: Decider[S], history: Iterable[Recorded[Any]], state: S | None = None) -> S:
    """The state after `history`, starting from `state` or from the very beginning."""
    current = decider.initial if state is None else state
    for recorded in history:
        current = decider.evolve(current, recorded)
    return current


__all__ = ["Command", "Decider", "Event", "fold"]
