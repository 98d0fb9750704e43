"""What the tests of the embedded servers do with a data folder, here and in other processes."""

import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]
import psycopg
import pytest
from redis import Redis

from infra.embedded import Endpoints

PROJECT = Path(__file__).parents[2]


def processes_in(folder: Path) -> list[psutil.Process]:
    """The live processes that work in the folder or below."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder.resolve()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def write(endpoints: Endpoints, value: int) -> None:
    with psycopg.connect(endpoints.database_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])
    with Redis.from_url(endpoints.redis_url) as client:
        client.rpush("kept", value)


def read(endpoints: Endpoints) -> tuple[list[int], list[int]]:
    with psycopg.connect(endpoints.database_url) as connection:
        rows = connection.execute("SELECT value FROM kept ORDER BY value").fetchall()
    with Redis.from_url(endpoints.redis_url) as client:
        members = client.lrange("kept", 0, -1)
    return [row[0] for row in rows], [int(member) for member in members]


def setting(endpoints: Endpoints, name: str) -> str:
    with psycopg.connect(endpoints.database_url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


HOLD_SERVERS = """
import sys, threading, time
from pathlib import Path
from infra.embedded import EmbeddedServers

def hold():
    servers = EmbeddedServers.start(Path(sys.argv[1]), durable=False)
    print(servers.database_url, servers.redis_url, flush=True)

if sys.argv[2] == "main thread":
    hold()
else:
    threading.Thread(target=hold).start()
sys.stdin.read()
"""


def hold_servers(folder: Path, where: str) -> tuple[subprocess.Popen[str], Endpoints]:
    """Another process that runs the servers of the folder until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_SERVERS, str(folder), where],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Endpoints(*process.stdout.readline().split())


def spin(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT count(*) FROM generate_series(1, 10000000000)")


USE_SERVERS = """
import os, sys, psycopg
from pathlib import Path
from infra.embedded import EmbeddedServers, postgres
for expected in (1, 2):
    servers = EmbeddedServers.start(Path(sys.argv[1]), durable=False)
    try:
        with psycopg.connect(servers.database_url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
            connection.execute("INSERT INTO kept VALUES (1)")
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (expected,)
    finally:
        servers.stop()
print(postgres._installed()[1])
"""


def use_servers(
    python: str, folder: Path, environment: dict[str, str], user: str | None = None
) -> str:
    """Start, use and stop the servers twice in another process; returns where its binaries are."""
    used = subprocess.run(
        [python, "-c", USE_SERVERS, str(folder)],
        cwd=PROJECT,
        env=environment,
        user=user,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert used.returncode == 0, used.stderr
    return used.stdout
