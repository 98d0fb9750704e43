"""Deciding a batch, and states whose schema has changed."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4, uuid5

import psycopg
from eventsourcing.persistence import StoredEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg_pool import ConnectionPool

from domain.error_group import DeleteError, ErrorGroup, ReopenError, ResolveError, group_id
from domain.failures import DomainError
from domain.message import ERRATA, Command
from infra.clock import utc_now
from infra.event_store.batch import Batch, Unit
from infra.event_store.recorder import LogRecorder
from infra.event_store.store import EventStore
from tests.reports import NOON, SOMEBODY, check_log, report

NAMES = st.sampled_from(["a", "b"])
IDS = st.one_of(st.none(), st.sampled_from([uuid5(ERRATA, str(number)) for number in range(5)]))
COMMANDS = st.one_of(
    st.builds(lambda name, chosen: report(name, event_id=chosen), NAMES, IDS),
    *(
        st.builds(
            lambda name, chosen, kind=kind: kind(
                error_id=group_id("default", name), event_id=chosen
            ),
            NAMES,
            IDS,
        )
        for kind in (ResolveError, ReopenError, DeleteError)
    ),
)
UNITS = st.lists(st.lists(COMMANDS, max_size=4), max_size=12)


def batch() -> Batch:
    return Batch(position=0, recorded_at=NOON, streams={}, known={})


def decide(one: Batch, commands: list[Command]) -> Unit:
    unit = Unit(commands, SOMEBODY, asyncio.new_event_loop().create_future())
    unit.waiter.get_loop().close()
    one.decide([unit])
    return unit


@settings(max_examples=300, deadline=None)
@given(UNITS)
def test_a_unit_that_fails_leaves_no_trace_in_its_batch(units: list[list[Command]]) -> None:
    """The model: a batch that was never told of the units that fail."""
    mixed, clean = batch(), batch()
    for commands in units:
        outcome = decide(mixed, commands).outcome
        if isinstance(outcome, Exception):
            assert isinstance(outcome, DomainError)
            continue
        expected = decide(clean, commands).outcome
        assert not isinstance(expected, Exception)
        assert [one.known for one in outcome] == [one.known for one in expected]
        assert [one.position for one in outcome] == [one.position for one in expected]
    assert mixed.changed == clean.changed
    assert [one.event for one in mixed.events] == [one.event for one in clean.events]
    assert [one.position for one in mixed.events] == list(range(1, len(mixed.events) + 1))


async def test_a_state_of_another_schema_is_folded_again(
    store: EventStore, database_url: str
) -> None:
    for _ in range(3):
        await store.execute(report("a"), SOMEBODY)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE streams SET state = 'not a state', state_schema = 0")
    done = await store.execute(report("a"), SOMEBODY)
    assert isinstance(done.state, ErrorGroup)
    assert done.state.count == 4


async def test_a_stream_of_the_librarys_recorder_can_be_decided_on(
    store: EventStore, database_url: str
) -> None:
    """It has events but no state and no kind yet."""
    done = await store.execute(report("b"), SOMEBODY)
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT data FROM events").fetchone()
    assert row is not None
    with ConnectionPool[psycopg.Connection[Any]](database_url, open=True) as pool:
        stored = StoredEvent(group_id("default", "a"), 1, "ErrorReported", row[0])
        LogRecorder(database_url, pool, utc_now).insert_events([stored])
    again = await store.execute(report("a", event_id=uuid4()), SOMEBODY)
    assert again.state.count == done.state.count + 1
    assert len(check_log(database_url)) == 3


async def test_recorded_time_is_utc_wherever_the_server_stands(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET timezone = 'Asia/Kolkata'")
    store = EventStore(database_url, clock=lambda: NOON, partition_events=1_000_000)
    await store.start()
    first = await store.execute(report("a"), SOMEBODY)
    await store.execute(report("a"), SOMEBODY)
    (_, read) = await store.stream_back(first.events[0].stream_id, None, 10)
    await store.stop()
    assert read.recorded_at.isoformat() == "2026-01-01T12:00:00+00:00"
