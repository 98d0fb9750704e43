"""Logs for tests of alerting: commands decided by the real deciders, at times of the test's own."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.alert_rule import ChangeAlertRule, CreateAlertRule, DeleteAlertRule, SilenceAlertRule
from domain.catalog import DECIDERS, NAMES
from domain.error_group import MuteError, ReportError, ResolveError, group_id
from domain.message import Command, Context, Recorded, derived_id
from domain.occurrence import GroupingRecord, Occurrence
from domain.rule_settings import RuleWish
from domain.service import NoteServiceDown, NoteServiceUp

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOMEBODY = Context("key:test", "request", "command")


class Log:
    """A log in memory with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = START
        self.events: list[Recorded[Any]] = []
        self._states: dict[UUID, Any] = {}
        self._versions: defaultdict[UUID, int] = defaultdict(int)

    def __repr__(self) -> str:
        lines = [f"{(one.recorded_at - START).total_seconds()} {one.event}" for one in self.events]
        return "\n".join(["a log of", *lines])

    def after(self, seconds: float) -> Log:
        """Time passes."""
        self.now += timedelta(seconds=seconds)
        return self

    def execute(self, command: Command) -> None:
        """Decide a command and record what follows, now."""
        decider = DECIDERS[type(command)]
        stream = command.stream_id
        state = self._states.get(stream, decider.initial)
        for event in decider.decide(state, command):
            self._versions[stream] += 1
            recorded = Recorded(
                position=len(self.events) + 1,
                stream_id=stream,
                stream_version=self._versions[stream],
                name=NAMES[type(event)],
                event_id=derived_id("test", str(len(self.events))),
                recorded_at=self.now,
                context=SOMEBODY,
                event=event,
            )
            self.events.append(recorded)
            state = decider.evolve(state, recorded)
        self._states[stream] = state

    def create(self, condition: str, name: str = "rule", **wish: Any) -> UUID:
        """A new rule; its id."""
        rule_id = rule_named(name)
        wish = {"name": name, "condition": condition, **wish}
        self.execute(CreateAlertRule(rule_id=rule_id, wish=RuleWish(**wish)))
        return rule_id

    def change(self, name: str = "rule", new_name: str | None = None, **wish: Any) -> None:
        """A rule says something else."""
        if new_name is not None:
            wish["name"] = new_name
        self.execute(ChangeAlertRule(rule_id=rule_named(name), wish=RuleWish(**wish)))

    def delete(self, name: str = "rule") -> None:
        """A rule goes."""
        self.execute(DeleteAlertRule(rule_id=rule_named(name)))

    def silence(self, seconds: float | None, name: str = "rule") -> None:
        """A rule is silent for so long from now on, or no more."""
        until = None if seconds is None else self.now + timedelta(seconds=seconds)
        self.execute(SilenceAlertRule(rule_id=rule_named(name), until=until, now=self.now))

    def report(self, name: str = "a", times: int = 1, app: str = "default", **more: Any) -> None:
        """Occurrences of the error called `name`, all at once."""
        fields: dict[str, Any] = {"level": "error", "source": "web", "environment": "production"}
        fields |= {"message": f"message of {name}", "timestamp": self.now} | more
        grouping = GroupingRecord(version=1, parts=(name,), reasons=("test",))
        occurrence = Occurrence(**fields)
        report = ReportError(
            app=app, fingerprint=name, grouping=grouping, occurrence=occurrence, now=self.now
        )
        for _ in range(times):
            self.execute(report)

    def resolve(self, name: str = "a", app: str = "default") -> None:
        """An error is resolved."""
        self.execute(ResolveError(error_id=group_id(app, name)))

    def mute(
        self,
        name: str = "a",
        app: str = "default",
        count: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """An error is muted, for so many occurrences or so long from now on."""
        until = None if seconds is None else self.now + timedelta(seconds=seconds)
        error_id = group_id(app, name)
        self.execute(MuteError(error_id=error_id, now=self.now, count=count, until=until))

    def service(self, name: str, up: bool) -> None:
        """A service answers, or does not."""
        if up:
            self.execute(NoteServiceUp(service=name, at=self.now))
        else:
            self.execute(NoteServiceDown(service=name, at=self.now, reason="gone"))


def rule_named(name: str) -> UUID:
    """The id of a rule of a test."""
    return derived_id("test", "rule", name)


def at(seconds: float) -> datetime:
    """So long after the start."""
    return START + timedelta(seconds=seconds)
