"""What the clients of Redis do about a server that is silent, and one that has hung up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.exceptions import TimeoutError as NoAnswer

from infra import redis as ours


class Silent:
    """A server that takes connections and says nothing."""

    def __init__(self) -> None:
        self.connections = 0

    async def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.read()
        writer.close()


@pytest.fixture(params=["tcp", "unix"])
async def silent(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[str, Silent]]:
    found = Silent()
    if request.param == "tcp":
        server = await asyncio.start_server(found.met, "127.0.0.1", 0)
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    else:
        server = await asyncio.start_unix_server(found.met, tmp_path / "redis.sock")
        url = f"unix://{tmp_path}/redis.sock"
    yield url, found
    server.close()


async def test_a_silent_redis_is_waited_for_once(
    silent: tuple[str, Silent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "ANSWER_SECONDS", 0.1)
    url, server = silent
    client = ours.connect_async(url)
    with pytest.raises(NoAnswer):
        await client.get("x")
    with pytest.raises(NoAnswer):
        await client.pipeline(transaction=False).get("x").execute()
    await client.aclose()
    assert server.connections == 2


async def test_so_it_is_by_who_works(
    silent: tuple[str, Silent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "WORK_SECONDS", 0.1)
    url, server = silent
    with ours.connect(url) as client, pytest.raises(NoAnswer):
        await asyncio.to_thread(client.get, "x")
    assert server.connections == 1


async def test_a_connection_that_was_hung_up_costs_no_answer(redis_url: str) -> None:
    client, other = ours.connect_async(redis_url), ours.connect_async(redis_url)
    with ours.connect(redis_url) as blocking:
        await client.set("x", "1")
        blocking.ping()
        await other.client_kill_filter(_type="normal", skipme=True)
        assert await client.get("x") == b"1"
        assert blocking.get("x") == b"1"
    await client.aclose()
    await other.aclose()
