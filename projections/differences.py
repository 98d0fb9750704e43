"""What changed between two moments: the errors that came, went, were resolved or came back.

It follows from the events between the two alone, for each tells what it found and what it left.
The cost grows with their number, the memory with the number of errors that they are about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import nlargest
from typing import Any
from uuid import UUID

import msgspec

from domain.error_group import (
    EVENTS,
    MUTING,
    ErrorDeleted,
    ErrorRegressed,
    ErrorReopened,
    ErrorReported,
    ErrorResolved,
)
from domain.message import Recorded

SHOWN = 100
"""Errors that are named of each sort of change; all are counted."""


class ChangedError(msgspec.Struct, frozen=True, kw_only=True):
    """An error that changed: whose it is, what its latest report between the two moments said (None
    where there was none), and how many occurrences it had before and after; 0 is none at all."""

    id: UUID
    app: str
    message: str | None
    occurrences_before: int
    occurrences_after: int


class ChangedErrors(msgspec.Struct, frozen=True):
    """One sort of change: how many errors, and those of them with most occurrences."""

    count: int
    errors: list[ChangedError]


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """`new`: there was no such error at the first moment, and is at the second. `gone`: deleted.
    `resolved`: open before and resolved after. `regressed`: resolved before, open after, because it
    was reported again; `reopened`: because somebody said so. `more`: open all the time, and
    reported. Numbers are net: what happened and was undone in between counts as nothing."""

    new: ChangedErrors
    gone: ChangedErrors
    resolved: ChangedErrors
    regressed: ChangedErrors
    reopened: ChangedErrors
    more: ChangedErrors
    errors: int
    resolved_errors: int
    occurrences: int


_COUNTED = EVENTS - MUTING


class _Story(msgspec.Struct):
    app: str
    before: int
    was_resolved: bool
    after: int = 0
    is_resolved: bool = False
    regressed: bool = False
    message: str | None = None


class Comparison:
    """Takes the events between two moments, page by page."""

    def __init__(self) -> None:
        self._stories: dict[UUID, _Story] = {}

    def take(self, events: Iterable[Recorded[Any]]) -> None:
        """The next events."""
        for recorded in events:
            event = recorded.event
            if type(event) not in _COUNTED:
                continue
            story = self._stories.get(recorded.stream_id)
            if story is None:
                story = self._stories[recorded.stream_id] = _Story(event.app, *_found(event))
            _tell(story, event)

    def result(self) -> Differences:
        """What all of them changed."""
        kinds: dict[str, list[tuple[UUID, _Story]]] = {name: [] for name in _KINDS}
        errors = resolved = occurrences = 0
        for error_id, story in self._stories.items():
            errors += bool(story.after) - bool(story.before)
            resolved += story.is_resolved - story.was_resolved
            occurrences += story.after - story.before
            kind = _kind(story)
            if kind is not None:
                kinds[kind].append((error_id, story))
        return Differences(
            errors=errors,
            resolved_errors=resolved,
            occurrences=occurrences,
            **{name: _change(found) for name, found in kinds.items()},
        )


_KINDS = ("new", "gone", "resolved", "regressed", "reopened", "more")


def _found(event: Any) -> tuple[int, bool]:
    """The occurrences of an error that an event found, and whether it was resolved."""
    match event:
        case ErrorReported():
            return event.count - 1, event.resolved
        case ErrorDeleted():
            return event.count, event.resolved
    return event.count, isinstance(event, ErrorReopened | ErrorRegressed)


def _tell(story: _Story, event: Any) -> None:
    match event:
        case ErrorReported():
            story.after, story.is_resolved = event.count, event.resolved
            story.message = event.occurrence.message
        case ErrorResolved():
            story.after, story.is_resolved, story.regressed = event.count, True, False
        case ErrorReopened():
            story.after, story.is_resolved, story.regressed = event.count, False, False
        case ErrorRegressed():
            story.after, story.is_resolved, story.regressed = event.count, False, True
        case ErrorDeleted():
            story.after, story.is_resolved, story.regressed = 0, False, False


def _kind(story: _Story) -> str | None:
    if not story.before or not story.after:
        return "new" if story.after else "gone" if story.before else None
    if story.is_resolved != story.was_resolved:
        if story.is_resolved:
            return "resolved"
        return "regressed" if story.regressed else "reopened"
    return "more" if story.after != story.before else None


def _change(found: Sequence[tuple[UUID, _Story]]) -> ChangedErrors:
    most = nlargest(SHOWN, found, key=_size)
    return ChangedErrors(
        len(found),
        [
            ChangedError(
                id=error_id,
                app=story.app,
                message=story.message,
                occurrences_before=story.before,
                occurrences_after=story.after,
            )
            for error_id, story in most
        ],
    )


def _size(one: tuple[UUID, _Story]) -> tuple[int, bytes]:
    error_id, story = one
    return abs(story.after - story.before) or story.after, error_id.bytes
