"""An incident: something that somebody has to look after, until it is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from domain.decider import Decider
from domain.failures import AlreadyExists, Conflict, Invalid, NotFound
from domain.message import Command, Event, Recorded
from domain.vocabulary import ANY_APP, DEFAULT_APP, SEVERITIES, Severity
from domain.wish import Policy, broken, given, one_of, short_text

Status = Literal["open", "investigating", "resolved", "closed"]

STATUSES: tuple[Status, ...] = get_args(Status)
MAX_DESCRIPTION = 10_000

MOVES: Mapping[Status, tuple[Status, ...]] = MappingProxyType(
    {
        "open": ("investigating", "resolved", "closed"),
        "investigating": ("open", "resolved", "closed"),
        "resolved": ("open", "investigating", "closed"),
        "closed": ("open",),
    }
)
"""What an incident in a status can become; a closed one has to be reopened first."""


class IncidentFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is said of an incident. `assigned_to` is a member's id."""

    title: str
    severity: Severity = "medium"
    status: Status = "open"
    description: str | None = None
    assigned_to: UUID | None = None


class IncidentWish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks an incident to be. UNSET is left as it is; None takes away."""

    title: str | UnsetType = UNSET
    severity: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    assigned_to: UUID | UnsetType | None = UNSET


# -- commands ------------------------------------------------------------------------------------


class OpenIncident(Command, frozen=True, kw_only=True):
    """Somebody says that there is an incident, in one application or in all ("*"), or an alert
    rule does."""

    incident_id: UUID
    app: str = DEFAULT_APP
    wish: IncidentWish
    rule_id: UUID | None = None

    @property
    def stream_id(self) -> UUID:
        """The incident's id."""
        return self.incident_id


class ChangeIncident(Command, frozen=True, kw_only=True):
    """Somebody changes what is said of an incident. `seen_by` is the application whose incidents
    they may see, or "*"; `expected_version` is what they have seen of this one."""

    incident_id: UUID
    wish: IncidentWish
    seen_by: str = ANY_APP
    expected_version: int | None = None

    @property
    def stream_id(self) -> UUID:
        """The incident's id."""
        return self.incident_id


# -- events --------------------------------------------------------------------------------------


class IncidentOpened(Event, frozen=True, kw_only=True):
    """There is an incident from here on; `rule_id` is the alert rule that opened it, if one did."""

    incident_id: UUID
    app: str
    facts: IncidentFacts
    rule_id: UUID | None = None


class IncidentChanged(Event, frozen=True, kw_only=True):
    """What is said of the incident differs from here on. `version` counts from 1, the opening."""

    incident_id: UUID
    app: str
    opened_at: datetime
    version: int
    before: IncidentFacts
    facts: IncidentFacts
    rule_id: UUID | None = None


EVENTS: frozenset[type[Event]] = frozenset({IncidentOpened, IncidentChanged})


# -- state ---------------------------------------------------------------------------------------


class Incident(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of an incident; without facts there is none."""

    incident_id: UUID | None = None
    app: str = ""
    facts: IncidentFacts | None = None
    opened_at: datetime | None = None
    updated_at: datetime | None = None
    version: int = 0
    rule_id: UUID | None = None


def evolve(state: Incident, recorded: Recorded[Event]) -> Incident:
    """Fold one event into the incident's state."""
    event = recorded.event
    match event:
        case IncidentOpened():
            return Incident(
                incident_id=event.incident_id,
                app=event.app,
                facts=event.facts,
                opened_at=recorded.recorded_at,
                updated_at=recorded.recorded_at,
                version=1,
                rule_id=event.rule_id,
            )
        case IncidentChanged():
            return msgspec.structs.replace(
                state, facts=event.facts, updated_at=recorded.recorded_at, version=event.version
            )
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: Incident, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where nothing changes.

    Raises Invalid for a value that breaks a rule, NotFound for an incident that is not there to
    see, Conflict for a version that is no longer the latest and for a move that is not allowed,
    AlreadyExists for a taken id.
    """
    match command:
        case OpenIncident():
            return _open(state, command)
        case ChangeIncident():
            return _change(state, command)
    raise TypeError(f"an incident cannot decide {type(command).__name__}")


def _open(state: Incident, command: OpenIncident) -> Sequence[Event]:
    for flaw in [*missing(command.wish), *flaws(command.wish)]:
        raise flaw
    facts = IncidentFacts(**given(command.wish))
    if state.facts is not None:
        if state.version == 1 and (state.app, state.facts) == (command.app, facts):
            return ()
        raise AlreadyExists("an incident with this id exists")
    return (
        IncidentOpened(
            incident_id=command.incident_id,
            app=command.app,
            facts=facts,
            rule_id=command.rule_id,
        ),
    )


def _change(state: Incident, command: ChangeIncident) -> Sequence[Event]:
    if state.facts is None or command.seen_by not in (ANY_APP, state.app):
        raise NotFound("no such incident")
    if command.expected_version not in (None, state.version):
        raise Conflict(f"the incident is at version {state.version} by now")
    for flaw in flaws(command.wish):
        raise flaw
    facts = msgspec.structs.replace(state.facts, **given(command.wish))
    if facts == state.facts:
        return ()
    _check_move(state.facts.status, facts.status)
    assert state.opened_at is not None
    return (
        IncidentChanged(
            incident_id=command.incident_id,
            app=state.app,
            opened_at=state.opened_at,
            version=state.version + 1,
            before=state.facts,
            facts=facts,
            rule_id=state.rule_id,
        ),
    )


def _check_move(status: Status, wanted: Status) -> None:
    if wanted != status and wanted not in MOVES[status]:
        raise Conflict(
            f"an incident that is {status} cannot become {wanted}, only {', '.join(MOVES[status])}"
        )


def missing(wish: IncidentWish) -> list[Invalid]:
    """What a new incident needs and the wish leaves out, or asks too early."""
    problems = [Invalid("title", "is required")] if wish.title is UNSET else []
    if wish.status not in (UNSET, "open") and wish.status in STATUSES:
        problems.append(Invalid("status", "of a new incident is open; change it afterwards"))
    return problems


def flaws(wish: IncidentWish) -> list[Invalid]:
    """Every rule that the values of a wish break."""
    return broken(_POLICIES, wish)


def _description(wish: IncidentWish) -> Invalid | None:
    if isinstance(wish.description, str) and len(wish.description) > MAX_DESCRIPTION:
        return Invalid("description", f"must have at most {MAX_DESCRIPTION} characters")
    return None


_POLICIES: tuple[Policy[IncidentWish], ...] = (
    lambda wish: short_text("title", wish.title),
    lambda wish: one_of("severity", wish.severity, SEVERITIES),
    lambda wish: one_of("status", wish.status, STATUSES),
    _description,
)


decider = Decider(
    kind="incident",
    state_type=Incident,
    state_schema=2,
    initial=Incident(),
    evolve=evolve,
    decide=decide,
)
