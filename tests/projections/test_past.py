"""Read models as they were: as of any position they hold what folding the log up to there leaves,
with snapshots and without; and who builds, who waits, what goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis as blocking
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.error_group import ErrorReported
from projections.digests import digest
from projections.directory.rules import AlertRules
from projections.error_groups import ErrorGroups
from projections.past import (
    Builder,
    Goal,
    Interrupted,
    NoSnapshots,
    Overtaken,
    PastKeyspaces,
    Undigested,
)
from projections.projection import Indigestible, Keyspace
from projections.registry import READ_MODELS
from projections.runner import Runner
from projections.snapshots import rows_of
from projections.stats import Stats
from tests.projections.helpers import Log, report
from tests.projections.past_logs import logs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from uuid import UUID

    from domain.message import Recorded
    from projections.projection import RedisReadModel
    from projections.snapshots import Row

some = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class MemoryLog:
    """A log in memory, as a builder reads it."""

    def __init__(self, events: Sequence[Recorded[Any]], page: int = 2_000) -> None:
        self._events = events
        self._page = page

    def head(self) -> int:
        return len(self._events)

    def events(self, after: int, limit: int) -> Sequence[Recorded[Any]]:
        return self._events[after : after + min(limit, self._page)]

    def named(self, after: int, until: int, names: Collection[str]) -> Sequence[Recorded[Any]]:
        return [one for one in self._events[after:until] if one.name in names]

    def stream_pages(self, stream_id: UUID, until: int) -> Iterable[Sequence[Recorded[Any]]]:
        events = [one for one in self._events[:until] if one.stream_id == stream_id]
        return [events[at : at + self._page] for at in range(0, len(events), self._page)]


class KeptSnapshots:
    """Snapshots in memory."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], list[Row]] = {}

    def take(self, client: blocking.Redis, goal: Goal) -> None:
        self._rows[goal.model.name, goal.position] = list(rows_of(client, goal.keyspace))

    def nearest(self, model: RedisReadModel, position: int) -> tuple[int, Iterable[Row]]:
        at = [p for name, p in self._rows if name == model.name and p <= position]
        return (max(at), self._rows[model.name, max(at)]) if at else (0, ())


@pytest.fixture
def client(redis_socket: str) -> Iterator[blocking.Redis]:
    with blocking.Redis(unix_socket_path=redis_socket) as client:
        client.flushall()
        yield client


def content(client: blocking.Redis, space: Keyspace) -> str:
    """All that a keyspace holds, as one number."""
    return digest(client, space).total


def prefix_folded(client: blocking.Redis, events: Sequence[Recorded[Any]]) -> list[str]:
    """What each read model holds after all these events, by the live way."""
    client.flushall()
    runner = Runner(MemoryLog(events), client, READ_MODELS)
    for _ in range(10):
        runner.step()
    assert set(runner.positions().values()) == {len(events)}
    return [content(client, model.keyspace()) for model in READ_MODELS]


def built(
    client: blocking.Redis, log: MemoryLog, snapshots: Any, position: int, **more: Any
) -> list[Goal]:
    """All read models as of a position, built and checked to be whole."""
    keyspaces = PastKeyspaces(client, at_once=100, kept=1_000)
    goals = [Goal(model, position, **more) for model in READ_MODELS]
    for goal in goals:
        assert keyspaces.claim(goal.keyspace, position) in ("ours", "ready")
    together = [goal for goal in goals if position % 2 or ErrorReported in goal.model.folds]
    for some_goals in (together, *([goal] for goal in goals if goal not in together)):
        Builder(keyspaces, log, snapshots).build(some_goals)
    for goal in goals:
        assert keyspaces.claim(goal.keyspace, position) == "ready"
    return goals


@some
@given(events=logs(), page=st.integers(1, 7))
def test_as_of_every_position_is_the_fold_of_the_prefix(
    client: blocking.Redis, events: list[Recorded[Any]], page: int
) -> None:
    expected = [prefix_folded(client, events[:at]) for at in range(len(events) + 1)]
    client.flushall()
    for position, digests in enumerate(expected):
        goals = built(client, MemoryLog(events, page), NoSnapshots(), position)
        assert [content(client, goal.keyspace) for goal in goals] == digests


@some
@given(events=logs(), at=st.sets(st.integers(0, 25), max_size=3), page=st.integers(1, 7))
def test_snapshots_make_no_difference(
    client: blocking.Redis, events: list[Recorded[Any]], at: set[int], page: int
) -> None:
    log, snapshots = MemoryLog(events, page), KeptSnapshots()
    client.flushall()
    for position in at:
        if position <= len(events):
            for goal in built(client, log, NoSnapshots(), position, sign="#"):
                snapshots.take(client, goal)
    for position in range(len(events) + 1):
        plain = built(client, log, NoSnapshots(), position)
        quick = built(client, log, snapshots, position, sign="~")
        for one, other in zip(plain, quick, strict=True):
            assert content(client, one.keyspace) == content(client, other.keyspace)


@some
@given(events=logs())
def test_one_stream_alone_leaves_what_the_whole_log_leaves_of_it(
    client: blocking.Redis, events: list[Recorded[Any]]
) -> None:
    client.flushall()
    model = ErrorGroups()
    (whole,) = [
        goal
        for goal in built(client, MemoryLog(events), NoSnapshots(), len(events))
        if goal.model.name == model.name
    ]
    documents = client.hgetall(f"{whole.keyspace.prefix}documents")
    found: dict[Any, Any] = {}
    for stream in {one.stream_id for one in events if type(one.event) in model.folds}:
        keyspaces = PastKeyspaces(client, at_once=100)
        goal = Goal(model, len(events), stream)
        keyspaces.claim(goal.keyspace, goal.position)
        Builder(keyspaces, MemoryLog(events), NoSnapshots()).build([goal])
        found |= client.hgetall(f"{goal.keyspace.prefix}documents")
    assert found == documents


