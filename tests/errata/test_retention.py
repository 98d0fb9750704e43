"""Retention: old partitions leave PostgreSQL, and the log is read as if they had not."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from domain.error_group import decider, group_id
from errata import cli
from infra.clock import utc_now
from infra.event_store.archive import Archive, ArchiveDamaged
from infra.event_store.reader import HoleInLog
from infra.event_store.store import EventStore
from infra.event_store.subscription import Subscription
from infra.retention import RetentionBusy, connect, retention
from tests.errata.retention_tools import (
    AFTER,
    DEATHS,
    MONTHS,
    SIZE,
    Months,
    rebuilt,
    retain,
    retain_and_die,
    whole_log,
)
from tests.faults.api_process import url_of
from tests.reports import SOMEBODY, report


def ask(database_url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


def tables(database_url: str) -> set[str]:
    found = ask(database_url, r"SELECT relname FROM pg_class WHERE relname ~ '^events_\d+$'")
    return {name for (name,) in found}


async def test_the_disk_of_old_partitions_is_freed_and_young_ones_stay(
    database_url: str, archive: Archive
) -> None:
    await Months(database_url).write(*MONTHS)
    before = tables(database_url)
    gone = retain(database_url, archive, MONTHS[2])
    assert len(gone) == 2
    assert tables(database_url) == before - set(gone)
    listed = {name for (name,) in ask(database_url, "SELECT name FROM log_partitions")}
    assert listed == before - set(gone)
    files = sorted(path.suffix for path in Path(archive.place).iterdir())
    assert files == [".json", ".json", ".parquet", ".parquet"]


async def test_what_is_being_filled_never_leaves(database_url: str, archive: Archive) -> None:
    months = Months(database_url)
    await months.write(MONTHS[0])
    store = EventStore(database_url, clock=lambda: MONTHS[0], partition_events=SIZE)
    await store.start()
    await store.execute(report(), SOMEBODY)
    await store.stop()
    assert retain(database_url, archive, AFTER) == ["events_1"]
    assert retain(database_url, archive, AFTER) == []


async def test_the_log_reads_on_from_archives_to_partitions(
    database_url: str, archive: Archive
) -> None:
    await Months(database_url).write(*MONTHS)
    rows = whole_log(database_url, archive)
    retain(database_url, archive, MONTHS[2])
    assert whole_log(database_url, archive) == rows
    with closing(Subscription(database_url)) as without, pytest.raises(HoleInLog):
        without.page(0, 10)


async def test_a_reader_sees_what_is_archived_while_it_reads(
    database_url: str, archive: Archive
) -> None:
    await Months(database_url).write(*MONTHS)
    rows = whole_log(database_url, archive)
    subscription = Subscription(database_url, archive)
    read = subscription.page(0, 10)
    retain(database_url, archive, MONTHS[2])
    while page := subscription.page(len(read), 10):
        read += page
    subscription.close()
    assert read == rows


async def test_every_read_model_is_built_from_archive_and_log_as_from_the_log(
    database_url: str, redis_url: str, archive: Archive
) -> None:
    await Months(database_url).write(*MONTHS)
    built = rebuilt(database_url, redis_url, archive)
    assert built.occurrences
    retain(database_url, archive, AFTER)
    again = rebuilt(database_url, redis_url, archive)
    assert again.in_redis == built.in_redis
    assert again.occurrences == built.occurrences


async def test_the_index_forgets_the_days_before_the_limit(
    database_url: str, redis_url: str, archive: Archive
) -> None:
    await Months(database_url).write(*MONTHS)
    rebuilt(database_url, redis_url, archive)
    retain(database_url, archive, MONTHS[2])
    ((oldest,),) = ask(database_url, "SELECT min(occurred_at) FROM occurrences")
    assert oldest == MONTHS[2]
    days = ask(database_url, r"SELECT relname FROM pg_class WHERE relname ~ '^occurrences_20\d+$'")
    assert ("occurrences_20260110",) not in days


@pytest.mark.parametrize("death", DEATHS)
async def test_a_kill_at_any_step_loses_nothing_and_the_next_run_finishes(
    database_url: str, archive: Archive, death: str
) -> None:
    await Months(database_url).write(*MONTHS, events=10)
    rows = whole_log(database_url, archive)
    retain_and_die(database_url, Path(archive.place), MONTHS[2], death)
    assert whole_log(database_url, archive) == rows
    retain(database_url, archive, MONTHS[2])
    assert whole_log(database_url, archive) == rows
    assert len(ask(database_url, "SELECT * FROM log_archives")) == 2
    left = {path.suffix for path in Path(archive.place).iterdir()}
    assert left == {".json", ".parquet"}


async def _written(database_url: str, archive: Archive) -> Path:
    """The rows' file of a run that was killed before it dropped anything."""
    await Months(database_url).write(*MONTHS, events=10)
    folder = Path(archive.place)
    retain_and_die(database_url, folder, MONTHS[1], "before compare 1")
    (file,) = folder.glob("*.parquet")
    return file


