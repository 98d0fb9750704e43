"""Schedulers killed between sending a message and telling the log so, and at random moments."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import structlog

from errata.alerting.sending import Sender
from errata.scheduler import run_scheduler
from tests.errata.alert_tools import configured, events, queued, settings_of, webhook_to
from tests.faults.load import store_thread
from tests.faults.rounds import dice, rounds
from tests.faults.workers import PROCESSES
from tests.infra.receivers import http_receiver
from tests.reports import SOMEBODY
from tests.waiting import PATIENCE, eventually


@contextmanager
def scheduling(
    database_url: str, redis_url: str, folder: Path, *, dies: bool = False
) -> Iterator[BaseProcess]:
    """A scheduler in a process of its own; one that `dies` does so, by kill -9, when a receiver has
    taken a message and the log does not know yet."""
    arguments = (database_url, redis_url, folder, dies)
    process = PROCESSES.Process(target=_schedule, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _schedule(database_url: str, redis_url: str, folder: Path, dies: bool) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if dies:
        assert hasattr(Sender, "_record")
        Sender._record = _die  # type: ignore[method-assign]
    run_scheduler(settings_of(database_url, folder, redis_url=redis_url), threading.Event())


async def _die(sender: Sender, fate: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sent(database_url: str, count: int) -> list[str]:
    """The ids that the log says were sent, once there are so many."""
    known, deadline = 0, monotonic() + PATIENCE
    while True:
        found = events(database_url, "NotificationSent")
        if len(found) >= count:
            return [str(one.notification_id) for one in found]
        if len(found) > known:
            known, deadline = len(found), monotonic() + PATIENCE
        assert monotonic() < deadline, f"{len(found)} of {count} sent"
        sleep(0.05)


def test_a_scheduler_killed_between_send_and_record_loses_no_message(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """What it had sent comes again, under the same key; each is recorded as sent once."""
    deaths = rounds(50, 3)
    with http_receiver() as hook, store_thread(database_url) as writer:
        writer.run(writer.store.execute(configured("webhook", webhook_to(hook)), SOMEBODY))
        for _ in range(deaths):
            writer.run(writer.store.execute(queued("webhook"), SOMEBODY))
            with scheduling(database_url, redis_url, tmp_path, dies=True) as doomed:
                doomed.join(PATIENCE)
                assert doomed.exitcode == -signal.SIGKILL
        with scheduling(database_url, redis_url, tmp_path):
            recorded = sent(database_url, deaths)
        keys = Counter(one.headers["Idempotency-Key"] for one in hook.received)
    wanted = [str(one.notification_id) for one in events(database_url, "NotificationQueued")]
    assert sorted(recorded) == sorted(wanted) == sorted(keys)
    assert keys.total() >= 2 * deaths


def test_schedulers_killed_while_they_sum_up_tell_each_alert_under_one_key(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """One rule's messages come in bursts, and whoever sends them dies, after a receiver has taken
    one or at a random moment. In the end each is told, in the order of the log."""
    seed, deaths, rule_id = dice("kill a scheduler that sums up"), rounds(50, 3), uuid4()
    with http_receiver() as hook, store_thread(database_url) as writer:
        writer.run(writer.store.execute(configured("webhook", webhook_to(hook)), SOMEBODY))
        for number in range(deaths):
            burst = [queued("webhook", rule_id=rule_id) for _ in range(seed.randint(1, 5))]
            writer.run(writer.store.execute_all(burst, SOMEBODY))
            with scheduling(database_url, redis_url, tmp_path, dies=number % 2 == 0) as doomed:
                doomed.join(PATIENCE if number % 2 == 0 else seed.uniform(0.5, 2.0))
        with scheduling(database_url, redis_url, tmp_path):
            assert eventually(lambda: not _on_their_way(database_url))
    each = [one for one in events(database_url, "NotificationQueued") if not one.sums_up]
    bodies = {one.headers["Idempotency-Key"]: one.body for one in hook.received}
    told = [alert["event_id"] for body in bodies.values() for alert in json.loads(body)["alerts"]]
    assert told == [str(one.alerts[0].event_id) for one in each]
    assert len({one.body for one in hook.received}) == len(bodies)


def _on_their_way(database_url: str) -> set[UUID]:
    """The messages that have met no fate yet."""
    waiting = {one.notification_id for one in events(database_url, "NotificationQueued")}
    for one in events(database_url, "NotificationQueued"):
        waiting.difference_update(one.sums_up)
    return waiting - {one.notification_id for one in events(database_url, "NotificationSent")}


def test_a_scheduler_killed_at_a_random_moment_loses_no_message(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    seed, count = dice("kill a scheduler"), rounds(50, 3)
    with http_receiver() as hook, store_thread(database_url) as writer:
        writer.run(writer.store.execute(configured("webhook", webhook_to(hook)), SOMEBODY))
        for _ in range(count):
            with scheduling(database_url, redis_url, tmp_path):
                writer.run(writer.store.execute(queued("webhook"), SOMEBODY))
                sleep(seed.uniform(0.2, 1.5))
        with scheduling(database_url, redis_url, tmp_path):
            recorded = sent(database_url, count)
        keys = {one.headers["Idempotency-Key"] for one in hook.received}
    assert len(recorded) == len(set(recorded)) == count
    assert set(recorded) == keys
