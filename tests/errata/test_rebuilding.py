"""Rebuilds as a worker carries them out: the new version beside the live one, then in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import redis

from domain.app import AppRegistered
from domain.failures import Conflict
from domain.message import Recorded
from projections.codes import Codes
from projections.directory.apps import Apps
from projections.error_groups import ErrorGroups
from projections.projection import Indigestible, Keyspace, RedisReadModel, Write
from projections.rebuilds import Rebuilds
from projections.registry import READ_MODELS
from projections.stats import Stats
from projections.versions import KEPT, build_of, standing_of
from tests.faults.load import fill, load
from tests.faults.oracle import head_of, wait_for_head
from tests.faults.rounds import dice
from tests.faults.test_read_models import WorkerThread
from tests.faults.workers import kill, start, working
from tests.rebuilding import (
    asked,
    assert_live_is_pure,
    cancel,
    contents_of,
    request,
    roll_back,
    standing,
    versions_there,
    when,
)
from tests.waiting import eventually

GROUPS, STATS = ErrorGroups(), Stats()


def test_all_read_models_are_rebuilt_while_reports_come_in(
    database_url: str, redis_url: str
) -> None:
    fill(database_url, dice("rebuild"), 300)
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        with load(database_url, dice("rebuild load"), clients=1):
            done = when(redis_url, request(redis_url))
        assert (done.state, done.reason) == ("done", None)
        assert [part.differences for part in done.read_models] == [0] * len(READ_MODELS)
        now = standing(redis_url)
        assert now.active == {model.name: build_of(model.version, 1) for model in READ_MODELS}
        assert {name: kept.version for name, kept in now.kept.items()} == {
            model.name: model.version for model in READ_MODELS
        }
        assert_live_is_pure(database_url, redis_url)


def test_what_was_spoilt_is_named_and_mended(database_url: str, redis_url: str) -> None:
    """A counter, a missing group, a stale field, and something that nobody put there."""
    fill(database_url, dice("spoilt"), 100)
    groups, stats = GROUPS.keyspace(), STATS.keyspace()
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        with redis.Redis.from_url(redis_url) as client:
            one, other = client.hkeys(f"{groups.prefix}documents")[:2]
            client.hdel(f"{groups.prefix}documents", one)
            client.hset(f"{groups.prefix}documents", other, "{}")
            client.set(f"{groups.prefix}nobody's", "x")
            counter = next(client.scan_iter(match=f"{stats.prefix}*counts*"), None)
            counter = counter or next(
                key
                for key in client.scan_iter(match=f"{stats.prefix}*")
                if client.type(key) == b"hash"
            )
            client.hset(counter, client.hkeys(counter)[0], 12_345)
        done = when(redis_url, request(redis_url, [GROUPS, STATS]))
        differing = {part.name: dict(part.differing) for part in done.read_models}
        assert differing["error_groups"] == {"documents": "changed", "nobody's": "unexpected"}
        assert differing["stats"] == {counter.decode().removeprefix(stats.prefix): "changed"}
        assert_live_is_pure(database_url, redis_url)


def test_a_rebuild_that_expects_the_same_stops_where_it_differs(
    database_url: str, redis_url: str
) -> None:
    fill(database_url, dice("same"), 60)
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        with redis.Redis.from_url(redis_url) as client:
            client.set(f"{GROUPS.keyspace().prefix}nobody's", "x")
        done = when(redis_url, request(redis_url, [GROUPS, STATS], expect_same=True))
        assert done.state == "differs"
        assert done.reason == "not the same as the live version: error_groups"
        assert standing(redis_url).active[GROUPS.name] == GROUPS.version
        assert versions_there(redis_url, GROUPS.name) == {GROUPS.version}
        same = when(redis_url, request(redis_url, [STATS], expect_same=True))
        assert (same.state, same.read_models[0].differences) == ("done", 0)


def test_the_version_before_comes_back_up_to_date(database_url: str, redis_url: str) -> None:
    fill(database_url, dice("back"), 60)
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        with pytest.raises(Conflict, match="no earlier version of error_groups is kept"):
            roll_back(redis_url, [GROUPS])
        when(redis_url, request(redis_url, [GROUPS]))
        built = build_of(GROUPS.version, 1)
        assert standing(redis_url).active[GROUPS.name] == built
        fill(database_url, dice("back again"), 60)
        done = when(redis_url, roll_back(redis_url, [GROUPS]))
        assert (done.state, done.events_per_second) == ("done", None)
        now = standing(redis_url)
        assert now.active[GROUPS.name] == GROUPS.version
        assert now.kept[GROUPS.name].version == built
        assert_live_is_pure(database_url, redis_url, [GROUPS])


def test_one_read_model_is_built_by_one_rebuild_at_a_time(
    database_url: str, redis_url: str
) -> None:
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        await_live(redis_url)
    first = request(redis_url, [GROUPS])
    with pytest.raises(
        Conflict, match=f"error_groups is being built already, by rebuild {first.id}"
    ):
        request(redis_url, [STATS, GROUPS])
    assert request(redis_url, [STATS]).state == "waiting"


def await_live(redis_url: str) -> None:
    """Until every read model has a live version."""
    assert eventually(lambda: len(standing(redis_url).active) == len(READ_MODELS))


def test_a_cancelled_rebuild_leaves_the_live_version_and_nothing_else(
    database_url: str, redis_url: str
) -> None:
    fill(database_url, dice("cancel"), 60)
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        await_live(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        before = contents_of(client, GROUPS.keyspace())
        rebuild = request(redis_url, [GROUPS])
        half = Keyspace(GROUPS.name, rebuild.read_models[0].to_version)
        client.hset(f"{half.prefix}documents", "half", "built")
        client.set(half.checkpoint, 7)
        wished = cancel(redis_url, rebuild)
        assert wished is not None and wished.cancelled_by == "test"
        with working(database_url, redis_url):
            assert when(redis_url, rebuild).state == "cancelled"
        assert versions_there(redis_url, GROUPS.name) == {GROUPS.version}
        assert contents_of(client, GROUPS.keyspace()) == before
    with pytest.raises(Conflict, match="it is cancelled"):
        cancel(redis_url, rebuild)


def test_a_rebuild_that_comes_to_nothing_leaves_the_way_back(
    database_url: str, redis_url: str
) -> None:
    fill(database_url, dice("way back"), 20)
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        when(redis_url, request(redis_url, [GROUPS]))
        built = build_of(GROUPS.version, 1)
        with redis.Redis.from_url(redis_url) as client:
            client.set(f"{Keyspace(GROUPS.name, built).prefix}nobody's", "x")
        failed = when(redis_url, request(redis_url, [GROUPS], expect_same=True))
        assert failed.state == "differs"
        assert standing(redis_url).kept[GROUPS.name].version == GROUPS.version
        assert versions_there(redis_url, GROUPS.name) == {GROUPS.version, built}
        done = when(redis_url, request(redis_url, [GROUPS]))
        assert done.state == "done"
        third = build_of(GROUPS.version, 3)
        assert versions_there(redis_url, GROUPS.name) == {built, third}
        when(redis_url, roll_back(redis_url, [GROUPS]))
        assert standing(redis_url).active[GROUPS.name] == built


def test_a_rebuild_goes_on_where_a_killed_worker_left_it(database_url: str, redis_url: str) -> None:
    fill(database_url, dice("go on"), 60)
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        await_live(redis_url)
    rebuild = request(redis_url, [GROUPS])
    worker = start(database_url, redis_url)
    when(redis_url, rebuild, lambda found: found.state != "waiting")
    kill(worker)
    with working(database_url, redis_url):
        assert when(redis_url, rebuild).state == "done"
        assert_live_is_pure(database_url, redis_url, [GROUPS])


def test_what_was_kept_for_long_enough_goes(database_url: str, redis_url: str) -> None:
    fill(database_url, dice("keep"), 20)
    with working(database_url, redis_url):
        wait_for_head(database_url, redis_url)
        when(redis_url, request(redis_url, [GROUPS]))
        with redis.Redis.from_url(redis_url) as client:
            kept = standing_of(client).kept[GROUPS.name]
            assert kept.until - kept.since == 3_600
            over = msgspec.structs.replace(kept, since=0.0, until=1.0)
            client.hset(KEPT, GROUPS.name, msgspec.json.encode(over).decode())
            with pytest.raises(Conflict, match="no earlier version of error_groups is kept"):
                roll_back(redis_url, [GROUPS])
            assert eventually(lambda: not standing_of(client).kept)
        assert versions_there(redis_url, GROUPS.name) == {build_of(GROUPS.version, 1)}


class Longer(Apps):
    """A newer fold of the applications, which keeps more."""

    version = Apps.version + 1

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        names = [one.event.app for one in events if isinstance(one.event, AppRegistered)]
        noted: list[Write] = [("SADD", f"{keyspace.prefix}names", *names)] if names else []
        return [*super().fold(keyspace, events), *noted]


class Choosy(Codes):
    """A newer fold of the codes, which cannot digest anything."""

    version = Codes.version + 1

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        raise Indigestible(events[0], "no taste for it")


def newer(*changed: RedisReadModel) -> list[RedisReadModel]:
    """All read models, some of them in newer versions."""
    names = {model.name: model for model in changed}
    return [names.get(model.name, model) for model in READ_MODELS]


def test_a_newer_fold_is_built_while_a_worker_of_the_old_one_goes_on(
    database_url: str, redis_url: str
) -> None:
    fill(database_url, dice("deploy"), 60)
    old, new = Apps(), Longer()
    with WorkerThread(database_url, redis_url, READ_MODELS):
        wait_for_head(database_url, redis_url)
        with (
            load(database_url, dice("deploy load"), clients=1),
            WorkerThread(database_url, redis_url, newer(new)),
            redis.Redis.from_url(redis_url) as client,
        ):
            assert eventually(lambda: standing_of(client).active[new.name] == new.version)
        now = standing(redis_url)
        assert (now.active[new.name], now.kept[new.name].version) == (
            new.version,
            old.version,
        )
        # The old worker still keeps its own version up to date, for what runs of the old code.
        wait_for_head(database_url, redis_url, [old])
        with redis.Redis.from_url(redis_url) as client:
            assert int(client.get(old.keyspace().checkpoint) or 0) == head_of(database_url)
    with WorkerThread(database_url, redis_url, newer(new)):
        assert_live_is_pure(database_url, redis_url, newer(new))


def test_a_newer_fold_that_fails_leaves_the_old_version_live(
    database_url: str, redis_url: str
) -> None:
    fill(database_url, dice("choosy"), 20)
    with WorkerThread(database_url, redis_url, READ_MODELS):
        wait_for_head(database_url, redis_url)
    with WorkerThread(database_url, redis_url, newer(Choosy())):
        assert eventually(lambda: any(one.ended for one in asked(redis_url, Rebuilds.all)))
    found = asked(redis_url, Rebuilds.all)
    assert (found[0].kind, found[0].state) == ("new version", "failed")
    assert found[0].reason is not None and "no taste for it" in found[0].reason
    assert standing(redis_url).active[Codes.name] == Codes.version
