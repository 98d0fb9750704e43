"""`errata status` tells what PostgreSQL and Redis know, and which of them is away."""

from pathlib import Path

import msgspec
import pytest
import redis

from errata.condition import DOWN, UP, Condition, look
from infra.event_store.store import EventStore
from infra.heartbeat import beat_commands
from infra.settings import load_settings
from projections.registry import ALL_READ_MODELS
from projections.runner import Stopped, stopped_key
from tests.reports import SOMEBODY, report

FIRST, *OTHERS = (model.keyspace() for model in ALL_READ_MODELS)


def condition(database_url: str, redis_url: str) -> Condition:
    settings = load_settings({})
    return look(msgspec.structs.replace(settings, database_url=database_url, redis_url=redis_url))


@pytest.fixture
async def head(store: EventStore) -> int:
    """The log's head after two reports."""
    await store.execute(report("a"), SOMEBODY)
    return (await store.execute(report("b"), SOMEBODY)).position


async def test_an_empty_log_is_at_position_0(
    store: EventStore, database_url: str, redis_url: str
) -> None:
    looked = condition(database_url, redis_url)
    assert (looked.head, looked.recorded_at, looked.processes) == (0, None, [])
    assert {model.state for model in looked.read_models} == {"up to date"}


async def test_each_read_model_is_measured_against_the_head(
    head: int, database_url: str, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(FIRST.checkpoint, head)
    looked = condition(database_url, redis_url)
    first, *others = looked.read_models
    assert (first.position, first.lag_events, first.state) == (head, 0, "up to date")
    assert first.lag_seconds is None
    assert all((one.lag_events, one.state) == (head, "behind") for one in others)
    assert all(one.lag_seconds is not None and one.lag_seconds < 60 for one in others)


async def test_a_stopped_read_model_shows_where_and_why(
    head: int, database_url: str, redis_url: str
) -> None:
    stopped = Stopped(FIRST.name, 1, "some-event", "cannot be read")
    with redis.Redis.from_url(redis_url) as client:
        client.set(stopped_key(FIRST), msgspec.json.encode(stopped))
    looked = condition(database_url, redis_url)
    assert looked.stands_still and looked.read_models[0].state == "stopped"
    assert looked.read_models[0].stopped == stopped


async def test_who_gave_a_sign_of_life_is_alive(
    store: EventStore, database_url: str, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for command in beat_commands("worker"):
            client.execute_command(*command)
    (process,) = condition(database_url, redis_url).processes or []
    assert process.part == "worker"


async def test_without_redis_the_log_is_still_shown(
    head: int, database_url: str, tmp_path: Path
) -> None:
    looked = condition(database_url, f"unix://{tmp_path}/no.sock")
    assert looked.services == {"postgres": UP, "redis": DOWN}
    assert looked.away and looked.head == head and looked.reasons


def test_without_postgresql_positions_are_still_shown(redis_url: str, tmp_path: Path) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(FIRST.checkpoint, 7)
    looked = condition(f"postgresql://x@/x?host={tmp_path}", redis_url)
    assert looked.services == {"postgres": DOWN, "redis": UP}
    first = looked.read_models[0]
    assert (looked.head, first.position, first.lag_events) == (None, 7, None)
    assert first.state == "unknown"
