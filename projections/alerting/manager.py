"""The process manager of alerts: events in, what has to be done out; no clock, no chance, no I/O.

Time is recorded time. Between two events the manager visits, in order, every instant at which
something changes by itself: an entry leaves a window, a window of falseness is whole, a cooldown
ends while the condition holds, a digest falls due, a silence ends. An instant comes before the
events recorded at it. So what is answered depends neither on how the log is cut into pages nor on
how often `advance` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

from domain.alert_rule import (
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    AlertRuleSilenced,
)
from domain.error_group import ErrorRegressed, ErrorReported, ErrorResolved
from domain.incident import IncidentChanged
from domain.message import Event, Recorded
from domain.rule_settings import RuleSettings
from domain.service import ServiceRecovered, ServiceUnwatched, ServiceWentDown
from projections.alerting.acting import Action
from projections.alerting.force import Force
from projections.alerting.instants import micros
from projections.alerting.matching import Happening
from projections.alerting.saving import decode, encode, restore, saved

NEEDS: frozenset[type[Event]] = frozenset(
    {
        ErrorReported,
        ErrorRegressed,
        ErrorResolved,
        ServiceWentDown,
        ServiceRecovered,
        ServiceUnwatched,
        AlertRuleCreated,
        AlertRuleChanged,
        AlertRuleDeleted,
        AlertRuleSilenced,
        IncidentChanged,
    }
)
"""The events that mean something here; others need not be decoded."""


class Alerting:
    """All rules, as the log up to `position` leaves them.

    `follows_rules`: rules come from the log; otherwise only by `enforce`. `told_apart` makes
    windows count further than their thresholds need.
    """

    version: ClassVar[int] = 2
    """Of the snapshot and the fold together: another one's snapshots mean nothing here."""

    def __init__(self, *, follows_rules: bool = True, told_apart: int | None = None) -> None:
        self.force = Force(told_apart)
        self.position = 0
        self.last_report: Happening | None = None
        self._now = 0
        self._handlers: dict[type[Event], Callable[[Recorded[Any]], None]] = {
            ErrorReported: self._reported,
            ErrorRegressed: self._regressed,
            ErrorResolved: self._resolved,
            ServiceWentDown: self._service_down,
            ServiceRecovered: self._service_back,
            ServiceUnwatched: self._service_back,
            IncidentChanged: self._incident_changed,
        }
        if follows_rules:
            self._handlers |= {
                AlertRuleCreated: self._rule_said,
                AlertRuleChanged: self._rule_said,
                AlertRuleDeleted: self._rule_deleted,
                AlertRuleSilenced: self._rule_silenced,
            }

    def fold(self, events: Sequence[Recorded[Any]]) -> list[Action]:
        """What follows from the next events of the log, and from the time that passes between
        them. Events that are not among `NEEDS` may be left out."""
        force = self.force
        for recorded in events:
            self._pass(micros(recorded.recorded_at))
            force.position = self.position = recorded.position
            handle = self._handlers.get(type(recorded.event))
            if handle is not None:
                handle(recorded)
        return force.answered()

    def advance(self, to: datetime) -> list[Action]:
        """What follows from time passing up to and including `to`, before which no more events
        may come."""
        self._pass(micros(to))
        return self.force.answered()

    def enforce(
        self, rule_id: UUID, number: int, version: int, settings: RuleSettings, at: datetime
    ) -> None:
        """Put a rule into force that the log does not know, or change it; `number`, from 1, is
        its own among the rules."""
        self._pass(micros(at))
        self.force.say(rule_id, number, version, settings, self._now)

    def snapshot(self) -> bytes:
        """All that it knows, for `restored`. What was answered last must have been executed."""
        return encode(saved(self.force, self._now, self.last_report))

    @classmethod
    def restored(cls, snapshot: bytes) -> Alerting:
        """The manager of a snapshot of this `version`.

        Raises msgspec.ValidationError or DecodeError for bytes that are none."""
        state = decode(snapshot)
        manager = cls()
        restore(manager.force, state)
        manager.position, manager._now = state.position, state.now
        manager.last_report = state.last_report
        return manager

    def _pass(self, now: int) -> None:
        # Recorded times never go back along the log; should a clock do so, time stands still.
        self._now = now = max(now, self._now)
        if self.force.calendar.next <= now:
            self.force.visit(now)

    def _reported(self, recorded: Recorded[ErrorReported]) -> None:
        event = recorded.event
        occurrence = event.occurrence
        happening = Happening(
            "new" if event.count == 1 else "reported",
            event.app,
            occurrence.level,
            occurrence.source,
            occurrence.environment,
            occurrence.code,
            event.fingerprint,
            recorded.stream_id,
            occurrence.message,
            occurrence.user_id,
        )
        self.last_report = happening
        self.force.counting.index.remember(happening)
        if not event.muted:
            self._count(happening)

    def _regressed(self, recorded: Recorded[ErrorRegressed]) -> None:
        # It follows its report directly, and says no more than this: what it was said before.
        event, report = recorded.event, self.last_report
        if event.muted:
            return
        if report is not None and report.group == recorded.stream_id:
            self._count(report._replace(kind="regressed"))
        else:
            self._count(_changed("regressed", recorded))

    def _resolved(self, recorded: Recorded[ErrorResolved]) -> None:
        self._count(_changed("resolved", recorded))

    def _count(self, happening: Happening) -> None:
        for evaluation in self.force.counting.count(happening, self._now, self.position):
            self.force.look(evaluation, self._now)

    def _service_down(self, recorded: Recorded[ServiceWentDown]) -> None:
        self.force.roster.went_down(recorded.event.service, self._now, recorded.position)
        self._services_changed()

    def _service_back(self, recorded: Recorded[ServiceRecovered | ServiceUnwatched]) -> None:
        self.force.roster.came_back(recorded.event.service, self._now, recorded.position)
        self._services_changed()

    def _services_changed(self) -> None:
        for evaluation in self.force.counting.services():
            self.force.look(evaluation, self._now)

    def _incident_changed(self, recorded: Recorded[IncidentChanged]) -> None:
        event = recorded.event
        if event.rule_id is not None and event.facts.status in ("resolved", "closed"):
            self.force.close_incident(event.rule_id, event.incident_id)

    def _rule_said(self, recorded: Recorded[AlertRuleCreated | AlertRuleChanged]) -> None:
        event = recorded.event
        version = event.version if isinstance(event, AlertRuleChanged) else 1
        self.force.say(event.rule_id, recorded.position, version, event.settings, self._now)

    def _rule_deleted(self, recorded: Recorded[AlertRuleDeleted]) -> None:
        self.force.delete(recorded.event.rule_id, self._now)

    def _rule_silenced(self, recorded: Recorded[AlertRuleSilenced]) -> None:
        event = recorded.event
        until = None if event.until is None else micros(event.until)
        self.force.silence(event.rule_id, until, self._now)


def _changed(
    kind: Literal["regressed", "resolved"], recorded: Recorded[ErrorRegressed | ErrorResolved]
) -> Happening:
    event = recorded.event
    level, source, environment = msgspec.structs.astuple(event.facets)
    return Happening(
        kind, event.app, level, source, environment, None, None, recorded.stream_id, None, None
    )
