"""From reports to messages: the leading scheduler watches the log and acts on it, once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest

from domain.alert_rule import CreateAlertRule
from domain.incident import ChangeIncident, IncidentWish
from domain.message import Command
from domain.rule_settings import RuleWish
from errata.alerting import Surroundings
from errata.alerting.watch import Watch
from errata.condition import Condition, look
from infra.clock import utc_now
from infra.event_store.store import EventStore
from infra.process_managers import ProcessManagers, Pulse
from tests.conftest import PARTITION_EVENTS
from tests.errata.alert_tools import (
    alerting,
    configured,
    events,
    execute,
    settings_of,
    until,
    webhook_to,
)
from tests.infra.receivers import HttpReceiver, http_receiver
from tests.reports import SOMEBODY, report
from tests.waiting import PATIENCE

TRIGGERED, RECOVERED, SENT = "AlertTriggered", "AlertRecovered", "NotificationSent"


class Time:
    """The time of a test: the real one, and what the test has let pass."""

    def __init__(self) -> None:
        self.passed = timedelta(0)

    def now(self) -> datetime:
        return utc_now() + self.passed

    def pulse(self, memory: ProcessManagers) -> Pulse:
        found = memory.pulse()
        return msgspec.structs.replace(found, settled=found.settled + self.passed)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(clock=self.now, pulse=self.pulse)


@pytest.fixture
def time() -> Time:
    """The test's time."""
    return Time()


@pytest.fixture
async def store(database_url: str, time: Time) -> AsyncIterator[EventStore]:
    """An event store in the test's time."""
    event_store = EventStore(database_url, clock=time.now, partition_events=PARTITION_EVENTS)
    await event_store.start()
    yield event_store
    await event_store.stop()


def rule(**changes: Any) -> CreateAlertRule:
    """More than 5 occurrences within a minute."""
    wish = {
        "name": "Many errors",
        "condition": "error_count > threshold in time_window",
        "threshold": 5,
        "time_window": "1m",
        "notifications": ("webhook",),
    }
    return CreateAlertRule(rule_id=uuid4(), wish=RuleWish(**(wish | changes)))


def reports(count: int) -> list[Command]:
    return [report("a", event_id=uuid4()) for _ in range(count)]


def kinds(receiver: HttpReceiver) -> list[str]:
    return [str(msgspec.json.decode(one.body)["event"]) for one in receiver.received]


async def quiet(seconds: float = 1.5) -> None:
    """Time enough for what must not happen."""
    await asyncio.sleep(seconds)


async def test_a_rule_tells_once_within_its_cooldown_and_then_of_its_end(
    store: EventStore, database_url: str, tmp_path: Path, time: Time
) -> None:
    settings = settings_of(database_url, tmp_path)
    with http_receiver() as hook, alerting(settings, time.surroundings):
        await execute(store, configured("webhook", webhook_to(hook)), rule(), *reports(5))
        await quiet(0.5)
        assert (events(database_url, TRIGGERED), hook.received) == ([], [])
        sixth = monotonic()
        await execute(store, *reports(1))
        async with asyncio.timeout(PATIENCE):
            while not hook.received:
                await asyncio.sleep(0.01)
        assert monotonic() - sixth < 2.0
        await store.execute_all(reports(100), SOMEBODY)
        time.passed = timedelta(seconds=30)
        await quiet()
        assert kinds(hook) == ["triggered"]
        time.passed = timedelta(minutes=5)
        await until(database_url, 1, RECOVERED)
        await until(database_url, 3, SENT)
        await quiet(0.3)
    # It still held when the cooldown was over, which is worth a reminder.
    assert kinds(hook) == ["triggered", "triggered", "recovered"]
    first, reminder = (one.facts for one in events(database_url, TRIGGERED))
    assert (first.value, first.reminder, reminder.reminder) == (6, False, True)
    assert reminder.at - first.at == timedelta(minutes=1)


async def test_the_reminders_of_a_long_absence_are_two_messages(
    store: EventStore, database_url: str, tmp_path: Path, time: Time
) -> None:
    """The first as it is, the others summed up; the log holds each, at its own time."""
    settings = settings_of(database_url, tmp_path)
    with http_receiver() as hook:
        with alerting(settings, time.surroundings):
            await execute(store, configured("webhook", webhook_to(hook)))
            await execute(store, rule(time_window="1d", cooldown="1m"), *reports(6))
            await until(database_url, 1, SENT)
        time.passed = timedelta(hours=2)
        with alerting(settings, time.surroundings):
            await until(database_url, 3, SENT)
            await quiet(0.5)
    assert kinds(hook) == ["triggered", "triggered", "digest"]
    *each, summary = events(database_url, "NotificationQueued")
    assert summary.sums_up == tuple(one.notification_id for one in each[2:])
    assert summary.count == len(each) - 2 >= 110
    triggers = events(database_url, TRIGGERED)
    assert [one.at for one in each] == [one.facts.at for one in triggers]


async def test_an_incident_is_opened_and_resolved_with_its_alert(
    store: EventStore, database_url: str, tmp_path: Path, time: Time
) -> None:
    with alerting(settings_of(database_url, tmp_path), time.surroundings):
        await execute(store, rule(open_incident=True, severity="critical"), *reports(6))
        (opened,) = await until(database_url, 1, "IncidentOpened")
        time.passed = timedelta(minutes=5)
        (changed,) = await until(database_url, 1, "IncidentChanged")
    assert (opened.facts.severity, opened.app) == ("critical", "default")
    assert (changed.incident_id, changed.facts.status) == (opened.incident_id, "resolved")