# -- who builds ------------------------------------------------------------------------------------


def some_log(count: int = 10) -> MemoryLog:
    log = Log()
    for number in range(count):
        log.execute(report(f"{number % 3}"))
    return MemoryLog(log.events, 2)


def test_two_are_built_at_a_time_and_others_wait(client: blocking.Redis) -> None:
    keyspaces = PastKeyspaces(client, at_once=2)
    claims = [keyspaces.claim(Goal(Stats(), at).keyspace, at) for at in (1, 2, 3, 1)]
    assert claims == ["ours", "ours", "full", "building"]
    keyspaces.release(Goal(Stats(), 1).keyspace)
    assert keyspaces.claim(Goal(Stats(), 3).keyspace, 3) == "ours"


def test_the_claim_of_one_that_died_ends(
    client: blocking.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.past.CLAIM_SECONDS", -1)
    keyspaces, goal = PastKeyspaces(client), Goal(Stats(), 1)
    assert [keyspaces.claim(goal.keyspace, 1) for _ in range(3)] == ["ours"] * 3


def test_one_that_was_interrupted_is_built_again_from_the_start(client: blocking.Redis) -> None:
    keyspaces, goal = PastKeyspaces(client), Goal(Stats(), 10)
    turns = iter((True, True, False))

    def still() -> None:
        if not next(turns):
            raise Interrupted

    keyspaces.claim(goal.keyspace, 10)
    with pytest.raises(Interrupted):
        Builder(keyspaces, some_log(), NoSnapshots(), still).build([goal])
    assert 0 < (keyspaces.position(goal.keyspace) or 0) < 10
    assert keyspaces.claim(goal.keyspace, 10) == "ours"
    Builder(keyspaces, some_log(), NoSnapshots()).build([goal])
    fresh = Goal(Stats(), 10, sign="~")
    keyspaces.claim(fresh.keyspace, 10)
    Builder(keyspaces, some_log(), NoSnapshots()).build([fresh])
    assert content(client, goal.keyspace) == content(client, fresh.keyspace)


def test_a_builder_that_was_overtaken_writes_nothing_more(client: blocking.Redis) -> None:
    keyspaces, goal = PastKeyspaces(client), Goal(Stats(), 10)
    overtaken: list[str] = []

    def still() -> None:
        if not overtaken:  # in the middle: another takes over, and finishes
            overtaken.append("now")
            Builder(keyspaces, some_log(), NoSnapshots()).build([goal])
            overtaken.append(content(client, goal.keyspace))

    with pytest.raises(Overtaken):
        Builder(keyspaces, some_log(), NoSnapshots(), still).build([goal])
    assert overtaken[1] == content(client, goal.keyspace)
    assert keyspaces.claim(goal.keyspace, 10) == "ready"


def test_an_event_that_cannot_be_folded_is_said_and_the_place_given_back(
    client: blocking.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fold(self: Stats, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Any]:
        raise Indigestible(events[0], "is not to its taste")

    monkeypatch.setattr(Stats, "fold", fold)
    keyspaces, goal = PastKeyspaces(client), Goal(Stats(), 10)
    keyspaces.claim(goal.keyspace, 10)
    with pytest.raises(Undigested, match=r"stats cannot fold .* is not to its taste"):
        Builder(keyspaces, some_log(), NoSnapshots()).build([goal])
    assert keyspaces.claim(goal.keyspace, 10) == "ours"


# -- what goes -------------------------------------------------------------------------------------


def test_what_has_expired_is_swept_and_nothing_else(client: blocking.Redis) -> None:
    keyspaces = PastKeyspaces(client, at_once=10)
    for at in (2, 4):
        keyspaces.claim(Goal(Stats(), at).keyspace, at)
        Builder(keyspaces, some_log(), NoSnapshots()).build([Goal(Stats(), at)])
    client.delete(Goal(Stats(), 2).keyspace.checkpoint)  # as expiry does
    keyspaces.claim(Goal(AlertRules(), 3).keyspace, 3)  # being built
    assert keyspaces.sweep() == 1
    assert list(client.scan_iter(Goal(Stats(), 2).keyspace.prefix + "*")) == []
    assert keyspaces.claim(Goal(Stats(), 4).keyspace, 4) == "ready"


def test_of_too_many_the_longest_unused_go(client: blocking.Redis) -> None:
    keyspaces = PastKeyspaces(client, at_once=10, kept=2)
    for at in (1, 2, 3):
        keyspaces.claim(Goal(Stats(), at).keyspace, at)
        Builder(keyspaces, some_log(), NoSnapshots()).build([Goal(Stats(), at)])
        client.expire(Goal(Stats(), at).keyspace.checkpoint, 100 * at)
    assert keyspaces.sweep() == 1
    assert [keyspaces.position(Goal(Stats(), at).keyspace) for at in (1, 2, 3)] == [None, 2, 3]


def test_what_is_asked_for_again_stays(client: blocking.Redis) -> None:
    keyspaces, goal = PastKeyspaces(client, lifetime=100), Goal(Stats(), 2)
    keyspaces.claim(goal.keyspace, 2)
    Builder(keyspaces, some_log(), NoSnapshots()).build([goal])
    client.expire(goal.keyspace.checkpoint, 5)
    keyspaces.claim(goal.keyspace, 2)
    assert client.ttl(goal.keyspace.checkpoint) > 90
