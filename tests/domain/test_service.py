"""When a service goes down and comes back: decisions, and the judgement before them."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.judgement import Judge
from domain.observation import Look, Status
from domain.service import (
    NoteServiceDown,
    NoteServiceUp,
    ServiceRecovered,
    ServiceUnwatched,
    ServiceWatched,
    ServiceWentDown,
    StopWatching,
    decider,
)
from tests.spec import START, given

LATER = START + timedelta(seconds=10)
LATEST = START + timedelta(seconds=30)

WATCHED = ServiceWatched(service="Database", at=START)
DOWN = ServiceWentDown(service="Database", at=LATER, reason="gone")
BACK = ServiceRecovered(service="Database", at=LATEST, down_since=LATER, reason="gone")


def up(at: object = START) -> NoteServiceUp:
    return NoteServiceUp(service="Database", at=at)  # type: ignore[arg-type]


def down(at: object = LATER, reason: str = "gone") -> NoteServiceDown:
    return NoteServiceDown(service="Database", at=at, reason=reason)  # type: ignore[arg-type]


def test_the_first_look_begins_the_watch() -> None:
    given(decider).when(up()).then(WATCHED)


def test_a_service_that_is_down_at_first_is_watched_and_down() -> None:
    given(decider).when(down()).then(ServiceWatched(service="Database", at=LATER), DOWN)


def test_a_service_that_stays_up_is_no_news() -> None:
    given(decider, WATCHED).when(up(LATER), up(LATEST)).then_nothing()


def test_a_service_goes_down_once() -> None:
    given(decider, WATCHED).when(down(), down(LATEST)).then(DOWN)


def test_a_recovery_tells_since_when_and_why_it_was_down() -> None:
    given(decider, WATCHED, DOWN).when(up(LATEST)).then(BACK)


def test_news_that_is_older_than_the_last_event_is_none() -> None:
    given(decider, WATCHED, DOWN, BACK).when(down(LATER), up(LATER)).then_nothing()


def test_a_downtime_ends_where_nobody_looks_any_more() -> None:
    stop = StopWatching(service="Database", at=LATEST)
    ended = ServiceUnwatched(service="Database", at=LATEST, down_since=LATER, reason="gone")
    given(decider, WATCHED, DOWN).when(stop, stop).then(ended)


def test_what_nobody_watches_cannot_be_watched_less() -> None:
    given(decider).when(StopWatching(service="Database", at=START)).then_nothing()


def test_a_long_reason_is_cut() -> None:
    events = given(decider, WATCHED).when(down(reason="x" * 1000)).events
    assert len(events[0].reason) == 300  # type: ignore[attr-defined]


@for_all(st.lists(st.tuples(st.booleans(), st.integers(0, 100)), max_size=20))
def test_telling_everything_twice_adds_nothing(story: list[tuple[bool, int]]) -> None:
    seconds = sorted(second for _, second in story)
    commands = [
        (up if is_up else down)(START + timedelta(seconds=second))
        for (is_up, _), second in zip(story, seconds, strict=True)
    ]
    once = given(decider).when(*commands).events
    doubled = [command for one in commands for command in (one, one)]
    assert given(decider).when(*doubled).events == once


def look(status: Status, second: int) -> Look:
    return Look(service="Database", status=status, at=START + timedelta(seconds=second), reason="x")


def news(*statuses: Status) -> list[tuple[str, int]]:
    judge = Judge()
    heard = [judge.hear(look(status, second)) for second, status in enumerate(statuses)]
    return [
        ("up" if isinstance(one, NoteServiceUp) else "down", (one.at - START).seconds)
        for one in heard
        if isinstance(one, NoteServiceUp | NoteServiceDown)
    ]


def test_one_failed_look_is_no_news() -> None:
    assert news("healthy", "unhealthy", "healthy") == [("up", 0)]


def test_two_failed_looks_are_news_since_the_first() -> None:
    statuses: list[Status] = ["healthy", "unhealthy", "unhealthy", "unhealthy", "healthy"]
    assert news(*statuses) == [("up", 0), ("down", 1), ("up", 4)]


def test_an_unknown_standing_neither_accuses_nor_acquits() -> None:
    assert news("healthy", "unhealthy", "unknown", "unhealthy") == [("up", 0), ("down", 1)]


def test_a_forgotten_service_is_news_again() -> None:
    judge = Judge()
    assert judge.hear(look("healthy", 0)) is not None
    assert judge.hear(look("healthy", 1)) is None
    judge.forget("Database")
    assert judge.hear(look("healthy", 2)) is not None
