"""Random logs about everything that read models in Redis know of."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hypothesis import strategies as st

from domain.alert_rule import ChangeAlertRule, CreateAlertRule, DeleteAlertRule
from domain.api_key import RevokePersonalKey
from domain.app import RegisterApp
from domain.error_group import DeleteError, ReopenError, ResolveError, group_id
from domain.failures import DomainError
from domain.incident import ChangeIncident, IncidentWish, OpenIncident
from domain.rule_settings import RuleWish
from domain.service import DATABASE, ERRATA, NoteServiceDown, NoteServiceUp, StopWatching
from tests.projections.helpers import START, Log, report
from tests.projections.test_settings_directory import (
    ACCEPT,
    CONFIGURE,
    INVITE,
    ISSUE,
    PROMOTE,
    PROMOTE_KEY,
    TEST,
)

if TYPE_CHECKING:
    from domain.message import Command, Recorded

IDS = (UUID(int=1), UUID(int=2))
RULE = RuleWish(name="many", condition="error_count > 5 in 5m", app="default")
SETTINGS: tuple[Command, ...] = (
    INVITE,
    ACCEPT,
    ISSUE,
    PROMOTE,
    PROMOTE_KEY,
    RevokePersonalKey(member_id=ISSUE.member_id or IDS[0]),
    CONFIGURE,
    TEST,
    RegisterApp(app="shop", app_name="Shop"),
)


@st.composite
def _errors(draw: st.DrawFn) -> Command:
    app, fingerprint = draw(st.sampled_from([("default", "a"), ("default", "b"), ("shop", "a")]))
    change = draw(st.sampled_from([None, None, None, ResolveError, ReopenError, DeleteError]))
    if change is not None:
        command: Command = change(error_id=group_id(app, fingerprint))
        return command
    return report(
        fingerprint,
        app=app,
        level=draw(st.sampled_from(["error", "warning"])),
        after=draw(st.sampled_from((-90_000, -1, 0, 3_600))),
        code=draw(st.sampled_from((None, "E1", "E2"))),
        user_id=draw(st.sampled_from((None, "u1", "u2"))),
    )


@st.composite
def _others(draw: st.DrawFn) -> Command:
    one, seconds = draw(st.sampled_from(IDS)), draw(st.integers(0, 500))
    at, service = START + timedelta(seconds=seconds), draw(st.sampled_from((ERRATA, DATABASE)))
    return draw(
        st.sampled_from(
            (
                CreateAlertRule(rule_id=one, wish=RULE),
                ChangeAlertRule(rule_id=one, wish=RuleWish(name="few"), seen_by="*"),
                DeleteAlertRule(rule_id=one, seen_by="*"),
                OpenIncident(
                    incident_id=one,
                    app="default",
                    wish=IncidentWish(title="Down", severity="high"),
                ),
                ChangeIncident(incident_id=one, wish=IncidentWish(status="resolved"), seen_by="*"),
                NoteServiceUp(service=service, at=at),
                NoteServiceDown(service=service, at=at, reason="gone"),
                StopWatching(service=service, at=at),
                *SETTINGS,
            )
        )
    )


@st.composite
def logs(draw: st.DrawFn, most: int = 25) -> list[Recorded[Any]]:
    """What the real deciders make of random commands."""
    log = Log()
    for command in draw(st.lists(st.one_of(_errors(), _others()), min_size=1, max_size=most)):
        with suppress(DomainError):
            log.execute(command)
    return log.events
