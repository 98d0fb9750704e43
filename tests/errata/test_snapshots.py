"""Snapshots of a real log: at round positions, whole, thinned out, and of use."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import redis

from errata.past import Snapshots
from errata.snapshots import Snapshotter
from infra.event_store.archive import Archive
from infra.event_store.past import PastLog
from infra.settings import Settings, load_settings
from infra.snapshots import SnapshotFolder, kept
from projections.digests import digest
from projections.past import Builder, Goal, Interrupted, NoSnapshots, PastKeyspaces
from projections.registry import READ_MODELS
from tests.reports import SOMEBODY, report

if TYPE_CHECKING:
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
