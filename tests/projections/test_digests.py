"""Digests: equal for what was folded from the same events, and telling keys that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from projections.digests import Difference, content, differences, digest
from projections.projection import Keyspace
from projections.runner import stopped_key

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE, OTHER = Keyspace("test_digests", 1), Keyspace("test_digests", 2)
MANY = 5_000


@pytest.fixture
def client(redis_socket: str) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=redis_socket) as one:
        one.flushall()
        yield one


def fill(client: redis.Redis, space: Keyspace, *, backwards: bool = False) -> None:
    """The same content of every type, small and large, put in forwards or backwards."""
    numbers = range(MANY)[::-1] if backwards else range(MANY)
    prefix = space.prefix
    client.hset(f"{prefix}large", mapping={f"field{n}": n for n in numbers})
    client.zadd(f"{prefix}scores", {f"member{n}": n / 3 for n in numbers})
    client.sadd(f"{prefix}set", *(f"member{n}" for n in numbers))
    client.set(f"{prefix}text", "x")
    for n in numbers:
        client.hset(f"{prefix}small:{n % 1500}", f"{n}", n)
        client.pfadd(f"{prefix}few", n % 1200)
        client.pfadd(f"{prefix}many", n)
    client.pfcount(f"{prefix}few")


def test_the_order_in_which_things_came_does_not_matter(client: redis.Redis) -> None:
    fill(client, ONE)
    fill(client, OTHER, backwards=True)
    one, other = digest(client, ONE), digest(client, OTHER)
    assert differences(one, other) == []
    assert one.total == other.total
    assert len(one.keys) == 1506


def test_where_a_version_stands_is_not_what_it_holds(client: redis.Redis) -> None:
    client.set(f"{ONE.prefix}text", "x")
    before = digest(client, ONE)
    client.set(ONE.checkpoint, 7)
    client.set(stopped_key(ONE), "{}")
    assert digest(client, ONE) == before


def test_differences_name_the_keys_and_what_is_wrong_with_them(client: redis.Redis) -> None:
    fill(client, ONE)
    fill(client, OTHER)
    client.hincrby(f"{ONE.prefix}large", "field7", 1)
    client.zadd(f"{ONE.prefix}scores", {"member7": 7.5})
    client.delete(f"{ONE.prefix}small:3")
    client.sadd(f"{ONE.prefix}new", "member")
    client.pfadd(f"{ONE.prefix}few", "one more")
    found, expected = digest(client, ONE), digest(client, OTHER)
    assert found.total != expected.total
    assert differences(found, expected) == [
        Difference(b"few", "changed"),
        Difference(b"large", "changed"),
        Difference(b"new", "unexpected"),
        Difference(b"scores", "changed"),
        Difference(b"small:3", "missing"),
    ]


def test_a_key_is_read_whole(client: redis.Redis) -> None:
    fill(client, ONE)
    assert content(client, ONE, b"large") == {b"field%d" % n: b"%d" % n for n in range(MANY)}
    assert content(client, ONE, b"set") == {b"member%d" % n: True for n in range(MANY)}
    assert content(client, ONE, b"scores")[b"member4"] == 4 / 3
    assert content(client, ONE, b"text") == {b"": b"x"}
    assert content(client, ONE, b"nothing") == {}


def test_an_empty_version_has_a_digest_too(client: redis.Redis) -> None:
    assert digest(client, ONE) == digest(client, OTHER)
    assert digest(client, ONE).total == "0" * 32
