"""Random logs of occurrences with codes and users, and what is left of them after deletions."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from domain.error_group import DeleteError, ErrorDeleted, ErrorReported, group_id
from domain.failures import NotFound
from tests.projections.helpers import START, Log, report

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from domain.message import Command, Recorded

APPS = ("default", "a:b*%")
CODES = (None, "net/failed", "auth/é:c", "")
USERS = (None, "u1", "u2", "ü\n3", "u\0four", "5")
CUTS = st.sets(st.integers(1, 40), max_size=12)

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def _commands(draw: st.DrawFn) -> Command:
    app, fingerprint = draw(st.sampled_from([(APPS[0], "a"), (APPS[0], "b"), (APPS[1], "a")]))
    if draw(st.integers(0, 5)) == 0:
        return DeleteError(error_id=group_id(app, fingerprint))
    return report(
        fingerprint,
        app=app,
        after=draw(st.sampled_from((-2_000_000_000, -86_400, -43_201, -1, 0, 3_599, 43_200))),
        code=draw(st.sampled_from(CODES)),
        user_id=draw(st.sampled_from(USERS)),
    )


@st.composite
def logs(draw: st.DrawFn) -> list[Recorded[Any]]:
    """What the real decider makes of random reports and deletions."""
    log = Log()
    for command in draw(st.lists(_commands(), min_size=5, max_size=40)):
        with suppress(NotFound):
            log.execute(command)
    return log.events


def pages(events: list[Recorded[Any]], cuts: set[int]) -> list[list[Recorded[Any]]]:
    """Events in pages that end at the cuts; no page for an empty log."""
    ends = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    return [events[start:end] for start, end in pairwise(ends) if start < end]


def alive(events: Iterable[Recorded[Any]]) -> list[Recorded[ErrorReported]]:
    """The reports whose error has not been deleted since."""
    groups: dict[UUID, list[Recorded[ErrorReported]]] = {}
    for one in events:
        if isinstance(one.event, ErrorReported):
            groups.setdefault(one.stream_id, []).append(one)
        elif isinstance(one.event, ErrorDeleted):
            groups.pop(one.stream_id)
    return [one for group in groups.values() for one in group]


def all_deleted(events: list[Recorded[Any]]) -> list[Recorded[Any]]:
    """Deletions of every error that is there after these events."""
    log = Log()
    for one in events:
        log.events.append(one)
        log.streams[one.stream_id].append(one)
    for error_id in dict.fromkeys(one.stream_id for one in alive(events)):
        log.execute(DeleteError(error_id=error_id))
    return log.events[len(events) :]


MIDNIGHT = START - timedelta(hours=12)
