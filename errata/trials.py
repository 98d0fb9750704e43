"""Rules tried on the past: why a rule says what it says, and what one would have done.

The log is gone through by the very engine that decides live, in a thread, page by page; what it
answers is shown and never executed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec
import psycopg
import structlog

from api.trial_ports import Explained, Outcome, Preview
from domain.alert import AlertRecovered, AlertTriggered, RecoverAlert, TriggerAlert, alert_id
from domain.alert import decider as alert_decider
from domain.alert_rule import (
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    AlertRuleSilenced,
)
from domain.condition import parse_window
from domain.decider import fold
from domain.delivery import QueueNotification
from domain.failures import Invalid, NotFound, Unavailable
from domain.incident import ChangeIncident, OpenIncident
from domain.message import Event, Recorded, derived_id
from domain.rule_settings import RuleSettings, RuleWish, condition_of, merged, settled
from domain.service import ServiceRecovered, ServiceUnwatched, ServiceWentDown
from domain.vocabulary import ANY_APP
from infra.clock import utc_now
from infra.event_store.archive import Archive, ArchiveDamaged
from infra.event_store.codec import UnknownEvent
from infra.event_store.past import PastLog
from infra.event_store.reader import HoleInLog
from infra.settings import Settings
from projections.alerting.acting import Action
from projections.alerting.explain import Explanation, Inspection, longest_memory
from projections.alerting.replay import GivenRule, Replay
from projections.alerting.rules import keeps_its_windows

log = structlog.get_logger("errata.trials")

AT_ONCE = 2
"""So many trials run at a time in one process."""

MOST_EVENTS = 1_000_000
"""A period may hold so many; an explanation looks back no further."""

LONGEST = timedelta(days=30)
USUAL = timedelta(hours=24)
BUCKETS = 120
NEAREST = 20

_SERVICES = (ServiceWentDown.__name__, ServiceRecovered.__name__, ServiceUnwatched.__name__)
_TRIAL = derived_id("alert", "preview")

T = TypeVar("T")


class _Takes(Protocol):
    def take(self, events: Any, /) -> None: ...


class _Ruling(NamedTuple):
    """What a rule said at a moment, and since when: the time, and the event that brought it."""

    settings: RuleSettings
    version: int
    since: datetime
    after: int
    silenced_until: datetime | None


class Trials:
    """See api.trial_ports. `stop` when the process ends."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._url = settings.database_url_or_fail()
        self._archive = Archive(settings.archive)
        self._clock = clock
        self._running = 0
        self._stopping = threading.Event()

    async def stop(self) -> None:
        """Give up what is running."""
        self._stopping.set()

    async def explain(
        self, rule_id: UUID, at: int | datetime | None, error_id: UUID | None, seen_by: str
    ) -> Explained:
        """See api.trial_ports."""
        return await self._run(lambda past: self.explain_in(past, rule_id, at, error_id, seen_by))

    async def preview(
        self,
        wish: RuleWish,
        rule_id: UUID | None,
        since: datetime | None,
        until: datetime | None,
        seen_by: str,
    ) -> Preview:
        """See api.trial_ports."""
        return await self._run(
            lambda past: self.preview_in(past, wish, rule_id, since, until, seen_by)
        )

    async def _run(self, work: Callable[[PastLog], T]) -> T:
        if self._running >= AT_ONCE:
            reason = f"{AT_ONCE} rules are being tried on the past already"
            raise Unavailable("projections", reason, retry_after=2)
        self._running += 1
        try:
            return await asyncio.to_thread(self.blocking, work)
        finally:
            self._running -= 1

    def blocking(self, work: Callable[[PastLog], T]) -> T:
        """Work on the log, where there is no event loop. Raises Unavailable."""
        try:
            with PastLog(self._url, self._archive) as past:
                return work(past)
        except psycopg.OperationalError as error:
            raise Unavailable("postgres", "the event store cannot be reached") from error
        except (HoleInLog, ArchiveDamaged, UnknownEvent) as error:
            log.error("the past cannot be read", reason=str(error))
            raise Unavailable("projections", str(error)) from error

    # -- explain -----------------------------------------------------------------------------------

    def explain_in(
        self,
        past: PastLog,
        rule_id: UUID,
        at: int | datetime | None,
        error_id: UUID | None,
        seen_by: str = ANY_APP,
    ) -> Explained:
        """See api.trial_ports."""
        position, moment = self._moment(past, at)
        ruling = _ruling(past, rule_id, position, seen_by)
        per_error = condition_of(ruling.settings).per_error
        if error_id is not None and not per_error:
            raise Invalid("error_id", "is for rules that look at each error")
        memory = timedelta(seconds=2 * longest_memory(ruling.settings))
        start = max(ruling.after, past.position_at(moment - memory), position - MOST_EVENTS)
        rule = GivenRule(
            rule_id=rule_id,
            settings=ruling.settings,
            version=ruling.version,
            silenced_until=ruling.silenced_until,
        )
        inspection = Inspection(rule, ruling.since, moment, ruling.after)
        self._feed(inspection, past, start, position, ruling.settings)
        inspection.finish()
        whole = not per_error or error_id is not None
        found = inspection.explanation(error_id) if whole else None
        return Explained(
            rule_id=rule_id,
            settings=ruling.settings,
            version=ruling.version,
            position=position,
            at=moment,
            looked_at_from=start,
            explanation=found and _as_recorded(found, past, ruling, position),
            errors=() if whole else inspection.errors(NEAREST),
        )

    def _moment(self, past: PastLog, at: int | datetime | None) -> tuple[int, datetime]:
        head, now = past.head(), self._clock()
        if at is None:
            return head, now
        if isinstance(at, datetime):
            if at > now:
                raise Invalid("at", "lies in the future")
            return past.position_at(at), at
        if not 1 <= at <= head:
            raise Invalid("at", f"must be a position of the log, which ends at {head}")
        return at, past.recorded_at(at)

    # -- preview -----------------------------------------------------------------------------------

    def preview_in(
        self,
        past: PastLog,
        wish: RuleWish,
        rule_id: UUID | None,
        since: datetime | None,
        until: datetime | None,
        seen_by: str = ANY_APP,
    ) -> Preview:
        """See api.trial_ports."""
        now = self._clock()
        until = now if until is None else min(until, now)
        since = until - USUAL if since is None else since
        _check_period(since, until)
        stored = None
        if rule_id is not None:
            stored = _ruling(past, rule_id, past.head(), seen_by).settings
            wish = merged(wish, stored)
        rules = [GivenRule(rule_id=_TRIAL, settings=_switched_on(settled(wish)))]
        if rule_id is not None and stored is not None:
            rules.append(GivenRule(rule_id=rule_id, settings=_switched_on(stored)))
        start = past.position_at(since - timedelta.resolution)
        end = past.position_at(until)
        if end - start > MOST_EVENTS:
            held = f"{end - start:,} events; at most {MOST_EVENTS:,} are gone through"
            raise Invalid("since", f"begins a period that holds {held}")
        every = timedelta(seconds=max(1, ceil((until - since).total_seconds() / BUCKETS)))
        replay = Replay(rules, since, until, every=every)
        self._feed(replay, past, start, end, *(rule.settings for rule in rules))
        replayed = replay.finish()
        outcomes = [
            Outcome(
                settings=rule.settings,
                steps=_steps_of(rule.rule_id, replayed.actions),
                series=replayed.series[rule.rule_id],
            )
            for rule in rules
        ]
        return Preview(
            since=since,
            until=until,
            first=start + 1,
            last=end,
            wished=outcomes[0],
            stored=outcomes[1] if len(outcomes) > 1 else None,
        )

    def _feed(
        self, taker: _Takes, past: PastLog, after: int, until: int, *settings: RuleSettings
    ) -> None:
        """Give it the log from a position on; before that, for rules that look at services, what
        was down by then."""
        if any(_looks_at_services(one) for one in settings):
            taker.take(past.named(0, after, _SERVICES))
        for events in past.pages(after, until):
            if self._stopping.is_set():
                raise Unavailable("projections", "the server is stopping")
            taker.take(events)


