"""Which reports of a muted error alert nobody, and what wakes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import error_group
from domain.error_group import (
    DeleteError,
    ErrorMuted,
    ErrorRegressed,
    ErrorReported,
    ErrorWoke,
    MuteError,
    ReportError,
    ResolveError,
    UnmuteError,
    WakeError,
    group_id,
)
from domain.message import Command
from tests.reports import NOON, report
from tests.spec import Given, given

ID = group_id("default", "a")
HOUR = timedelta(hours=1)
UNMUTE = UnmuteError(error_id=ID)


def mute(**how: Any) -> MuteError:
    return MuteError(error_id=ID, **({"now": NOON} | how))


def wake(after: timedelta) -> WakeError:
    return WakeError(error_id=ID, now=NOON + after)


def arriving(after: timedelta) -> ReportError:
    return msgspec.structs.replace(report(), now=NOON + after)


def group(*commands: Command) -> Given:
    """A reported error with the past that these commands made."""
    return given(error_group.decider, *given(error_group.decider).when(report(), *commands).events)


def muted(past: Given, command: Command) -> list[bool]:
    """Which reports are muted among the events of a command."""
    events = past.when(command).events
    return [event.muted for event in events if isinstance(event, ErrorReported)]


def test_reports_are_muted_until_somebody_says_otherwise() -> None:
    assert muted(group(), report()) == [False]
    assert muted(group(mute()), arriving(9999 * HOUR)) == [True]
    assert muted(group(mute(), UNMUTE), report()) == [False]


def test_the_count_th_further_report_wakes_the_error_and_alerts() -> None:
    events = group(mute(count=3)).when(report(), report(), report(), report()).events
    reports = [event for event in events if isinstance(event, ErrorReported)]
    assert [one.muted for one in reports] == [True, True, False, False]
    assert [one.muted_count_left for one in reports] == [2, 1, None, None]
    (woke,) = [event for event in events if isinstance(event, ErrorWoke)]
    assert (woke.reason, woke.count) == ("count", 4)
    assert events.index(woke) == 3


def test_the_first_report_after_the_time_wakes_the_error_and_alerts() -> None:
    past = group(mute(until=NOON + HOUR))
    assert muted(past, arriving(HOUR - timedelta(microseconds=1))) == [True]
    assert muted(past, arriving(HOUR)) == [False]
    past.when(arriving(HOUR)).then_kinds(ErrorReported, ErrorWoke)


def test_a_report_that_does_not_say_when_it_arrived_wakes_by_number_only() -> None:
    assert muted(group(mute(until=NOON + HOUR)), report(timestamp=NOON + 2 * HOUR)) == [True]


def test_a_report_says_until_when_it_is_muted() -> None:
    (event,) = group(mute(until=NOON + HOUR)).when(report()).events
    assert isinstance(event, ErrorReported)
    assert (event.muted_until, event.muted_count_left) == (NOON + HOUR, None)


def test_a_regression_is_muted_as_its_report_is() -> None:
    past = group(ResolveError(error_id=ID), mute(count=2))
    first = past.when(report()).events
    assert [type(event) for event in first] == [ErrorReported, ErrorRegressed]
    assert isinstance(first[1], ErrorRegressed) and first[1].muted
    waking = group(ResolveError(error_id=ID), mute(count=1)).when(report()).events
    assert [type(event) for event in waking] == [ErrorReported, ErrorRegressed, ErrorWoke]
    assert isinstance(waking[1], ErrorRegressed) and not waking[1].muted


def test_a_resolution_leaves_the_mute_and_a_deletion_ends_it() -> None:
    assert muted(group(mute(), ResolveError(error_id=ID)), report()) == [True]
    assert muted(group(mute(), DeleteError(error_id=ID)), report()) == [False]


def test_time_alone_wakes_an_error_too() -> None:
    past = group(mute(until=NOON + HOUR))
    past.when(wake(HOUR / 2)).then_nothing()
    (woke,) = past.when(wake(HOUR), wake(HOUR)).events
    assert isinstance(woke, ErrorWoke) and woke.reason == "time"
    group(mute()).when(wake(HOUR)).then_nothing()
    group().when(wake(HOUR)).then_nothing()


def test_another_mute_takes_the_place_of_the_first() -> None:
    past = group(mute(count=2))
    (again,) = past.when(mute(until=NOON + HOUR)).events
    assert isinstance(again, ErrorMuted) and (again.until, again.further) == (NOON + HOUR, None)
    past.when(mute(count=2)).then_nothing()
    assert len(group(mute(count=2), report()).when(mute(count=2)).events) == 1


@pytest.mark.parametrize(
    "how",
    [
        {"until": NOON},
        {"count": 0},
        {"count": 1_000_000_001},
        {"count": 1, "until": NOON + HOUR},
    ],
    ids=str,
)
def test_a_mute_that_could_not_be_is_refused(how: dict[str, Any]) -> None:
    group().when(mute(**how)).then_refused("invalid")


def test_an_unknown_error_cannot_be_muted() -> None:
    for command in (mute(), UNMUTE, wake(HOUR)):
        given(error_group.decider).when(command).then_refused("not_found")
        elsewhere = msgspec.structs.replace(command, app="shop")
        group(mute()).when(elsewhere).then_refused("not_found")


_changes = st.sampled_from(
    [mute(), mute(count=2), mute(until=NOON + HOUR), UNMUTE, wake(HOUR), ResolveError(error_id=ID)]
)


@for_all(st.lists(_changes | st.just(report())), _changes)
def test_repeating_a_change_adds_nothing(past: list[Command], change: Command) -> None:
    once = group(*past, change)
    once.when(change).then_nothing()
