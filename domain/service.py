"""A service that is watched: when it went down, and when it came back.

Whoever looks at a service tells what was seen, again and again if they like; only what is new
becomes an event. News may come late (PostgreSQL was away, so nothing could be written meanwhile),
so each carries the time it is about. What is older than the last event has been judged already,
and is no news.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from domain.decider import Decider
from domain.message import Command, Event, Recorded, derived_id

ERRATA = "errata"
"""Errata itself: down while no scheduler was running, as its heartbeat shows."""

DATABASE = "Database"
CACHE = "Cache Service"
EVENT_LOG = "Event log"
SCHEDULER = "Scheduler"

MAX_REASON = 300

# -- commands ------------------------------------------------------------------------------------


class _ServiceCommand(Command, frozen=True, kw_only=True):
    service: str
    at: datetime

    @property
    def stream_id(self) -> UUID:
        """The service's stream."""
        return service_stream(self.service)


class NoteServiceUp(_ServiceCommand, frozen=True, kw_only=True):
    """The service answered, at this time."""


class NoteServiceDown(_ServiceCommand, frozen=True, kw_only=True):
    """The service does not answer, since this time, and why."""

    reason: str


class StopWatching(_ServiceCommand, frozen=True, kw_only=True):
    """Nobody looks at the service from this time on."""


# -- events --------------------------------------------------------------------------------------


class ServiceWatched(Event, frozen=True, kw_only=True):
    """The service is watched from here on; of the time before nothing is known."""

    service: str
    at: datetime


class ServiceWentDown(Event, frozen=True, kw_only=True):
    """The service has not answered since `at`."""

    service: str
    at: datetime
    reason: str


class ServiceRecovered(Event, frozen=True, kw_only=True):
    """The service answers again, since `at`. `down_since` and `reason` are those of its going
    down, for whoever shows the downtime as one thing."""

    service: str
    at: datetime
    down_since: datetime
    reason: str


class ServiceUnwatched(Event, frozen=True, kw_only=True):
    """Nobody looks any more since `at`. A downtime that was going on (`down_since`) ends here, as
    nobody will see its end."""

    service: str
    at: datetime
    down_since: datetime | None = None
    reason: str = ""


EVENTS: frozenset[type[Event]] = frozenset(
    {ServiceWatched, ServiceWentDown, ServiceRecovered, ServiceUnwatched}
)

# -- state ---------------------------------------------------------------------------------------


class Service(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the service stands, since when, and why it is down."""

    standing: Literal["unwatched", "up", "down"] = "unwatched"
    since: datetime | None = None
    reason: str = ""


def evolve(state: Service, recorded: Recorded[Event]) -> Service:
    """Fold one event into the service's state."""
    event = recorded.event
    match event:
        case ServiceWatched() | ServiceRecovered():
            return Service(standing="up", since=event.at)
        case ServiceWentDown():
            return Service(standing="down", since=event.at, reason=event.reason)
        case ServiceUnwatched():
            return Service(standing="unwatched", since=event.at)
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: Service, command: Command) -> Sequence[Event]:
    """The events that follow from what was seen; none where it is known or old. Refuses nothing."""
    if not isinstance(command, _ServiceCommand):
        raise TypeError(f"a service cannot decide {type(command).__name__}")
    if state.since is not None and command.at < state.since:
        return ()
    match command:
        case NoteServiceUp():
            return _up(state, command)
        case NoteServiceDown():
            return _down(state, command)
    return _unwatched(state, command)


def _up(state: Service, command: NoteServiceUp) -> Sequence[Event]:
    if state.standing == "up":
        return ()
    if state.standing == "unwatched" or state.since is None:
        return (ServiceWatched(service=command.service, at=command.at),)
    return (
        ServiceRecovered(
            service=command.service,
            at=command.at,
            down_since=state.since,
            reason=state.reason,
        ),
    )


def _down(state: Service, command: NoteServiceDown) -> Sequence[Event]:
    if state.standing == "down":
        return ()
    reason = command.reason[:MAX_REASON]
    down = ServiceWentDown(service=command.service, at=command.at, reason=reason)
    if state.standing == "unwatched":
        return (ServiceWatched(service=command.service, at=command.at), down)
    return (down,)


def _unwatched(state: Service, command: _ServiceCommand) -> Sequence[Event]:
    if state.standing == "unwatched":
        return ()
    down_since = state.since if state.standing == "down" else None
    return (
        ServiceUnwatched(
            service=command.service,
            at=command.at,
            down_since=down_since,
            reason=state.reason,
        ),
    )


def service_stream(service: str) -> UUID:
    """The stream of a service."""
    return derived_id("service", service)


def read_model_service(name: str) -> str:
    """The name of a read model as a service."""
    return f"Read model {name}"


decider = Decider(
    kind="service",
    state_type=Service,
    state_schema=1,
    initial=Service(),
    evolve=evolve,
    decide=decide,
)
