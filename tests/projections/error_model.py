"""Errors in plain Python: random logs of them, and what lists of them ought to answer."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st

from domain import error_group
from domain.decider import fold
from domain.error_group import (
    DeleteError,
    ErrorReported,
    MuteError,
    ReopenError,
    ResolveError,
    Status,
    UnmuteError,
    group_id,
)
from domain.failures import NotFound
from domain.mute import Mute
from projections.error_groups import ErrorFilter, Sort
from tests.projections.helpers import START, Log, report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.message import Command, Recorded

APPS = ("default", "a:b*%")
SOURCES = ("backend", "front end", "*", "")
ENVIRONMENTS = ("production", "staging")
LEVELS = ("error", "warning", "info", "debug")
WORDS = ("database", "timeout", "db.connect", "zażółć")
GROUPS = tuple((app, name) for app in APPS for name in "abcd")

_seconds = st.integers(0, 12)
_moments = _seconds.map(lambda seconds: START + timedelta(seconds=seconds))


def _mostly(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    """The first value as a rule, so that not every report moves its group."""
    return st.sampled_from((values[0],) * 2 * len(values) + values)


@st.composite
def _commands(draw: st.DrawFn) -> Command:
    app, fingerprint = draw(st.sampled_from(GROUPS))
    kind = draw(st.sampled_from("rrrrrsodtcu"))
    error_id = group_id(app, fingerprint)
    if kind == "t":
        until = START + timedelta(seconds=draw(st.integers(1, 12)))
        return MuteError(error_id=error_id, until=until, now=START)
    if kind == "c":
        count = draw(st.none() | st.integers(1, 3))
        return MuteError(error_id=error_id, count=count, now=START)
    if kind == "r":
        return report(
            fingerprint,
            app=app,
            level=draw(_mostly(LEVELS)),
            source=draw(_mostly(SOURCES)),
            environment=draw(_mostly(ENVIRONMENTS)),
            after=draw(_seconds),
            words=draw(st.lists(st.sampled_from(WORDS), unique=True).map(tuple)),
            now=draw(_moments),
        )
    changes = {"s": ResolveError, "o": ReopenError, "d": DeleteError, "u": UnmuteError}
    return changes[kind](error_id=error_id)


@st.composite
def logs(draw: st.DrawFn, min_size: int = 1) -> list[Recorded[Any]]:
    """What the real decider makes of random commands, ending anywhere, within a commit too."""
    log = Log()
    for command in draw(st.lists(_commands(), min_size=min_size, max_size=40)):
        with suppress(NotFound):
            log.execute(command)
    return log.events[: len(log.events) - draw(st.integers(0, 1))]


_FILTER_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "level": st.sampled_from(LEVELS),
    "source": st.sampled_from(SOURCES),
    "environment": st.sampled_from(ENVIRONMENTS),
    "resolved": st.booleans(),
    "app": st.sampled_from(APPS),
    "search": st.sampled_from((*WORDS, "Timeout DATABASE!", "nothing", "4711")),
    "since": _moments,
    "until": _moments,
}


@st.composite
def filters(draw: st.DrawFn) -> ErrorFilter:
    """Filters of at most three values: with more, most lists would be empty."""
    names = draw(st.sets(st.sampled_from(sorted(_FILTER_VALUES)), max_size=3))
    return ErrorFilter(**{name: draw(_FILTER_VALUES[name]) for name in sorted(names)})


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A group as lists see it."""

    id: UUID
    app: str
    level: str
    source: str
    environment: str
    status: Status
    count: int
    first_seen: datetime
    last_seen: datetime
    words: frozenset[str]
    mute: Mute | None


def listed(events: Sequence[Recorded[Any]]) -> list[Listed]:
    """All groups that exist after these events, by the aggregate's own evolve."""
    streams: dict[UUID, list[Recorded[Any]]] = {}
    for recorded in events:
        streams.setdefault(recorded.stream_id, []).append(recorded)
    groups = []
    for group, stream in streams.items():
        state = fold(error_group.decider, stream)
        if state.status == "absent":
            continue
        births = [
            one.event
            for one in stream
            if isinstance(one.event, ErrorReported) and one.event.count == 1
        ]
        assert state.facets and state.first_seen and state.last_seen
        groups.append(
            Listed(
                id=group,
                app=state.app,
                level=state.facets.level,
                source=state.facets.source,
                environment=state.facets.environment,
                status=state.status,
                count=state.count,
                first_seen=state.first_seen,
                last_seen=state.last_seen,
                words=frozenset(births[-1].grouping.words),
                mute=state.mute,
            )
        )
    return groups


def expected(events: Sequence[Recorded[Any]], wanted: ErrorFilter, sort: Sort) -> list[str]:
    """The ids of the whole list, in order."""
    groups = [group for group in listed(events) if _wanted(group, wanted)]
    groups.sort(key=lambda group: (getattr(group, sort), group.id.bytes), reverse=True)
    return [str(group.id) for group in groups]


def _wanted(group: Listed, wanted: ErrorFilter) -> bool:
    equal = all(
        value is None or getattr(group, name) == value
        for name in ("app", "level", "source", "environment")
        for value in [getattr(wanted, name)]
    )
    status = wanted.resolved is None or (group.status == "resolved") == wanted.resolved
    since = wanted.since is None or group.last_seen >= wanted.since
    until = wanted.until is None or group.last_seen < wanted.until
    searched = None if wanted.search is None else wanted.search.lower().strip("!").split()
    found = searched is None or set(searched) <= group.words
    return equal and status and since and until and found
