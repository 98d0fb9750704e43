"""What an error decides, by given, when, then."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import error_group
from domain.error_group import (
    DeleteError,
    ErrorDeleted,
    ErrorRegressed,
    ErrorReopened,
    ErrorReported,
    ErrorResolved,
    ReopenError,
    ResolveError,
    group_id,
)
from domain.message import Command, Event
from domain.occurrence import Facets, GroupingRecord
from tests.reports import NOON, report
from tests.spec import START, Given, given

ID = group_id("default", "a")
RESOLVE, REOPEN, DELETE = (
    ResolveError(error_id=ID),
    ReopenError(error_id=ID),
    DeleteError(error_id=ID),
)


def group(*commands: Command) -> Given:
    """An error with the past that these commands made."""
    return given(error_group.decider, *given(error_group.decider).when(*commands).events)


def test_the_first_report_starts_the_error_at_count_1() -> None:
    (event,) = group().when(report()).events
    assert isinstance(event, ErrorReported)
    assert (event.count, event.first_seen, event.last_seen) == (1, NOON, NOON)
    assert event.moved_from is None
    assert event.grouping.words == ("a",)


def test_a_further_report_counts_on_and_keeps_the_first_time() -> None:
    later = NOON + timedelta(hours=1)
    (event,) = group(report()).when(report(timestamp=later)).events
    assert isinstance(event, ErrorReported)
    assert (event.count, event.first_seen, event.last_seen) == (2, NOON, later)
    assert event.created_at == START


def test_a_late_report_moves_the_first_time_back_and_leaves_the_last() -> None:
    earlier = NOON - timedelta(hours=1)
    (event,) = group(report()).when(report(timestamp=earlier)).events
    assert isinstance(event, ErrorReported)
    assert (event.first_seen, event.last_seen) == (earlier, NOON)


def test_the_words_of_a_group_by_code_are_found_with_its_first_report() -> None:
    coded = msgspec.structs.replace(
        report(message="order failed", code="shop/pay"),
        grouping=GroupingRecord(version=1, parts=("code", "shop/pay"), reasons=()),
    )
    first, second = given(error_group.decider).when(coded, coded).events
    assert isinstance(first, ErrorReported)
    assert isinstance(second, ErrorReported)
    assert first.grouping.words == ("failed", "order", "pay", "shop")
    assert second.grouping == coded.grouping


def test_search_words_stand_on_the_first_report_only() -> None:
    (event,) = group(report()).when(report()).events
    assert isinstance(event, ErrorReported)
    assert event.grouping.words == ()
    assert event.grouping.parts == ("a",)


def test_a_report_says_which_facets_the_error_leaves() -> None:
    (event,) = group(report()).when(report(level="warning")).events
    assert isinstance(event, ErrorReported)
    assert event.moved_from == Facets("error", "backend", "production")


def test_resolving_carries_what_the_resolution_ends() -> None:
    group(report()).when(RESOLVE).then(
        ErrorResolved(
            app="default",
            facets=Facets("error", "backend", "production"),
            count=1,
            first_seen=NOON,
            last_seen=NOON,
            open_since=NOON,
        )
    )


def test_a_report_on_a_resolved_error_reopens_it() -> None:
    then = group(report(), RESOLVE).when(report())
    then.then_kinds(ErrorReported, ErrorRegressed)
    reported, regressed = then.events
    assert isinstance(reported, ErrorReported)
    assert isinstance(regressed, ErrorRegressed)
    assert reported.resolved
    assert regressed.resolved_at == START + timedelta(seconds=1)
    assert group(report(), RESOLVE, report()).state.status == "open"


def test_after_a_regression_the_time_to_resolve_starts_anew() -> None:
    (event,) = group(report(), RESOLVE, report()).when(RESOLVE).events
    assert isinstance(event, ErrorResolved)
    assert event.open_since == START + timedelta(seconds=3)  # when the regression was recorded


def test_reopening_says_which_resolution_it_undoes() -> None:
    (event,) = group(report(), RESOLVE).when(REOPEN).events
    assert isinstance(event, ErrorReopened)
    assert event.resolved_at == START + timedelta(seconds=1)


def test_deleting_says_whether_a_resolved_error_goes() -> None:
    (event,) = group(report(), RESOLVE).when(DELETE).events
    assert isinstance(event, ErrorDeleted)
    assert event.resolved


def test_a_deleted_error_starts_again_at_count_1() -> None:
    (event,) = group(report(), report(), DELETE).when(report(level="info")).events
    assert isinstance(event, ErrorReported)
    assert (event.count, event.moved_from, event.created_at) == (1, None, None)
    assert event.grouping.words == ("a",)


def test_what_does_not_exist_cannot_be_changed() -> None:
    for command in (RESOLVE, REOPEN, DELETE):
        group().when(command).then_refused("not_found")
        group(report(), DELETE).when(command).then_refused("not_found")


def test_who_may_act_on_one_application_finds_no_error_of_another() -> None:
    theirs, ours = ResolveError(error_id=ID, app="shop"), ResolveError(error_id=ID, app="default")
    group(report()).when(theirs).then_refused("not_found")
    group(report()).when(ours).then_kinds(ErrorResolved)


def test_the_id_follows_from_application_and_fingerprint_alone() -> None:
    assert group_id("a", "bc") == group_id("a", "bc")
    assert len({group_id("a", "bc"), group_id("ab", "c"), group_id("b", "ac")}) == 3


COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.sampled_from([RESOLVE, REOPEN, DELETE]),
    st.builds(
        report,
        level=st.sampled_from(["error", "warning", "info", "debug"]),
        source=st.sampled_from(["api", "web"]),
        timestamp=st.integers(-100, 100).map(lambda hours: NOON + timedelta(hours=hours)),
    ),
)


def _play(commands: list[Command]) -> list[Event]:
    events: list[Event] = []
    for command in commands:
        events += given(error_group.decider, *events).when(command).events
    return events


@for_all(st.lists(COMMANDS, max_size=12), st.sampled_from([RESOLVE, REOPEN]))
def test_repeating_a_command_adds_nothing(commands: list[Command], command: Command) -> None:
    past = _play(commands)
    once = given(error_group.decider, *past).when(command)
    if once.refusal is None:
        given(error_group.decider, *past, *once.events).when(command).then_nothing()


@for_all(st.lists(COMMANDS, max_size=15))
def test_events_carry_absolute_numbers(commands: list[Command]) -> None:
    """Count and times of the state equal what a naive walk over the reports gives."""
    past = _play(commands)
    state = given(error_group.decider, *past).state
    reports = _since_deletion(past)
    assert state.count == len(reports)
    if reports:
        times = [event.occurrence.timestamp for event in reports]
        assert (state.first_seen, state.last_seen) == (min(times), max(times))


def _since_deletion(events: list[Event]) -> list[ErrorReported]:
    reports: list[ErrorReported] = []
    for event in events:
        if isinstance(event, ErrorDeleted):
            reports = []
        elif isinstance(event, ErrorReported):
            reports.append(event)
    return reports


def test_the_state_survives_being_stored() -> None:
    state = group(report(), RESOLVE, report()).state
    stored = msgspec.json.encode(state)
    assert msgspec.json.decode(stored, type=error_group.ErrorGroup) == state


def test_a_late_report_moves_the_start_of_the_time_to_resolve_with_the_first_time() -> None:
    earlier = NOON - timedelta(hours=1)
    (event,) = group(report(), report(timestamp=earlier)).when(RESOLVE).events
    assert isinstance(event, ErrorResolved)
    assert event.open_since == event.first_seen == earlier