def _check_period(since: datetime, until: datetime) -> None:
    if since >= until:
        raise Invalid("since", "must lie before until, and in the past")
    if until - since > LONGEST:
        raise Invalid("since", f"must lie at most {LONGEST.days} days before until")


def _ruling(past: PastLog, rule_id: UUID, position: int, seen_by: str) -> _Ruling:
    """What a rule said at a position. Raises NotFound."""
    found: _Ruling | None = None
    for recorded in past.stream(rule_id, position):
        found = _next_ruling(found, recorded)
    if found is None or seen_by not in (ANY_APP, found.settings.app):
        raise NotFound("no such alert rule")
    return found


def _next_ruling(ruling: _Ruling | None, recorded: Recorded[Event]) -> _Ruling | None:
    event = recorded.event
    match event:
        case AlertRuleCreated():
            return _Ruling(event.settings, 1, recorded.recorded_at, recorded.position, None)
        case AlertRuleChanged() if ruling is not None:
            changed = ruling._replace(settings=event.settings, version=event.version)
            if keeps_its_windows(event.before, event.settings):
                return changed
            return changed._replace(since=recorded.recorded_at, after=recorded.position)
        case AlertRuleSilenced() if ruling is not None:
            return ruling._replace(silenced_until=event.until)
        case AlertRuleDeleted():
            return None
    return ruling


