"""The index of occurrences is built anew beside the live one and takes its place, while it is read
and written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any, LiteralString

import msgspec
import psycopg
import pytest

from domain.failures import Conflict
from errata.folding import Source
from errata.index_rebuilding import IndexRebuilt, rebuild_index
from errata.index_verification import verify_index
from infra.event_store.archive import Archive
from infra.retention import Retention, connect
from infra.settings import Settings, load_settings
from projections.occurrence_index import OccurrenceFilter, OccurrenceIndex, OccurrenceIndexQueries
from projections.occurrence_rebuild import NEW, OLD, IndexRebuild
from tests.errata.retention_tools import AFTER, MONTHS, Months, rebuilt
from tests.faults.load import fill, load
from tests.faults.rounds import dice
from tests.faults.test_occurrence_index import expected, indexed, wait_for_index
from tests.faults.workers import PROCESSES, kill, working
from tests.waiting import PATIENCE

ALL = OccurrenceFilter(app="default", since=datetime(1970, 1, 1, tzinfo=UTC))


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    return settings_of(database_url, redis_url, tmp_path)


def settings_of(database_url: str, redis_url: str, folder: Path) -> Settings:
    """Settings of these servers, that never forget."""
    found = load_settings(None, data_dir=folder)
    return msgspec.structs.replace(
        found,
        database_url=database_url,
        redis_url=redis_url,
        archive=str(folder / "archive"),
        retention_days=36_500,
    )


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as one:
        yield one


def built(database_url: str, redis_url: str, seed: str, events: int = 200) -> None:
    """A log, and its index up to the head."""
    fill(database_url, dice(seed), events)
    with working(database_url, redis_url):
        wait_for_index(database_url)


def left_over(connection: psycopg.Connection[Any]) -> list[str]:
    """What there is of rebuilds that have not come to their end."""
    found = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", ([NEW, OLD],)
    )
    return [name for (name,) in found.fetchall()]


def shape(connection: psycopg.Connection[Any]) -> set[tuple[Any, ...]]:
    """All tables of the index and their indexes, as they are defined and attached."""
    found = connection.execute("""
        SELECT c.relname, c.relkind::text, pg_get_expr(c.relpartbound, c.oid),
               (SELECT count(*) FROM pg_inherits i WHERE i.inhrelid = c.oid), x.indisvalid,
               pg_get_indexdef(x.indexrelid)
          FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid
         WHERE c.relname ~ '^occurrences' AND c.relnamespace = 'public'::regnamespace
    """)
    return set(found.fetchall())


def differing(settings: Settings) -> int:
    """Rows that are not what the log folds to."""
    source = Source(settings.database_url_or_fail(), settings.archive)
    return verify_index(source, OccurrenceIndex(), lambda position, target: None, 1).different


def test_spoilt_rows_are_mended(
    settings: Settings, connection: psycopg.Connection[Any], database_url: str, redis_url: str
) -> None:
    built(database_url, redis_url, "spoilt")
    connection.execute("DELETE FROM occurrences WHERE position % 3 = 0")
    connection.execute("UPDATE occurrences SET code = 'x' WHERE position % 3 = 1")
    connection.execute("INSERT INTO occurrences VALUES ('a', now(), 1, gen_random_uuid(), 'b')")
    present = differing(settings)
    connection.execute("UPDATE occurrences_deleted SET deletion = deletion + 1")
    assert 0 < present < differing(settings)
    told: list[tuple[int, int]] = []
    done = rebuild_index(settings, lambda position, target: told.append((position, target)))
    assert told[-1] == (done.position, done.position)
    assert differing(settings) == 0
    assert indexed(database_url) == expected(database_url)
    assert left_over(connection) == []


def test_the_new_tables_have_the_names_indexes_and_days_of_the_old(
    settings: Settings, connection: psycopg.Connection[Any], database_url: str, redis_url: str
) -> None:
    built(database_url, redis_url, "shape", 30)
    before = shape(connection)
    for _ in range(2):
        rebuild_index(settings)
        assert shape(connection) == before


def test_days_are_opened_and_forgotten_afterwards_by_sessions_from_before(
    settings: Settings, connection: psycopg.Connection[Any], database_url: str, redis_url: str
) -> None:
    """Plans that PostgreSQL keeps for a session must not lead to tables that have gone."""
    built(database_url, redis_url, "days", 20)
    first: LiteralString = "SELECT occurrences_forget('2000-01-01')"
    day: LiteralString = "SELECT occurrences_open_days(ARRAY['2001-02-03'::date])"
    for _ in range(8):
        connection.execute(first)
    connection.execute(day)
    rebuild_index(settings)
    connection.execute(day)
    connection.execute("INSERT INTO occurrences VALUES ('a', '2001-02-03 12:00Z', 1, %s)", (NIL,))
    where = connection.execute("SELECT tableoid::regclass::text FROM occurrences WHERE position=1")
    assert where.fetchone() == ("occurrences_20010203",)
    gone = connection.execute("SELECT occurrences_forget('2001-02-04')").fetchone()
    assert gone == (1,)


NIL = "00000000-0000-0000-0000-000000000000"


def test_every_read_sees_all_rows_while_events_are_written_and_a_worker_runs(
    settings: Settings, database_url: str, redis_url: str
) -> None:
    fill(database_url, dice("read"), 300)
    with working(database_url, redis_url):
        wait_for_index(database_url)
        least = set(expected(database_url))
        with reading(database_url) as seen, load(database_url, reports_only(), clients=1):
            for _ in range(3):
                rebuild_index(settings)
        assert len(expected(database_url)) > len(least)
        assert seen.failures == []
        assert seen.reads > 3
        assert seen.fewest >= len(least)
        wait_for_index(database_url)
    assert indexed(database_url) == expected(database_url)
    assert differing(settings) == 0


def reports_only() -> Random:
    """Dice that never come to a decision: no row ever goes."""
    seed = dice("reports only")
    throw = seed.randrange
    seed.randrange = lambda *bounds: 19 if bounds == (20,) else throw(*bounds)  # type: ignore[method-assign]
    return seed


class Seen:
    """What a reader has met."""

    def __init__(self) -> None:
        self.reads, self.fewest = 0, 10**9
        self.failures: list[str] = []


@contextmanager
def reading(database_url: str) -> Iterator[Seen]:
    """Lists are asked for in a thread, one after the other."""
    seen, stop = Seen(), threading.Event()

    async def read() -> None:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as one:

            async def rows(statement: LiteralString, arguments: dict[str, Any]) -> list[Any]:
                cursor = one.cursor(binary=True)
                return await (await cursor.execute(statement, arguments)).fetchall()

            queries = OccurrenceIndexQueries(rows)
            most = 0
            while not stop.is_set():
                page = await queries.page(ALL, after=None, offset=0, limit=100_000)
                if len(page.places) < most:
                    seen.failures.append(f"{len(page.places)} rows after {most}")
                most = len(page.places)
                seen.reads += 1
                seen.fewest = min(seen.fewest, most)

    def run() -> None:
        try:
            asyncio.run(read())
        except psycopg.Error as error:
            seen.failures.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(PATIENCE)


def test_a_reader_that_takes_long_is_waited_for_and_makes_nobody_else_wait(
    settings: Settings, connection: psycopg.Connection[Any], database_url: str, redis_url: str
) -> None:
    built(database_url, redis_url, "long", 30)
    with psycopg.connect(database_url) as slow, in_background(settings) as rebuild:
        slow.execute("SELECT count(*) FROM occurrences")
        rebuild.start()
        await_that(lambda: left_over(connection) == [NEW])
        for _ in range(5):
            started = monotonic()
            connection.execute("SELECT count(*) FROM occurrences")
            assert monotonic() - started < 5
            sleep(0.1)
        assert rebuild.is_alive()
        slow.rollback()
        rebuild.join(PATIENCE)
        assert not rebuild.is_alive()
    assert left_over(connection) == []
    assert indexed(database_url) == expected(database_url)


@contextmanager
def in_background(settings: Settings) -> Iterator[threading.Thread]:
    """A rebuild in a thread that is yet to be started."""
    thread = threading.Thread(target=rebuild_index, args=(settings,), daemon=True)
    yield thread


def await_that(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < deadline
        sleep(0.01)


@pytest.mark.parametrize("where", ["_catch_up", "_exchanged", "_move", "clear"])
def test_a_killed_rebuild_leaves_no_trace_after_the_next(
    settings: Settings,
    connection: psycopg.Connection[Any],
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    where: str,
) -> None:
    built(database_url, redis_url, "killed", 30)
    before = shape(connection)
    process = PROCESSES.Process(
        target=_rebuild_and_wait, args=(database_url, redis_url, tmp_path, where), daemon=True
    )
    process.start()
    await_that(lambda: (tmp_path / "there").exists())
    kill(process)
    assert left_over(connection)
    assert shape(connection) == before
    assert indexed(database_url) == expected(database_url)
    connection.execute("DELETE FROM occurrences WHERE position % 2 = 0")
    await_that(lambda: _rebuilt(settings))
    assert left_over(connection) == []
    assert indexed(database_url) == expected(database_url)


def _rebuilt(settings: Settings) -> bool:
    """Whether the lock of the one that was killed is gone by now."""
    try:
        return bool(rebuild_index(settings))
    except Conflict:
        return False


def _rebuild_and_wait(database_url: str, redis_url: str, folder: Path, where: str) -> None:
    """A rebuild that comes to a place in its code and no further."""
    owner: Any = IndexRebuild
    method = getattr(owner, where)
    calls = 0

    def waits(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == {"_move": 2, "clear": 2}.get(where, 1):
            (folder / "there").touch()
            sleep(60)
        return method(*arguments)

    setattr(owner, where, waits)
    rebuild_index(settings_of(database_url, redis_url, folder))


def test_a_second_one_at_once_is_refused(
    settings: Settings, connection: psycopg.Connection[Any], database_url: str, redis_url: str
) -> None:
    built(database_url, redis_url, "second", 30)

    def progress(position: int, target: int) -> None:
        with pytest.raises(Conflict, match="being rebuilt already"):
            rebuild_index(settings)

    assert isinstance(rebuild_index(settings, progress), IndexRebuilt)
    assert left_over(connection) == []


def test_one_that_is_given_up_leaves_the_live_tables_and_nothing_else(
    settings: Settings, connection: psycopg.Connection[Any], database_url: str, redis_url: str
) -> None:
    built(database_url, redis_url, "given up", 30)
    before = shape(connection)

    def progress(position: int, target: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild_index(settings, progress)
    assert (left_over(connection), shape(connection)) == ([], before)


def test_where_nothing_is_live_nothing_is_rebuilt(settings: Settings) -> None:
    with pytest.raises(Conflict, match="nothing is live yet"):
        rebuild_index(settings)


async def test_days_that_retention_has_taken_do_not_come_back(
    settings: Settings, database_url: str, redis_url: str
) -> None:
    archive = Archive(settings.archive)
    await Months(database_url).write(*MONTHS)
    whole = rebuilt(database_url, redis_url, archive).occurrences
    with connect(database_url) as session:
        Retention(session, archive).run(MONTHS[1])
    assert differing(settings) == 0  # nobody misses them
    rebuild_index(msgspec.structs.replace(settings, retention_days=1))
    kept = indexed(database_url)
    assert kept == [row[2] for row in whole if row[1] >= MONTHS[1]]
    assert 0 < len(kept) < len(whole)
    with connect(database_url) as session:
        session.execute("DELETE FROM occurrences WHERE position = %s", (kept[-1],))
    assert differing(settings) == 1


async def test_archives_are_read(settings: Settings, database_url: str, redis_url: str) -> None:
    archive = Archive(settings.archive)
    await Months(database_url).write(*MONTHS)
    whole = rebuilt(database_url, redis_url, archive).occurrences
    with connect(database_url) as session:
        retention = Retention(session, archive)
        for partition in retention.due(AFTER):
            retention.move(partition)
    rebuild_index(settings)
    assert indexed(database_url) == [row[2] for row in whole]
