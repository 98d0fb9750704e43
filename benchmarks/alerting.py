"""Evaluating alert rules: events a CPU second, by the number of rules; what state they leave."""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psutil

from benchmarks.result import Options, Result, Row, at_least
from domain.alert_rule import AlertRuleCreated
from domain.error_group import ErrorReported, group_id
from domain.message import Context, Event, Recorded, derived_id
from domain.occurrence import GroupingRecord, Occurrence
from domain.rule_settings import RuleWish, settled
from domain.vocabulary import Level
from projections.alerting import Alerting

GROUPS = 50_000
USERS = 20_000
PAGE = 2_000
EVENTS_A_SECOND = 3_000
START = datetime(2026, 3, 1, tzinfo=UTC)
CALLER = Context("key:benchmark", "request", "command")
APPS = ("default", "shop", "blog", "billing")
LEVELS: tuple[Level, ...] = ("error", "error", "error", "warning", "info")
SOURCES = ("web", "api", "worker", "mobile", "cron", "search")
ENVIRONMENTS = ("production", "production", "production", "staging")
GROUPING = GroupingRecord(1, ("message",), ("its message",))

PER_ERROR = (
    "error_count > 50 in 5m per error",
    "error_count > 200 in 1h per error",
    "error_count > 20 in 1m where environment = production per error",
    "critical_count >= 30 in 10m per error",
    "warning_count > 100 in 30m per error",
    "affected_users > 40 in 10m per error",
    "new_errors > 0 in 5m where level = error per error",
    "error_rate > 5 in 15m per error",
    "error_count > 10 in 1m where source in (web, mobile) per error",
    "error_count > 30 in 5m and affected_users > 10 in 5m per error",
)


class Measured(msgspec.Struct, frozen=True):
    """One run: CPU seconds of folding, actions answered, bytes of memory and of a snapshot, and
    CPU seconds of taking it."""

    events: int
    seconds: float
    actions: int
    memory: int
    snapshot: int
    snapshot_seconds: float

    @property
    def speed(self) -> float:
        """Events a CPU second."""
        return self.events / self.seconds


def run(options: Options) -> Result:
    """Fold the same reports with more and more rules in force."""
    events = 20_000 if options.quick else 200_000
    rows: list[Row] = []
    for number in (0, 10, 100, 500):
        rows.append(_row(f"{number} rules", measure(_various(number), events)))
    mixed = measure([*_various(490), *PER_ERROR], events)
    rows.append(_row(f"500 rules, 10 of them on each of {GROUPS:,} errors", mixed, goal=3_000))
    rows.append(_row("500 rules, each counts every event", measure(_on_everything(500), events)))
    mebi = 1 << 20
    rows += [
        Row("memory of the 500 with 10 on each error", mixed.memory / mebi, "MiB"),
        Row("their snapshot", mixed.snapshot / mebi, "MiB"),
        Row("taking their snapshot", mixed.snapshot_seconds, "CPU s"),
    ]
    title = (
        f"{events:,} reports of {GROUPS:,} errors by {USERS:,} users in memory, "
        f"{EVENTS_A_SECOND:,} a second, pages of {PAGE:,}"
    )
    return Result(title, rows)


def measure(conditions: list[str], events: int) -> Measured:
    """Fold reports under these rules, one thread, decoding apart."""
    manager = Alerting()
    process = psutil.Process(os.getpid())
    gc.collect()
    before = process.memory_info().rss
    manager.fold([_rule(number, text) for number, text in enumerate(conditions, start=1)])
    seconds, actions = 0.0, 0
    for page in _pages(events, first=len(conditions) + 1):
        begun = time.process_time()
        actions += len(manager.fold(page))
        seconds += time.process_time() - begun
    gc.collect()
    memory = process.memory_info().rss - before
    begun = time.process_time()
    snapshot = manager.snapshot()
    spent = time.process_time() - begun
    return Measured(events, seconds, actions, max(memory, 0), len(snapshot), spent)


def _row(what: str, measured: Measured, goal: float | None = None) -> Row:
    note = f"{measured.actions:,} actions"
    reach = None if goal is None else at_least(goal)
    return Row(what, measured.speed, "events/CPU s", goal=reach, note=note)


def _various(number: int) -> list[str]:
    """Rules as a large installation has them: most on one application, source or environment."""
    dice = random.Random(number)
    found = []
    for _ in range(number):
        metric = dice.choice(
            ("error_count", "critical_count", "affected_users", "error_rate", "new_errors")
        )
        where = dice.choice(
            (
                f"app = {dice.choice(APPS)}",
                f"source = {dice.choice(SOURCES)}",
                f"app = {dice.choice(APPS)} and environment = production",
                f"source in ({dice.choice(SOURCES)}, {dice.choice(SOURCES)}) and level = error",
                f'message contains "step_{dice.randrange(500)}"',
                f"fingerprint = {dice.randrange(GROUPS):032x}",
            )
        )
        limit, window = dice.choice((5, 50, 500, 5_000)), dice.choice(("1m", "5m", "15m", "1h"))
        found.append(f"{metric} > {limit} in {window} where {where}")
    return found


def _on_everything(number: int) -> list[str]:
    windows = ("1m", "5m", "15m", "1h", "1d")
    return [f"error_count > {100 * n} in {windows[n % 5]}" for n in range(1, number + 1)]


def _rule(position: int, condition: str) -> Recorded[Any]:
    wish = RuleWish(name=f"rule {position}", condition=condition, app="*", notifications=("email",))
    rule_id = derived_id("benchmark", str(position))
    event = AlertRuleCreated(rule_id=rule_id, settings=settled(wish))
    return _recorded(position, rule_id, event, START)


def _pages(events: int, first: int) -> Iterator[list[Recorded[Any]]]:
    dice = random.Random(1)
    counts = [0] * GROUPS
    for start in range(0, events, PAGE):
        yield [
            _report(dice, counts, first + number, number)
            for number in range(start, min(start + PAGE, events))
        ]


def _report(dice: random.Random, counts: list[int], position: int, number: int) -> Recorded[Any]:
    # Half of all reports are of a hundred errors, the other half of any.
    group = dice.randrange(100) if dice.random() < 0.5 else dice.randrange(GROUPS)
    counts[group] += 1
    app, fingerprint = APPS[group % len(APPS)], f"{group:032x}"
    now = START + timedelta(seconds=1 + number / EVENTS_A_SECOND)
    event = ErrorReported(
        app=app,
        fingerprint=fingerprint,
        count=counts[group],
        first_seen=START,
        last_seen=now,
        occurrence=Occurrence(
            message=f"Database connection step_{group % 500} failed after {number} ms",
            level=LEVELS[group % len(LEVELS)],
            source=SOURCES[group // 7 % len(SOURCES)],
            environment=ENVIRONMENTS[number % len(ENVIRONMENTS)],
            timestamp=now,
            user_id=f"user-{dice.randrange(USERS)}",
        ),
        grouping=GROUPING,
    )
    return _recorded(position, group_id(app, fingerprint), event, now)


def _recorded(position: int, stream: UUID, event: Event, now: datetime) -> Recorded[Any]:
    name = type(event).__name__
    return Recorded(position, stream, 1, name, UUID(int=position), now, CALLER, event)