async def test_an_incident_that_somebody_closed_stays_closed(
    store: EventStore, database_url: str, tmp_path: Path, time: Time
) -> None:
    with alerting(settings_of(database_url, tmp_path), time.surroundings):
        await execute(store, rule(open_incident=True), *reports(6))
        (opened,) = await until(database_url, 1, "IncidentOpened")
        closing = ChangeIncident(incident_id=opened.incident_id, wish=IncidentWish(status="closed"))
        await execute(store, closing)
        time.passed = timedelta(minutes=5)
        await until(database_url, 1, RECOVERED)
        # It goes on after the refusal: the next alert opens an incident of its own.
        await execute(store, *reports(6))
        _, second = await until(database_url, 2, "IncidentOpened")
    assert second.incident_id != opened.incident_id
    statuses = [one.facts.status for one in events(database_url, "IncidentChanged")]
    assert statuses == ["closed"]


async def test_what_happened_before_there_was_alerting_alarms_nobody(
    store: EventStore, database_url: str, tmp_path: Path, time: Time
) -> None:
    await execute(store, rule(), *reports(6))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE process_managers SET (acted_to, acted_until) ="
            " (SELECT position, clock_timestamp() FROM log_head)"
        )
    with alerting(settings_of(database_url, tmp_path), time.surroundings):
        await quiet()
    assert events(database_url, TRIGGERED, "NotificationQueued") == []


async def test_another_version_of_the_state_is_folded_again_without_acting_again(
    store: EventStore, database_url: str, tmp_path: Path, time: Time
) -> None:
    settings = settings_of(database_url, tmp_path)
    with http_receiver() as hook:
        with alerting(settings, time.surroundings):
            await execute(store, configured("webhook", webhook_to(hook)), rule(), *reports(6))
            await until(database_url, 1, SENT)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("UPDATE process_managers SET version = 0, state = ''")
        with alerting(settings, time.surroundings):
            await quiet()
            time.passed = timedelta(minutes=5)
            await until(database_url, 1, RECOVERED)
            await until(database_url, 2, SENT)
    assert kinds(hook) == ["triggered", "recovered"]
    assert len(events(database_url, TRIGGERED)) == 1


async def test_two_leaders_at_once_act_once(
    store: EventStore, database_url: str, tmp_path: Path, time: Time
) -> None:
    settings = settings_of(database_url, tmp_path)
    with http_receiver() as hook, ExitStack() as both:
        for _ in range(2):
            both.enter_context(alerting(settings, time.surroundings))
        await execute(store, configured("webhook", webhook_to(hook)))
        await execute(store, rule(open_incident=True), *reports(6))
        await until(database_url, 1, SENT)
        await quiet(0.5)
        assert len({one.headers["Idempotency-Key"] for one in hook.received}) == 1
    for name in (TRIGGERED, "IncidentOpened", "NotificationQueued", SENT):
        assert len(events(database_url, name)) == 1, name


async def test_alerting_goes_on_after_the_database_has_ended_its_sessions(
    store: EventStore, database_url: str, tmp_path: Path, time: Time
) -> None:
    await execute(store, rule())
    with alerting(settings_of(database_url, tmp_path), time.surroundings):
        await quiet(0.5)
        await asyncio.to_thread(end_sessions, database_url)
        for one in reports(6):
            await store.execute(one, SOMEBODY)
        await until(database_url, 1, TRIGGERED)


def end_sessions(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            "   AND application_name IN ('errata worker', 'errata committer')"
        )


def condition(database_url: str, redis_url: str, folder: Path) -> Condition:
    return look(settings_of(database_url, folder, redis_url=redis_url))


async def test_a_fault_is_told_and_does_not_end_alerting_for_ever(
    store: EventStore,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mended = threading.Event()
    turn = Watch.turn

    async def fails(watch: Watch) -> int:
        if not mended.is_set():
            raise ValueError("a bug")
        return await turn(watch)

    monkeypatch.setattr(Watch, "turn", fails)
    stood: list[tuple[int, int, int]] = []
    around = Surroundings(
        clock=time.now, pulse=time.pulse, observe=lambda *told: stood.append(told)
    )
    with alerting(settings_of(database_url, tmp_path), around):
        await execute(store, rule(), *reports(6))
        async with asyncio.timeout(PATIENCE):
            while (told := condition(database_url, redis_url, tmp_path).alerting) is None or (
                told.problem is None
            ):
                await asyncio.sleep(0.05)
        assert (told.problem, told.position) == ("ValueError: a bug", 0)
        mended.set()
        await until(database_url, 1, "NotificationFailed")
        await settled(store, stood)
    told = condition(database_url, redis_url, tmp_path).alerting
    assert told is not None
    assert told.problem is None
    assert (told.lag_events, told.notifications_waiting) == (0, 0)


async def settled(store: EventStore, stood: list[tuple[int, int, int]]) -> None:
    """Return when alerting has said that it stands at the head, with nothing left to send."""
    head = await store.head()
    async with asyncio.timeout(PATIENCE):
        while not stood or stood[-1] != (head, head, 0):
            await asyncio.sleep(0.05)


async def test_metrics_hear_where_alerting_stands_and_what_was_sent(
    store: EventStore, database_url: str, tmp_path: Path, time: Time
) -> None:
    stood: list[tuple[int, int, int]] = []
    sent: list[tuple[str, str]] = []
    around = Surroundings(
        clock=time.now,
        pulse=time.pulse,
        observe=lambda *told: stood.append(told),
        observe_sending=lambda *told: sent.append(told),
    )
    with http_receiver() as hook, alerting(settings_of(database_url, tmp_path), around):
        await execute(store, configured("webhook", webhook_to(hook)))
        await execute(store, rule(notifications=("webhook", "slack")), *reports(6))
        await until(database_url, 2, SENT, "NotificationFailed")
        await settled(store, stood)
    assert sorted(sent) == [("slack", "given up"), ("webhook", "sent")]
