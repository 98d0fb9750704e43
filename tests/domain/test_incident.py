"""What an incident decides."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import incident
from domain.incident import (
    ChangeIncident,
    IncidentChanged,
    IncidentFacts,
    IncidentOpened,
    IncidentWish,
    OpenIncident,
    Status,
)
from tests.spec import START, given

ID, ALICE, BOB = UUID(int=1), UUID(int=2), UUID(int=3)
FACTS = IncidentFacts(
    title="Database Connection Timeout",
    severity="critical",
    description="Multiple database connection timeouts detected",
    assigned_to=ALICE,
)
OPENED = IncidentOpened(incident_id=ID, app="default", facts=FACTS)
ALLOWED = {
    ("open", "investigating"),
    ("open", "resolved"),
    ("open", "closed"),
    ("investigating", "open"),
    ("investigating", "resolved"),
    ("investigating", "closed"),
    ("resolved", "open"),
    ("resolved", "investigating"),
    ("resolved", "closed"),
    ("closed", "open"),
}


def open_(**changes: Any) -> OpenIncident:
    """The document's incident, with changes."""
    wish = {
        "title": FACTS.title,
        "severity": FACTS.severity,
        "description": FACTS.description,
        "assigned_to": ALICE,
    }
    return OpenIncident(incident_id=ID, wish=IncidentWish(**(wish | changes)))


def change(**fields: Any) -> ChangeIncident:
    """A wish to change the incident."""
    return ChangeIncident(incident_id=ID, wish=IncidentWish(**fields))


def in_status(status: Status) -> IncidentOpened:
    """An incident that stands there."""
    facts = IncidentFacts(title="Incident", status=status)
    return IncidentOpened(incident_id=ID, app="default", facts=facts)


def test_an_incident_is_opened_as_described() -> None:
    given(incident.decider).when(open_()).then(OPENED)


def test_opening_the_same_incident_again_adds_nothing() -> None:
    given(incident.decider, OPENED).when(open_()).then_nothing()


def test_an_id_is_taken_by_its_first_incident() -> None:
    given(incident.decider, OPENED).when(open_(title="Another")).then_refused("already_exists")


def test_only_the_title_is_needed() -> None:
    command = OpenIncident(incident_id=ID, wish=IncidentWish(title="Slow"))
    opened = IncidentOpened(incident_id=ID, app="default", facts=IncidentFacts(title="Slow"))
    given(incident.decider).when(command).then(opened)
    without = OpenIncident(incident_id=ID, wish=IncidentWish(severity="low"))
    given(incident.decider).when(without).then_refused("invalid")


@pytest.mark.parametrize(
    "fields",
    [
        {"title": " "},
        {"title": "x" * 201},
        {"severity": "awful"},
        {"status": "gone"},
        {"status": "resolved"},
        {"description": "x" * 10_001},
    ],
)
def test_a_wrong_value_is_refused(fields: dict[str, Any]) -> None:
    given(incident.decider).when(open_(**fields)).then_refused("invalid")


def test_a_change_tells_before_and_after_and_counts() -> None:
    after = IncidentFacts(
        title=FACTS.title,
        severity="low",
        status="investigating",
        description=FACTS.description,
        assigned_to=BOB,
    )
    changed = IncidentChanged(
        incident_id=ID, app="default", opened_at=START, version=2, before=FACTS, facts=after
    )
    wish = change(severity="low", status="investigating", assigned_to=BOB)
    given(incident.decider, OPENED).when(wish).then(changed)


def test_none_takes_away_what_unset_leaves() -> None:
    (event,) = given(incident.decider, OPENED).when(change(assigned_to=None)).events
    assert (event.facts.assigned_to, event.facts.description) == (None, FACTS.description)


@pytest.mark.parametrize(("status", "wanted"), list(product(get_args(Status), repeat=2)))
def test_an_incident_moves_only_where_it_may(status: Status, wanted: Status) -> None:
    outcome = given(incident.decider, in_status(status)).when(change(status=wanted))
    if status == wanted:
        outcome.then_nothing()
    elif (status, wanted) in ALLOWED:
        outcome.then_kinds(IncidentChanged)
    else:
        outcome.then_refused("conflict")


def test_a_stale_version_is_refused_even_where_nothing_would_change() -> None:
    wish = IncidentWish(title=FACTS.title)
    stale = ChangeIncident(incident_id=ID, wish=wish, expected_version=2)
    latest = ChangeIncident(incident_id=ID, wish=wish, expected_version=1)
    given(incident.decider, OPENED).when(stale).then_refused("conflict")
    given(incident.decider, OPENED).when(latest).then_nothing()


def test_an_incident_that_cannot_be_seen_is_not_there() -> None:
    given(incident.decider).when(change(title="x")).then_refused("not_found")
    foreign = ChangeIncident(incident_id=ID, wish=IncidentWish(title="x"), seen_by="shop")
    given(incident.decider, OPENED).when(foreign).then_refused("not_found")


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from([FACTS.title, "Another"]),
        "severity": st.sampled_from(["low", "critical"]),
        "status": st.sampled_from(get_args(Status)),
        "description": st.sampled_from([None, "", "text"]),
        "assigned_to": st.sampled_from([None, ALICE, BOB]),
    },
)


@for_all(CHANGES)
def test_repeating_a_change_adds_nothing(fields: dict[str, Any]) -> None:
    wish = change(**fields)
    once = given(incident.decider, OPENED).when(wish)
    twice = given(incident.decider, OPENED).when(wish, wish)
    assert once.refusal is None
    assert once.events == twice.events


def test_an_incident_that_a_rule_opened_keeps_its_rule() -> None:
    command = OpenIncident(incident_id=ID, wish=IncidentWish(title="Slow"), rule_id=BOB)
    opened, changed = given(incident.decider).when(command, change(status="resolved")).events
    assert isinstance(opened, IncidentOpened) and opened.rule_id == BOB
    assert isinstance(changed, IncidentChanged) and changed.rule_id == BOB
