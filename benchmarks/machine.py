"""What we measure on: without it no figure means anything."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path

import msgspec
import psutil
import psycopg
import redis

from benchmarks.result import Options, figure
from infra.embedded import EmbeddedServers

_SYNCS = 20


class Machine(msgspec.Struct, frozen=True):
    """Processors, memory (GiB), versions, and how long one 8 KiB write takes to reach the disk."""

    cores: int
    memory_gib: float
    python: str
    postgres: str
    redis: str
    fsync_ms: float
    load_before: float

    def __str__(self) -> str:
        return (
            f"{self.cores} cores, {figure(self.memory_gib)} GiB, Python {self.python}, "
            f"PostgreSQL {self.postgres}, Redis {self.redis}, write and fsync of 8 KiB "
            f"{figure(self.fsync_ms)} ms, load before {self.load_before:.2f}"
        )


def look(options: Options) -> Machine:
    """Ask the machine, and servers started for that, in the folder where data will be."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="errata-", dir=options.data) as folder:
        fsync_ms = _fsync_ms(Path(folder) / "synced")
        servers = EmbeddedServers.start(Path(folder) / "data", durable=False)
        try:
            with psycopg.connect(servers.database_url) as connection:
                number = connection.info.server_version
            with redis.Redis.from_url(servers.redis_url) as client:
                about = client.info("server")
        finally:
            servers.stop()
    return Machine(
        cores=os.cpu_count() or 1,
        memory_gib=psutil.virtual_memory().total / 2**30,
        python=platform.python_version(),
        postgres=f"{number // 10_000}.{number % 10_000}",
        redis=str(about["redis_version"]),
        fsync_ms=fsync_ms,
        load_before=load_before,
    )


def _fsync_ms(path: Path) -> float:
    """The median of several."""
    taken = []
    with path.open("wb") as file:
        for _ in range(_SYNCS):
            started = time.perf_counter()
            file.write(bytes(8_192))
            file.flush()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - started) * 1e3)
    return sorted(taken)[_SYNCS // 2]
