"""Group commit, and whom a failure belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from domain.api_key import RevokeApiKey
from domain.app import RegisterApp
from domain.error_group import ResolveError, group_id
from domain.failures import NotFound, Unavailable
from infra.clock import utc_now
from infra.event_store import committer
from infra.event_store.store import EventStore
from tests.reports import SOMEBODY, check_log, report


@asynccontextmanager
async def started(database_url: str, **options: Any) -> AsyncIterator[EventStore]:
    arguments: dict[str, Any] = {"clock": utc_now, "partition_events": 1_000_000} | options
    store = EventStore(database_url, **arguments)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def test_what_waits_is_committed_together(database_url: str) -> None:
    commits: list[int] = []
    async with started(database_url, observe=lambda events, _: commits.append(events)) as store:
        commands = [report(f"error {number % 7}") for number in range(500)]
        done = await asyncio.gather(*(store.execute(one, SOMEBODY) for one in commands))
    assert sum(commits) == 500
    assert len(commits) <= 3
    assert sorted(one.position for one in done) == list(range(1, 501))


async def test_what_comes_while_another_has_the_lock_is_committed_together(
    database_url: str,
) -> None:
    commits: list[int] = []
    async with (
        started(database_url, batch_limit=10, observe=lambda n, _: commits.append(n)) as store,
        await psycopg.AsyncConnection.connect(database_url) as other,
    ):
        await other.execute("SELECT position FROM log_head FOR UPDATE")
        first = asyncio.create_task(store.execute(report(), SOMEBODY))
        await asyncio.sleep(0.1)  # it waits for the lock
        more = [asyncio.create_task(store.execute(report(), SOMEBODY)) for _ in range(12)]
        await asyncio.sleep(0)
        await other.rollback()
        await asyncio.gather(first, *more)
    assert commits == [10, 3]


async def test_a_transaction_takes_no_more_than_the_batch_limit(database_url: str) -> None:
    commits: list[int] = []
    async with started(
        database_url, batch_limit=10, observe=lambda events, _: commits.append(events)
    ) as store:
        await asyncio.gather(*(store.execute(report(), SOMEBODY) for _ in range(95)))
    assert max(commits) == 10


async def test_batches_count_by_their_commands_and_are_never_split(database_url: str) -> None:
    commits: list[int] = []
    async with started(
        database_url, batch_limit=10, observe=lambda events, _: commits.append(events)
    ) as store:
        sizes = (4, 4, 4, 25, 1, 9, 1)
        units = [[report() for _ in range(size)] for size in sizes]
        await asyncio.gather(*(store.execute_all(unit, SOMEBODY) for unit in units))
    assert commits == [8, 4, 25, 10, 1]


async def test_batches_that_wait_are_bounded_by_their_commands(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "MOST_WAITING", 10)
    async with started(database_url) as store:
        waiting = [store.execute_all([report()] * 6, SOMEBODY) for _ in range(3)]
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(one, Unavailable) for one in done] == [False, False, True]
        assert len(await store.execute_all([report()] * 6, SOMEBODY)) == 6


async def test_a_refused_command_fails_its_own_caller_only(store: EventStore) -> None:
    unknown = ResolveError(error_id=group_id("default", "nobody"))
    commands = [report("a"), unknown, report("b")]
    done = await asyncio.gather(
        *(store.execute(one, SOMEBODY) for one in commands), return_exceptions=True
    )
    assert isinstance(done[1], NotFound)
    assert await store.head() == 2


async def test_a_unit_is_all_or_nothing(store: EventStore) -> None:
    unknown = ResolveError(error_id=group_id("default", "nobody"))
    with pytest.raises(NotFound):
        await store.execute_all([report("a"), report("a"), unknown], SOMEBODY)
    assert await store.head() == 0
    assert (await store.execute(report("a"), SOMEBODY)).state.count == 1


async def test_a_unit_of_nothing_does_nothing(store: EventStore) -> None:
    assert await store.execute_all([], SOMEBODY) == []


async def test_the_same_id_twice_in_one_batch_is_stored_once(store: EventStore) -> None:
    command = report("a", event_id=uuid4())
    first, second = await asyncio.gather(
        store.execute(command, SOMEBODY), store.execute(command, SOMEBODY)
    )
    assert (first.known, second.known) == (None, command.stream_id)
    assert second.events == ()
    assert await store.head() == 1


async def test_a_known_id_is_answered_with_the_stream_that_holds_it(
    store: EventStore, database_url: str
) -> None:
    chosen = uuid4()
    await store.execute(report("a", event_id=chosen), SOMEBODY)
    async with started(database_url) as other:
        again = await other.execute(report("b", event_id=chosen), SOMEBODY)
    assert again.known == group_id("default", "a")
    assert len(check_log(database_url)) == 1


async def test_two_processes_at_once_store_an_id_once(database_url: str) -> None:
    ids = [uuid4() for _ in range(50)]
    async with started(database_url) as one, started(database_url) as other:
        done = await asyncio.gather(
            *(
                store.execute(report(f"error {number % 5}", event_id=chosen), SOMEBODY)
                for store in (one, other)
                for number, chosen in enumerate(ids)
            )
        )
    assert sum(len(committed.events) for committed in done) == 50
    assert {row[4] for row in check_log(database_url)} == set(ids)


async def test_a_full_queue_says_so(database_url: str) -> None:
    async with started(database_url, queue_limit=5) as store:
        done = await asyncio.gather(
            *(store.execute(report(), SOMEBODY) for _ in range(8)), return_exceptions=True
        )
        refused = [one for one in done if isinstance(one, Unavailable)]
        assert [one.part for one in refused] == ["queue"] * 3
        assert await store.head() == 5


async def test_what_waits_is_stored_before_the_end(database_url: str) -> None:
    store = EventStore(database_url, clock=utc_now, partition_events=1_000_000)
    await store.start()
    waiting = [asyncio.ensure_future(store.execute(report(), SOMEBODY)) for _ in range(20)]
    await asyncio.sleep(0)
    await store.stop()
    assert [(await one).position for one in waiting] == list(range(1, 21))
    with pytest.raises(Unavailable, match="stopping"):
        await store.execute(report(), SOMEBODY)


async def test_what_the_server_refuses_fails_alone(store: EventStore, database_url: str) -> None:
    """One poisonous event does not take those with it that happened to be in its batch."""
    poison = group_id("default", "poison")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            f"ALTER TABLE streams ADD CONSTRAINT fine CHECK (stream_id <> '{poison}')"
        )
        connection.execute("ALTER TABLE streams RENAME CONSTRAINT fine TO poison")
    names = ["a", "poison", "b"]
    done = await asyncio.gather(
        *(store.execute(report(name), SOMEBODY) for name in names), return_exceptions=True
    )
    assert isinstance(done[1], Unavailable)
    assert [row[1] for row in check_log(database_url)] == [
        group_id("default", "a"),
        group_id("default", "b"),
    ]


@pytest.mark.parametrize(
    "make", [lambda one: ResolveError(error_id=one), lambda one: RevokeApiKey(key_id=one)]
)
async def test_an_id_of_another_kind_is_not_found(
    store: EventStore, make: Callable[[UUID], Any]
) -> None:
    app = RegisterApp(app="mine", app_name="Mine")
    await store.execute(app, SOMEBODY)
    with pytest.raises(NotFound):
        await store.execute(make(app.stream_id), SOMEBODY)


async def test_no_room_in_the_log_is_made_on_the_fly(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT log_close_partition(3)")
        for (name,) in connection.execute("SELECT name FROM log_partitions").fetchall():
            connection.execute(f"DROP TABLE {name}")
        connection.execute("DELETE FROM log_partitions")
    async with started(database_url, partition_events=4) as store:
        for number in range(30):
            assert (await store.execute(report(), SOMEBODY)).position == number + 1
    assert len(check_log(database_url)) == 30


async def test_recorded_time_never_goes_back(database_url: str) -> None:
    hours = iter([10, 9, 11, 1, 12])

    def clock() -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=next(hours))

    async with started(database_url, clock=clock) as store:
        times = [
            (await store.execute(report(), SOMEBODY)).events[0].recorded_at.hour for _ in range(5)
        ]
    assert times == [10, 10, 11, 11, 12]