async def test_a_flipped_bit_keeps_the_partition(database_url: str, archive: Archive) -> None:
    file = await _written(database_url, archive)
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(ArchiveDamaged, match="SHA-256"):
        retain(database_url, archive, MONTHS[1])
    assert "events_1" in tables(database_url)


async def test_an_archive_of_other_rows_keeps_the_partition(
    database_url: str, archive: Archive
) -> None:
    """Even one that is whole in itself: such as that of another log in the same place."""
    await _written(database_url, archive)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE events SET data = '{}' WHERE position = 5")
    with pytest.raises(ArchiveDamaged, match="position 5"):
        retain(database_url, archive, MONTHS[1])
    assert "events_1" in tables(database_url)


@pytest.mark.parametrize("harm", ["gone", "flipped", "shortened"])
async def test_nobody_reads_past_a_damaged_archive(
    database_url: str, archive: Archive, harm: str
) -> None:
    await Months(database_url).write(*MONTHS, events=10)
    retain(database_url, archive, MONTHS[2])
    file = sorted(Path(archive.place).glob("*.parquet"))[1]
    content = file.read_bytes()
    if harm == "gone":
        file.unlink()
    elif harm == "flipped":
        file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    else:
        file.write_bytes(content[:-10])
    with pytest.raises(ArchiveDamaged):
        whole_log(database_url, archive)


async def test_two_runs_do_not_get_in_each_others_way(database_url: str, archive: Archive) -> None:
    await Months(database_url).write(*MONTHS, events=10)
    with connect(database_url) as session:
        session.execute("SELECT pg_advisory_lock(hashtextextended('errata:retention', 0))")
        with pytest.raises(RetentionBusy):
            retain(database_url, archive, MONTHS[2])
    assert len(retain(database_url, archive, MONTHS[2])) == 2


async def test_decisions_go_on_and_a_state_of_another_schema_is_folded_from_archives(
    database_url: str, archive: Archive
) -> None:
    await Months(database_url).write(*MONTHS)
    stream = group_id("default", "coded 1")
    ((version, before),) = ask(
        database_url, f"SELECT version, state FROM streams WHERE stream_id = '{stream}'"
    )
    retain(database_url, archive, AFTER)
    ask(database_url, "UPDATE streams SET state_schema = 0, state = '' RETURNING 1")
    store = EventStore(database_url, clock=utc_now, partition_events=SIZE, archive=archive)
    await store.start()
    committed = await store.execute(report("coded 1"), SOMEBODY)
    await store.stop()
    assert committed.events[0].stream_version == version + 1
    old = msgspec.json.decode(before, type=decider.state_type)
    assert committed.events[0].event.count == old.count + 1


async def test_the_daily_job_archives_what_is_older_than_the_limit(
    database_url: str, archive: Archive
) -> None:
    await Months(database_url).write(*MONTHS, events=10)
    job = retention(archive.place, 40, lambda: MONTHS[2] + timedelta(days=1))
    with connect(database_url) as session:
        job.run(session)
    assert len(ask(database_url, "SELECT * FROM log_archives")) == 1


async def test_any_fsspec_place_will_do(database_url: str) -> None:
    archive = Archive("memory://retention")
    await Months(database_url).write(*MONTHS, events=10)
    rows = whole_log(database_url, archive)
    assert len(retain(database_url, archive, AFTER)) == 3
    assert whole_log(database_url, archive) == rows


@pytest.fixture
def settings(
    database_url: str, redis_url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url_of(database_url))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("ERRATA_ARCHIVE", archive.place)
    monkeypatch.setenv("RETENTION_DAYS", "1")


def test_the_command_shows_what_would_go_and_then_lets_it_go(
    settings: None, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(Months(database_url).write(MONTHS[0], events=10))
    assert cli.run(["retention", "run", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "events_1" in shown
    assert "would be archived and dropped" in shown
    assert "events_1" in tables(database_url)
    assert cli.run(["retention", "run", "--json"]) == 0
    (row,) = msgspec.json.decode(capsys.readouterr().out)
    assert (row["name"], row["outcome"]) == ("events_1", "archived and dropped")
    assert "events_1" not in tables(database_url)
    assert cli.run(["retention", "run"]) == 0
    assert "No partition" in capsys.readouterr().err
