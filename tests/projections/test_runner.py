"""The runner moves read models on by whole pages, each once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis

from domain.app import AppRegistered
from domain.message import Event, Recorded
from projections.projection import (
    CLEARING,
    POSITIONS,
    Keyspace,
    Page,
    RedisReadModel,
    Write,
)
from projections.runner import Runner
from tests.spec import recorded


class ListOfApps(RedisReadModel):
    """The ids of applications in the order of their events."""

    name = "test_list"
    version = 1
    folds: frozenset[type[Event]] = frozenset({AppRegistered})
    ignores: frozenset[type[Event]] = frozenset()

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        return [("RPUSH", f"{keyspace.prefix}apps", *(one.event.app for one in events))]


class OtherList(ListOfApps):
    name = "test_other"


class WritesWrongly(ListOfApps):
    """Its second page sends a command that Redis only refuses when it runs it."""

    name = "test_wrong"
    healed = False

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        writes = super().fold(keyspace, events)
        if events[0].position > 1 and not self.healed:
            writes.append(("INCR", f"{keyspace.prefix}apps"))
        return writes


class AFewEvents:
    """A log of so many registrations."""

    def __init__(self, count: int) -> None:
        self.all = recorded(AppRegistered(app=f"app{n}", app_name="x") for n in range(count))

    def head(self) -> int:
        return len(self.all)

    def events(self, after: int, limit: int) -> Sequence[Recorded[Any]]:
        return self.all[after : after + limit]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as one:
        yield one


def apps(client: redis.Redis, model: RedisReadModel) -> list[bytes]:
    """What a read model holds."""
    found: Any = client.lrange(f"{model.keyspace().prefix}apps", 0, -1)
    return list(found)


def run(runner: Runner) -> None:
    """Until nothing moves any more."""
    while runner.step():
        pass


def test_read_models_behind_and_ahead_of_each_other_all_get_each_event_once(
    client: redis.Redis,
) -> None:
    log, first, other = AFewEvents(10), ListOfApps(), OtherList()
    run(Runner(AFewEvents(4), client, [first], page_events=3))
    run(Runner(log, client, [first, other], page_events=3))
    assert apps(client, first) == apps(client, other) == [b"app%d" % n for n in range(10)]


def test_a_page_is_announced_once_for_all_whom_it_moves(client: redis.Redis) -> None:
    with client.pubsub() as channel:  # type: ignore[no-untyped-call]
        channel.subscribe(POSITIONS)
        run(Runner(AFewEvents(5), client, [ListOfApps(), OtherList()], page_events=3))
        heard = []
        while (message := channel.get_message(timeout=0.2)) is not None:
            heard += [message["data"]] if message["type"] == "message" else []
    assert heard == [b"test_list.v1 %d\ntest_other.v1 %d" % (at, at) for at in (3, 5)]


def test_a_checkpoint_that_moved_meanwhile_keeps_a_page_out(client: redis.Redis) -> None:
    """Another worker folded the page between our look and our write; ours writes nothing."""
    log, model = AFewEvents(6), ListOfApps()
    mine, theirs = Runner(log, client, [model], page_events=3), Runner(log, client, [model])
    mine.step()  # clears
    mine.step()  # starts
    page = mine._fold(model.keyspace(), _first_page(log))
    assert page is not None
    run(theirs)
    assert not mine._move_on([page])
    assert apps(client, model) == [b"app%d" % n for n in range(6)]


def _first_page(log: AFewEvents) -> Page:
    return Page(0, 3, tuple(log.all[:3]))


def test_a_half_written_transaction_is_built_again(client: redis.Redis) -> None:
    """Redis runs the other commands of a transaction in which one fails, the checkpoint's too."""
    log, model, other = AFewEvents(6), WritesWrongly(), ListOfApps()
    runner = Runner(log, client, [model, other], page_events=3)
    for _ in range(4):
        runner.step()
    assert client.get(model.keyspace().checkpoint) == b"%d" % CLEARING
    model.healed = True
    run(runner)
    assert apps(client, model) == apps(client, other) == [b"app%d" % n for n in range(6)]


class Stumbles(ListOfApps):
    """Has a mistake that one event brings to light."""

    name = "test_stumbles"

    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        for one in events:
            {"app4": lambda: 1 / 0}.get(one.event.app, lambda: None)()
        return super().fold(keyspace, events)


def test_a_mistake_in_a_fold_stops_that_read_model_at_that_event_and_no_other(
    client: redis.Redis,
) -> None:
    log, model, other = AFewEvents(6), Stumbles(), ListOfApps()
    runner = Runner(log, client, [model, other])
    run(runner)
    assert apps(client, model) == [b"app%d" % n for n in range(4)]
    assert apps(client, other) == [b"app%d" % n for n in range(6)]
    stopped = runner.stopped["test_stumbles"]
    assert (stopped.position, stopped.reason) == (5, "ZeroDivisionError: division by zero")
