"""Snapshots of a real log: at round positions, whole, thinned out, and of use."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import redis
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem

import errata.snapshots
from errata.past import Snapshots
from errata.snapshots import Snapshotter, run_snapshots
from infra.event_store.archive import Archive, ArchiveDamaged
from infra.event_store.past import PastLog
from infra.settings import Settings, load_settings
from infra.snapshots import SnapshotFolder, kept
from projections.digests import digest
from projections.past import Builder, Goal, Interrupted, NoSnapshots, PastKeyspaces
from projections.registry import READ_MODELS
from tests.reports import SOMEBODY, report
from tests.waiting import PATIENCE, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.event_store.store import EventStore

DISTANCE = 10


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    found = load_settings({}, redis_url=redis_url, archive=str(tmp_path / "archive"))
    return msgspec.structs.replace(found, database_url=database_url)


@pytest.fixture
def folder(settings: Settings) -> SnapshotFolder:
    return SnapshotFolder(settings.archive)


async def write(store: EventStore, count: int) -> None:
    await asyncio.gather(*(store.execute(report(), SOMEBODY) for _ in range(count)))


def taken(settings: Settings) -> int:
    snapshotter = Snapshotter(settings, distance=DISTANCE)
    try:
        return snapshotter.run()
    finally:
        snapshotter.close()


async def test_each_read_model_has_one_at_each_round_position(
    store: EventStore, settings: Settings, folder: SnapshotFolder
) -> None:
    await write(store, DISTANCE - 1)
    assert (taken(settings), folder.all()) == (0, [])
    await write(store, DISTANCE + 5)
    assert [taken(settings) for _ in range(3)] == [len(READ_MODELS)] * 2 + [0]
    assert {(one.name, one.position) for one in folder.all()} == {
        (model.name, position) for model in READ_MODELS for position in (DISTANCE, 2 * DISTANCE)
    }


async def test_what_is_built_from_one_is_what_is_built_from_the_start(
    store: EventStore, settings: Settings, folder: SnapshotFolder
) -> None:
    await write(store, DISTANCE + 7)
    taken(settings)
    with redis.Redis.from_url(settings.redis_url_or_fail()) as client:
        keyspaces = PastKeyspaces(client, at_once=100)
        for model in READ_MODELS:
            found = []
            for sign, start in (("@", Snapshots(folder)), ("~", NoSnapshots())):
                goal = Goal(model, DISTANCE + 6, sign=sign)
                keyspaces.claim(goal.keyspace, goal.position)
                with PastLog(settings.database_url_or_fail(), Archive(settings.archive)) as log:
                    Builder(keyspaces, log, start).build([goal])
                found.append(digest(client, goal.keyspace).total)
            assert found[0] == found[1]


async def test_no_keyspace_is_left_behind(store: EventStore, settings: Settings) -> None:
    await write(store, DISTANCE)
    taken(settings)
    with redis.Redis.from_url(settings.redis_url_or_fail()) as client:
        assert list(client.scan_iter("errata:*")) == []


async def test_a_damaged_one_is_passed_over(
    store: EventStore, settings: Settings, folder: SnapshotFolder
) -> None:
    await write(store, DISTANCE)
    taken(settings)
    for one in folder.all():
        path = Path(settings.archive) / "snapshots" / one.file
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert {Snapshots(folder).nearest(model, 2 * DISTANCE)[0] for model in READ_MODELS} == {0}


async def test_one_that_is_interrupted_is_taken_the_next_time(
    store: EventStore, settings: Settings, folder: SnapshotFolder
) -> None:
    await write(store, DISTANCE)
    snapshotter = Snapshotter(settings, lambda: True, distance=DISTANCE)
    with pytest.raises(Interrupted):
        snapshotter.run()
    snapshotter.close()
    assert folder.all() == []
    assert taken(settings) == len(READ_MODELS)


class Moody(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A file system that raises what no other does while it is `cross`."""

    protocol = "moody"
    cross = True
    asked = 0

    def exists(self, path: str, **options: Any) -> Any:
        return self._unless_cross(super().exists, path, **options)

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> Any:
        return self._unless_cross(super().cat_file, path, *arguments, **options)

    def open(self, path: str, *arguments: Any, **options: Any) -> Any:
        return self._unless_cross(super().open, path, *arguments, **options)

    def _unless_cross(self, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        Moody.asked += 1
        if Moody.cross:
            raise RuntimeError("no credentials")
        return work(*arguments, **options)


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> str:
    register_implementation("moody", Moody, clobber=True)
    monkeypatch.setattr(Moody, "cross", True)
    monkeypatch.setattr(Moody, "asked", 0)
    return "moody://errata"


async def test_snapshots_outlive_whatever_an_archive_raises(
    store: EventStore, settings: Settings, moody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(store, DISTANCE)
    monkeypatch.setattr(errata.snapshots, "TURN_SECONDS", 0.01)
    there = msgspec.structs.replace(settings, archive=moody, snapshot_events=DISTANCE)
    stop = threading.Event()
    thread = threading.Thread(target=run_snapshots, args=(there, lambda: True, stop))
    thread.start()
    try:
        assert await asyncio.to_thread(eventually, lambda: Moody.asked > 2)
        Moody.cross = False
        whole = SnapshotFolder(moody)
        assert await asyncio.to_thread(eventually, lambda: len(whole.all()) == len(READ_MODELS))
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, PATIENCE)


def test_whatever_an_archive_raises_a_moment_is_built_without_snapshots(moody: str) -> None:
    assert Snapshots(SnapshotFolder(moody)).nearest(READ_MODELS[0], DISTANCE) == (0, ())


def test_whatever_an_archive_raises_is_said_of_the_archive(moody: str) -> None:
    with pytest.raises(ArchiveDamaged, match="no credentials"):
        Archive(moody).manifest("events.parquet")
    with pytest.raises(ArchiveDamaged, match="no credentials"):
        Archive(moody).check("events.parquet", "", 0)
    with pytest.raises(ArchiveDamaged, match="no credentials"):
        list(Archive(moody).groups("events.parquet"))


def test_old_ones_become_fewer() -> None:
    newest = 1_000 * DISTANCE
    positions = [at for at in range(DISTANCE, newest + 1, DISTANCE) if kept(at, newest, DISTANCE)]
    assert positions[-8:] == [newest - back * DISTANCE for back in range(7, -1, -1)]
    assert len(positions) < 60
    assert positions[0] < newest // 4


def test_thinning_keeps_the_newest_version_of_a_read_model(folder: SnapshotFolder) -> None:
    for version, position in ((1, 10), (1, 20), (2, 20), (2, 30)):
        folder.write("stats", version, position, [])
    assert [(one.version, one.position) for one in folder.thin(DISTANCE)] == [(1, 10), (1, 20)]
    assert [(one.version, one.position) for one in folder.all()] == [(2, 20), (2, 30)]
