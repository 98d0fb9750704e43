"""The memory of alerting, and the time that it may act up to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import psycopg
import pytest

from infra.clock import utc_now
from infra.event_store.store import EventStore
from infra.process_managers import ProcessManagers
from tests.conftest import PARTITION_EVENTS
from tests.reports import SOMEBODY, report


@pytest.fixture
def memory(database_url: str) -> Iterator[ProcessManagers]:
    """Alerting's memory in a new database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield ProcessManagers(connection, "alerting")


def test_in_an_empty_log_there_is_nothing_to_be_silent_about(memory: ProcessManagers) -> None:
    first = memory.load()
    assert (first.version, first.position, first.acted_to) == (0, 0, 0)


def test_what_was_saved_is_loaded(memory: ProcessManagers) -> None:
    saved = msgspec.structs.replace(
        memory.load(), version=3, position=7, acted_to=7, acted_until=utc_now(), state=b"state"
    )
    memory.save(saved)
    assert memory.load() == saved


def test_who_is_behind_another_does_not_take_it_back(memory: ProcessManagers) -> None:
    first = memory.load()
    ahead = msgspec.structs.replace(first, version=1, position=9, acted_to=9)
    memory.save(ahead)
    memory.save(msgspec.structs.replace(first, version=1, position=5, acted_to=5))
    assert memory.load() == ahead


def test_a_problem_is_told_until_the_next_save(memory: ProcessManagers) -> None:
    memory.note("a fault")
    saved, problem = memory.look()
    assert problem == "a fault"
    memory.save(saved)
    assert memory.look()[1] is None


async def test_nothing_is_recorded_before_a_time_that_has_passed(
    memory: ProcessManagers, database_url: str
) -> None:
    """Writers whose clocks are up to a second behind the database's included."""
    late = EventStore(
        database_url,
        clock=lambda: utc_now() - timedelta(seconds=0.9),
        partition_events=PARTITION_EVENTS,
    )
    await late.start()
    try:
        for number in range(20):
            pulse = memory.pulse()
            committed = await late.execute(report(f"error {number}"), SOMEBODY)
            assert committed.events[0].recorded_at > pulse.settled
            assert committed.events[0].position == pulse.head + 1
    finally:
        await late.stop()


def test_a_pulse_waits_for_who_is_writing(memory: ProcessManagers, database_url: str) -> None:
    pulses = []
    with psycopg.connect(database_url) as writer:
        writer.execute("SELECT position FROM log_head FOR UPDATE")
        asking = threading.Thread(target=lambda: pulses.append(memory.pulse()), daemon=True)
        asking.start()
        asking.join(0.2)
        assert pulses == []
        writer.execute("UPDATE log_head SET position = 5")
    asking.join(5)
    assert [one.head for one in pulses] == [5]
