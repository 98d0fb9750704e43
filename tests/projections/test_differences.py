"""What changed between two moments, against the states of all errors at both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.decider import fold
from domain.error_group import EVENTS, ErrorGroup, decider
from projections.differences import Comparison, Differences
from tests.projections.error_model import logs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from domain.message import Recorded


def states(events: Sequence[Recorded[Any]]) -> dict[UUID, ErrorGroup]:
    """The state of every error that exists after these events."""
    streams: dict[UUID, list[Recorded[Any]]] = {}
    for one in events:
        if type(one.event) in EVENTS:
            streams.setdefault(one.stream_id, []).append(one)
    found = {error_id: fold(decider, stream) for error_id, stream in streams.items()}
    return {error_id: state for error_id, state in found.items() if state.status != "absent"}


def compared(events: Sequence[Recorded[Any]], page: int) -> Differences:
    comparison = Comparison()
    for start in range(0, len(events), page):
        comparison.take(events[start : start + page])
    return comparison.result()


def named(found: Differences, kind: str) -> set[UUID]:
    change = getattr(found, kind)
    assert change.count == len(change.errors)
    return {one.id for one in change.errors}


@settings(max_examples=150, deadline=None)
@given(
    events=logs(), cuts=st.tuples(st.integers(0, 40), st.integers(0, 40)), page=st.integers(1, 9)
)
def test_it_is_what_differs_between_the_states_at_both_moments(
    events: list[Recorded[Any]], cuts: tuple[int, int], page: int
) -> None:
    start, end = sorted(cuts)
    before, after = states(events[:start]), states(events[:end])
    found = compared(events[start:end], page)
    assert named(found, "new") == after.keys() - before.keys()
    assert named(found, "gone") == before.keys() - after.keys()
    both = before.keys() & after.keys()
    was = {one for one in both if before[one].status == "resolved"}
    is_now = {one for one in both if after[one].status == "resolved"}
    assert named(found, "resolved") == is_now - was
    assert named(found, "regressed") | named(found, "reopened") == was - is_now
    grown = {one for one in both if after[one].count != before[one].count}
    assert named(found, "more") == grown - (was ^ is_now)
    assert found.errors == len(after) - len(before)
    assert found.resolved_errors == sum(one.status == "resolved" for one in after.values()) - sum(
        one.status == "resolved" for one in before.values()
    )
    total = sum(one.count for one in after.values()) - sum(one.count for one in before.values())
    assert found.occurrences == total


@settings(max_examples=30, deadline=None)
@given(events=logs())
def test_what_came_and_went_in_between_is_no_change(events: list[Recorded[Any]]) -> None:
    found = compared(events, 5)
    assert not {one.id for one in found.new.errors} & {one.id for one in found.gone.errors}
    assert found.gone.count == 0
