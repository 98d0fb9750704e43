"""Open connections to the API: each process tells its own, whoever asks gets those of all."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as async_redis

from infra import open_connections
from infra.open_connections import FRESH_SECONDS, OpenConnections, connections_to
from infra.redis import connect_async
from tests.waiting import eventually

NOON = 1_756_468_805.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[async_redis.Redis]:
    connected = connect_async(redis_url)
    yield connected
    await connected.aclose()


def test_the_clients_of_a_port_are_counted_and_no_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert connections_to(port) == 0
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            assert connections_to(port) == 1
        assert eventually(lambda: connections_to(port) == 0)


async def test_the_connections_of_all_processes_are_added_up(
    client: async_redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, process in ((3, "here:1"), (4, "here:2"), (5, "there:1"), (6, "there:1")):
        monkeypatch.setattr(open_connections, "connections_to", lambda port, n=number: n)
        monkeypatch.setattr(open_connections, "_process", lambda name=process: name)
        await OpenConnections(client, 80, clock=Clock()).tell()
    assert await OpenConnections(client, 80, clock=Clock()).total() == 3 + 4 + 6


async def test_a_process_that_fell_silent_counts_no_more(client: async_redis.Redis) -> None:
    clock = Clock()
    connections = OpenConnections(client, 1, clock=clock)
    await connections.tell()
    assert await connections.total() == 0
    clock.now += FRESH_SECONDS + 1
    assert await connections.total() is None
    assert await client.keys("errata:{requests}:open") == []


async def test_a_process_tells_from_its_start_until_it_stops(client: async_redis.Redis) -> None:
    connections = OpenConnections(client, 1)
    await connections.start()
    while await connections.total() is None:
        pass
    assert await connections.total() == 0
    await connections.stop()
    assert await connections.total() is None
