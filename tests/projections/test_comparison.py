"""Two versions of a read model are compared, whatever their keys are, while both move on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis

from projections import comparison
from projections.comparison import Versions
from projections.projection import Keyspace

LIVE, NEW = Keyspace("things", 1), Keyspace("things", 1001)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as one:
        for space in (LIVE, NEW):
            move(one, space, 1)
        yield one


def move(client: redis.Redis, space: Keyspace, position: int) -> None:
    """Bring a version to a position: keys of all types, large ones too."""
    prefix = space.prefix
    client.set(f"{prefix}string", position)
    client.hset(f"{prefix}hash", mapping={f"field {n}": n * position for n in range(700)})
    client.sadd(f"{prefix}set", *(f"member {n}" for n in range(position + 3)))
    client.zadd(f"{prefix}zset", {f"member {n}": n + position for n in range(700)})
    client.pfadd(f"{prefix}different", *(f"value {n}" for n in range(position)))
    client.set(space.checkpoint, position)


def differences(client: redis.Redis) -> list[tuple[bytes, str]]:
    compared = Versions(client, LIVE, NEW, lambda seconds: None).compare()
    return [(key, what) for key, what in compared.differences]


def test_two_that_hold_the_same_do_not_differ(client: redis.Redis) -> None:
    assert differences(client) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("SET", "string", "2"), (b"string", "changed")),
        (("HSET", "hash", "field 600", "x"), (b"hash", "changed")),
        (("HSET", "hash", "one more", "x"), (b"hash", "changed")),
        (("HDEL", "hash", "field 600"), (b"hash", "changed")),
        (("SADD", "set", "one more"), (b"set", "changed")),
        (("SREM", "set", "member 1"), (b"set", "changed")),
        (("ZADD", "zset", 1, "member 600"), (b"zset", "changed")),
        (("ZREM", "zset", "member 600"), (b"zset", "changed")),
        (("PFADD", "different", "another"), (b"different", "changed")),
        (("DEL", "set"), (b"set", "missing")),
        (("SET", "nobody's", "x"), (b"nobody's", "unexpected")),
        (("SET", "zset", "of another type"), (b"zset", "changed")),
    ],
    ids=str,
)
def test_each_way_to_differ_is_found(
    client: redis.Redis, command: tuple[str, ...], expected: tuple[bytes, str]
) -> None:
    name, key, *rest = command
    client.execute_command(name, LIVE.prefix + key, *rest)  # type: ignore[no-untyped-call]
    assert differences(client) == [expected]


def test_members_in_another_order_are_compared_inside_redis(client: redis.Redis) -> None:
    """They are never sent: what is so large is kept in the order of its history."""
    for space, step in ((LIVE, 1), (NEW, -1)):
        numbers = range(700)[::step]
        client.hset(f"{space.prefix}hash", mapping={f"field {n}": n for n in numbers})
        client.hset(f"{space.prefix}turned", mapping={f"field {n}": n for n in numbers})
        client.sadd(f"{space.prefix}turned set", *(f"member {n}" for n in numbers))
    client.config_resetstat()
    assert differences(client) == []
    assert {"cmdstat_hscan", "cmdstat_sscan"}.isdisjoint(client.info("commandstats"))


@pytest.mark.parametrize("limit", [1, 699, 700, 1_000])
def test_redis_compares_a_page_of_keys_in_parts(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """However few members it may look at in one go."""
    monkeypatch.setattr(comparison, "_ALIKE_UP_TO", limit)
    assert differences(client) == []
    for key in ("hash", "zset"):
        client.delete(f"{LIVE.prefix}{key}")
    client.sadd(f"{LIVE.prefix}set", "one more")
    assert differences(client) == [
        (b"hash", "missing"),
        (b"set", "changed"),
        (b"zset", "missing"),
    ]


def test_what_only_changes_meanwhile_does_not_differ(client: redis.Redis) -> None:
    """Each step is one transaction for both versions, as a runner's is; one thing is spoilt."""
    client.hset(f"{LIVE.prefix}hash", "spoilt", "x")
    stop = threading.Event()

    def go_on() -> None:
        position = 1
        while not stop.is_set():
            position += 1
            with client.pipeline(transaction=True) as pipeline:
                for space in (LIVE, NEW):
                    move(pipeline, space, position)
                pipeline.execute()

    mover = threading.Thread(target=go_on, daemon=True)
    mover.start()
    try:
        for _ in range(5):
            assert differences(client) == [(b"hash", "changed")]
    finally:
        stop.set()
        mover.join(10)


def test_a_comparison_waits_until_both_stand_at_one_position(client: redis.Redis) -> None:
    client.set(NEW.checkpoint, 2)
    waited = 0

    def pause(seconds: float) -> None:
        nonlocal waited
        waited += 1
        if waited == 5:
            client.set(LIVE.checkpoint, 2)

    compared = Versions(client, LIVE, NEW, pause).compare()
    assert (compared.differences, compared.position) == ([], 2)