def _as_recorded(found: Explanation, past: PastLog, ruling: _Ruling, position: int) -> Explanation:
    """An explanation with what was really triggered: the log knows, however long ago it was. It
    was recorded somewhat later than it was due, so what counts is the alerts' own instants."""
    stream = past.stream(alert_id(found.rule_id, found.error_id), past.head())
    alert = fold(alert_decider, [one for one in stream if _was_due(one, found.at, position)])
    last = None if alert.facts is None else alert.facts.at
    cooldown = parse_window(ruling.settings.cooldown or ruling.settings.time_window).seconds
    cools = last is not None and last >= ruling.since
    return msgspec.structs.replace(
        found,
        firing_since=alert.triggered_at,
        last_triggered=last,
        triggers=alert.triggers,
        cooldown_until=last + timedelta(seconds=cooldown) if last and cools else None,
        false_since=found.false_since if alert.firing else None,
        recovers_at=found.recovers_at if alert.firing else None,
    )


def _was_due(recorded: Recorded[Event], at: datetime, position: int) -> bool:
    event = recorded.event
    match event:
        case AlertTriggered(facts=facts):
            # Of events recorded at one instant, those behind the position count for nothing.
            return facts.at <= at and facts.last_position <= position
        case AlertRecovered():
            return event.at <= at
    raise TypeError(f"an alert does not hold {type(event).__name__}")


def _looks_at_services(settings: RuleSettings) -> bool:
    comparisons = condition_of(settings).comparisons
    return any(comparison.metric == "service_down" for comparison in comparisons)


def _switched_on(settings: RuleSettings) -> RuleSettings:
    return msgspec.structs.replace(settings, enabled=True)


def _steps_of(rule_id: UUID, actions: Sequence[Action]) -> list[Action]:
    """Those of one rule. Incidents are known by the trigger that opened them."""
    steps: list[Action] = []
    incidents: set[UUID] = set()
    for action in actions:
        command = action.command
        match command:
            case TriggerAlert():
                ours = command.alert.rule_id == rule_id
                if ours and command.alert.incident_id is not None:
                    incidents.add(command.alert.incident_id)
            case RecoverAlert() | QueueNotification():
                ours = command.rule_id == rule_id
            case OpenIncident() | ChangeIncident():
                ours = command.incident_id in incidents
            case _:
                raise TypeError(f"a rule does not {type(command).__name__}")
        if ours:
            steps.append(action)
    return steps
