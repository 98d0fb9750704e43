"""The index of occurrences in PostgreSQL: written exactly once with its checkpoint, whoever works
on it, and found again by time, code and user."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import msgspec
import psycopg
import pytest
import redis
from hypothesis import given, settings

from domain.error_group import DeleteError, group_id
from domain.message import Event, Recorded
from projections import postgres_runner
from projections.occurrence_index import (
    MAX_TEXT,
    IndexPage,
    OccurrenceFilter,
    OccurrenceIndex,
    OccurrenceIndexQueries,
    Place,
    indexed,
)
from projections.postgres_runner import PostgresRunner, execute
from projections.projection import Indigestible
from projections.runner import stopped_key
from tests.projections.helpers import START, Log, report
from tests.projections.occurrence_logs import APPS, CUTS, alive, logs, pages, quick

MODEL = OccurrenceIndex()
SPACE = MODEL.keyspace()
ERROR = group_id("default", "f" * 32)
LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)

Connection = psycopg.Connection[Any]
Row = tuple[Any, ...]


class Events:
    """A log of these events."""

    def __init__(self, events: Sequence[Recorded[Any]]) -> None:
        self.all = events

    def head(self) -> int:
        return len(self.all)

    def events(self, after: int, limit: int) -> Sequence[Recorded[Any]]:
        return self.all[after : after + limit]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as one:
        yield one


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as one:
        yield one


def run(runner: PostgresRunner) -> None:
    """Until nothing moves any more."""
    while runner.step():
        pass


def rows(connection: Connection) -> list[Row]:
    """All that the index holds, by position."""
    return connection.execute("SELECT * FROM occurrences ORDER BY position").fetchall()


def expected(events: Sequence[Recorded[Any]]) -> list[Row]:
    """What it ought to hold after these events."""
    found = [
        (
            one.event.app,
            one.event.occurrence.timestamp,
            one.position,
            one.stream_id,
            indexed(one.event.occurrence.code),
            indexed(one.event.occurrence.user_id),
        )
        for one in alive(events)
    ]
    return sorted(found, key=lambda row: row[2])


def a_log(count: int = 30) -> list[Recorded[Any]]:
    """Reports of three errors, one of them deleted in the middle."""
    log = Log()
    for n in range(count):
        log.execute(report("abc"[n % 3], after=n * 7_200, code=f"code {n % 2}", user_id=f"u{n}"))
        if n == count // 2:
            log.execute(DeleteError(error_id=group_id("default", "a")))
    return log.events


@settings(parent=quick, max_examples=25)
@given(events=logs(), cuts=CUTS)
def test_the_index_equals_the_log_at_every_position(
    connection: Connection, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    connection.execute("TRUNCATE occurrences")
    for page in pages(events, cuts):
        for statement, arguments in MODEL.fold(page):
            execute(connection, statement, arguments)
        assert rows(connection) == expected(events[: page[-1].position])


def test_pages_of_any_size_write_each_row_once(connection: Connection, client: redis.Redis) -> None:
    events = a_log()
    for page_events in (1, 4, 100):
        connection.execute("DELETE FROM read_model_checkpoints")
        run(PostgresRunner(Events(events), connection, client, [MODEL], page_events=page_events))
        assert rows(connection) == expected(events)
        assert client.get(SPACE.checkpoint) == b"%d" % len(events)


def test_two_runners_at_once_write_nothing_twice(
    connection: Connection, client: redis.Redis, database_url: str
) -> None:
    events = a_log(60)

    def race() -> None:
        with psycopg.connect(database_url, autocommit=True) as own:
            runner = PostgresRunner(Events(events), own, client, [MODEL], page_events=1)
            while (runner.positions()[SPACE] or 0) < len(events):
                runner.step()

    racers = [threading.Thread(target=race, daemon=True) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    assert rows(connection) == expected(events)
    assert client.get(SPACE.checkpoint) == b"%d" % len(events)


class Killed(Exception):
    """The end of a worker."""


@pytest.mark.parametrize("dies_at", ["occurrences_open_days", "COPY", "UPDATE", "PUBLISH"])
def test_a_worker_that_dies_at_any_step_leaves_rows_and_checkpoint_that_agree(
    connection: Connection,
    client: redis.Redis,
    database_url: str,
    dies_at: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = a_log()
    run(PostgresRunner(Events(events[:10]), connection, client, [MODEL]))
    with psycopg.connect(database_url, autocommit=True) as own, monkeypatch.context() as patch:
        dying = PostgresRunner(Events(events), own, client, [MODEL])

        def or_dies(act: Any, statement: int) -> Any:
            def act_or_die(*arguments: Any) -> Any:
                if dies_at in arguments[statement]:
                    own.close()
                    raise Killed
                return act(*arguments)

            return act_or_die

        patch.setattr(own, "execute", or_dies(own.execute, 0))
        patch.setattr(postgres_runner, "execute", or_dies(execute, 1))
        patch.setattr(client, "eval", or_dies(client.eval, 0))
        with pytest.raises((Killed, psycopg.OperationalError)):
            dying.step()
    found = connection.execute("SELECT position FROM read_model_checkpoints").fetchone()
    assert found is not None
    assert rows(connection) == expected(events[: found[0]])
    run(PostgresRunner(Events(events), connection, client, [MODEL]))
    assert rows(connection) == expected(events)
    assert client.get(SPACE.checkpoint) == b"%d" % len(events)


def test_an_older_version_is_emptied_and_built_again(
    connection: Connection, client: redis.Redis
) -> None:
    events = a_log()
    runner = PostgresRunner(Events(events), connection, client, [MODEL])
    run(runner)
    connection.execute("UPDATE read_model_checkpoints SET version = 0")
    assert runner.positions() == {SPACE: None}
    run(runner)
    assert rows(connection) == expected(events)


def test_a_newer_version_is_left_alone(connection: Connection, client: redis.Redis) -> None:
    runner = PostgresRunner(Events(a_log()), connection, client, [MODEL])
    connection.execute("INSERT INTO read_model_checkpoints VALUES ('occurrences', 99, 3)")
    assert not runner.step()
    assert rows(connection) == []


def test_a_checkpoint_ahead_of_the_log_is_another_logs(
    connection: Connection, client: redis.Redis
) -> None:
    run(PostgresRunner(Events(a_log(60)), connection, client, [MODEL]))
    events = a_log(12)
    run(PostgresRunner(Events(events), connection, client, [MODEL]))
    assert rows(connection) == expected(events)
    assert client.get(SPACE.checkpoint) == b"%d" % len(events)


@pytest.mark.parametrize("copy", [None, b"3", b"999999"])
def test_a_lost_or_wrong_copy_of_the_position_is_put_right(
    connection: Connection, client: redis.Redis, copy: bytes | None
) -> None:
    events = a_log()
    runner = PostgresRunner(Events(events), connection, client, [MODEL])
    run(runner)
    client.delete(SPACE.checkpoint)
    if copy is not None:
        client.set(SPACE.checkpoint, copy)
    runner.step()
    assert client.get(SPACE.checkpoint) == b"%d" % len(events)


def test_an_event_that_is_not_understood_stops_the_index_before_it_and_says_so(
    connection: Connection, client: redis.Redis
) -> None:
    events = [*a_log(6)]
    good = list(events)

    class Surprise(Event, frozen=True):
        pass

    events[4] = msgspec.structs.replace(events[4], event=Surprise())
    runner = PostgresRunner(Events(events), connection, client, [MODEL])
    run(runner)
    assert rows(connection) == expected(events[:4])
    assert runner.stopped["occurrences"].position == 5
    assert client.exists(stopped_key(SPACE))
    run(PostgresRunner(Events(good), connection, client, [MODEL]))
    assert not client.exists(stopped_key(SPACE))
    assert rows(connection) == expected(good)
    with pytest.raises(Indigestible, match="event 5 "):
        MODEL.fold([events[4]])


def test_rows_that_postgresql_refuses_stop_the_index_and_nothing_else(
    connection: Connection, client: redis.Redis
) -> None:
    class Refused(OccurrenceIndex):
        def fold(self, events: Sequence[Recorded[Any]]) -> list[tuple[LiteralString, Row]]:
            return [*super().fold(events), ("SELECT 1 / 0", ())]

    runner = PostgresRunner(Events(a_log()), connection, client, [Refused()])
    run(runner)
    assert "division by zero" in runner.stopped["occurrences"].reason
    assert rows(connection) == []


# -- partitions ----------------------------------------------------------------------------------


def partitions(connection: Connection) -> list[str]:
    """The partitions that hold rows."""
    found = connection.execute(
        "SELECT DISTINCT tableoid::regclass::text FROM occurrences ORDER BY 1"
    )
    return [name for (name,) in found]


def fold(connection: Connection, events: Sequence[Recorded[Any]]) -> None:
    for statement, arguments in MODEL.fold(events):
        execute(connection, statement, arguments)


def test_each_day_has_a_partition_and_far_stamps_share_one(connection: Connection) -> None:
    log = Log()
    for days in (0, 1, -3, -10_000, 500):
        log.execute(report(after=days * 86_400))
    fold(connection, log.events)
    assert partitions(connection) == [
        "occurrences_20250826",
        "occurrences_20250829",
        "occurrences_20250830",
        "occurrences_other",
    ]


def test_a_day_that_was_far_ahead_takes_its_rows_once_it_has_come(connection: Connection) -> None:
    log = Log()
    (ahead,) = log.execute(report(after=500 * 86_400))
    (then,) = log.execute(report(after=500 * 86_400 + 60))
    then = msgspec.structs.replace(then, recorded_at=START + timedelta(days=500))
    fold(connection, [ahead])
    assert partitions(connection) == ["occurrences_other"]
    fold(connection, [then])
    assert partitions(connection) == ["occurrences_20270111"]
    assert len(rows(connection)) == 2


# -- queries -------------------------------------------------------------------------------------


def asked(connection: Connection) -> OccurrenceIndexQueries:
    async def ask(statement: LiteralString, arguments: dict[str, Any]) -> list[Row]:
        return connection.execute(statement, arguments).fetchall()

    return OccurrenceIndexQueries(ask)


def positions(page: IndexPage) -> list[int]:
    return [place.position for place in page.places]


@settings(parent=quick, max_examples=20)
@given(events=logs())
async def test_every_filter_finds_what_a_plain_search_finds_by_offset_and_by_cursor(
    connection: Connection, events: list[Recorded[Any]]
) -> None:
    connection.execute("TRUNCATE occurrences")
    fold(connection, events)
    queries = asked(connection)
    until = START + timedelta(hours=1)
    for code in (None, "net/failed"):
        for user in (None, "u1"):
            wanted = OccurrenceFilter(
                app=APPS[0], since=LONG_AGO, until=until, code=code, user_id=user
            )
            found = sorted(
                (one.event.occurrence.timestamp, one.position)
                for one in alive(events)
                if one.event.app == APPS[0]
                and one.event.occurrence.timestamp < until
                and code in (None, one.event.occurrence.code)
                and user in (None, one.event.occurrence.user_id)
            )[::-1]
            whole = await queries.page(wanted, after=None, offset=0, limit=100)
            assert whole == IndexPage([Place(*one) for one in found], False)
            walked: list[Place] = []
            more = bool(found)
            while more:
                last = walked[-1] if walked else None
                page = await queries.page(wanted, after=last, offset=0, limit=2)
                by_offset = await queries.page(wanted, after=None, offset=len(walked), limit=2)
                assert page == by_offset
                walked += page.places
                more = page.more
            assert walked == whole.places


async def test_there_is_more_only_where_there_is(connection: Connection) -> None:
    log = Log()
    for n in range(4):
        log.execute(report(after=n))
    fold(connection, log.events)
    wanted = OccurrenceFilter(app="default", since=START)
    page = await asked(connection).page(wanted, after=None, offset=0, limit=4)
    assert (positions(page), page.more) == ([4, 3, 2, 1], False)
    page = await asked(connection).page(wanted, after=None, offset=1, limit=2)
    assert (positions(page), page.more) == ([3, 2], True)


async def test_an_occurrence_is_held_until_its_error_is_deleted(connection: Connection) -> None:
    log = Log()
    log.execute(report())
    fold(connection, log.events)
    place = Place(START, 1)
    assert await asked(connection).holds("default", place)
    assert not await asked(connection).holds("other", place)
    fold(connection, log.execute(DeleteError(error_id=ERROR)))
    assert not await asked(connection).holds("default", place)


async def test_codes_and_users_are_counted_exactly(connection: Connection) -> None:
    log = Log()
    for code, user in ((None, "1"), ("a", "1"), ("a", "2"), ("b", None)):
        log.execute(report(code=code, user_id=user))
    log.execute(report(after=60, code="c", user_id="3"))
    fold(connection, log.events)
    since = START - timedelta(hours=1)
    assert await asked(connection).distinct("default", since, START + timedelta(seconds=60)) == (
        2,
        2,
    )


def test_a_value_too_long_for_an_index_keeps_its_beginning_and_differs_from_others() -> None:
    one, other = indexed("x" * 300), indexed("x" * 301)
    assert one is not None
    assert other is not None
    assert one != other
    assert len(one) == len(other) == MAX_TEXT
    assert one.startswith("x" * 100)
    assert indexed("x" * MAX_TEXT) == "x" * MAX_TEXT
