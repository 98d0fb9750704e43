"""`errata up`: one command runs everything, keeps it alive, and leaves nothing behind."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.instance import (
    STOP_PATIENCE,
    Instance,
    errata,
    one_line,
    processes_of,
)
from tests.waiting import eventually


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One instance for the tests that do not stop it."""
    instance = Instance(tmp_path_factory.mktemp("up") / "running").wait()
    yield instance
    instance.stop()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that one test after the other starts an instance on."""
    return tmp_path_factory.mktemp("up") / "kept"


def count_after_report(instance: Instance) -> int:
    answered = instance.report("counted over restarts")
    assert answered.status_code == 201
    return int(answered.json()["data"]["count"])


def test_a_report_is_answered_and_can_be_read_back(running: Instance) -> None:
    reported = running.report("cannot open 17 files")
    assert reported.status_code == 201
    error_id = reported.json()["data"]["id"]
    again = running.report("cannot open 18 files")
    assert again.json()["data"]["id"] == error_id
    found = running.client.get(
        f"/api/errors/{error_id}", headers={"X-Min-Position": again.headers["X-Event-Position"]}
    )
    assert found.status_code == 200 and found.json()["data"]["count"] == 2


def test_it_says_where_it_answers_and_what_to_try(running: Instance) -> None:
    assert eventually(lambda: "Errata is up" in running.output())
    said = running.output()
    assert f"http://127.0.0.1:{running.port}" in said
    assert "X-API-Key: test-api-key" in said and str(running.folder) in said


def test_one_page_of_metrics_shows_all_processes(running: Instance) -> None:
    assert running.report("measured").status_code == 201
    shows_worker = 'errata_read_model_position{read_model="error_groups"}'
    shows_api = 'errata_http_requests_total{method="POST",route="/api/errors",status="201"}'
    shows_queries = 'errata_query_seconds_count{query="version"}'
    shows_roles = [f'role="{role}"' for role in ("api", "worker", "scheduler")]

    def all_shown() -> bool:
        text = running.client.get("/metrics").text
        memory = [one for one in text.splitlines() if one.startswith("process_resident_memory_")]
        return all(one in text for one in (shows_worker, shows_api, shows_queries)) and all(
            any(role in line for line in memory) for role in shows_roles
        )

    assert eventually(all_shown)


@pytest.mark.parametrize("part", ["api", "worker", "schedule"])
def test_a_process_that_dies_is_restarted(running: Instance, part: str) -> None:
    """The third is what Linux keeps of "errata scheduler"."""
    victim = running.part(part)
    assert victim is not None
    victim.kill()
    victim.wait(10)
    assert eventually(lambda: running.part(part) is not None and running.healthy())


def test_new_clients_wait_while_an_api_process_is_restarted(running: Instance) -> None:
    """Connections of a dead process break; new ones wait in the socket's queue."""
    victim = running.part("api")
    assert victim is not None
    victim.kill()
    for _ in range(20):
        with httpx.Client(base_url=running.client.base_url, timeout=10) as client:
            assert client.get("/health/live").status_code == 200


def test_a_second_instance_on_the_folder_is_refused(running: Instance) -> None:
    refused = errata("up", "--port", str(running.port + 1), "--data-dir", running.folder)
    assert refused.returncode == 4
    assert f"{running.folder} is in use by process {running.process.pid}" in one_line(refused)
    assert running.healthy()


def test_a_port_in_use_is_said_and_nothing_is_left(running: Instance, tmp_path: Path) -> None:
    refused = errata("up", "--port", str(running.port), "--data-dir", tmp_path / "other")
    assert refused.returncode == 4
    assert f"127.0.0.1:{running.port}: the port is in use" in one_line(refused)
    assert processes_of(tmp_path / "other") == []
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "signals",
    [
        pytest.param((signal.SIGTERM,), id="SIGTERM"),
        pytest.param((signal.SIGINT, signal.SIGINT, signal.SIGTERM), id="Ctrl-C twice"),
    ],
)
def test_a_signal_stops_everything_in_time_and_the_data_stay(
    kept: Path, signals: tuple[signal.Signals, ...]
) -> None:
    first = Instance(kept).wait()
    before = count_after_report(first)
    code, seconds = first.stop(*signals)
    assert code == 0 and seconds < STOP_PATIENCE
    assert processes_of(kept) == []
    second = Instance(kept).wait()
    assert count_after_report(second) == before + 1
    second.stop()


def test_after_kill_9_nothing_is_left_and_the_next_start_recovers(kept: Path) -> None:
    first = Instance(kept).wait()
    before = count_after_report(first)
    first.kill()
    second = Instance(kept).wait()  # at once: what is dying must not be in its way
    assert count_after_report(second) == before + 1
    second.kill()
    assert eventually(lambda: processes_of(kept) == [])


def test_a_request_that_has_begun_is_answered_before_the_stop(kept: Path) -> None:
    instance = Instance(kept).wait()
    with ThreadPoolExecutor(1) as aside:
        # Waits two seconds for a position that will not come.
        waiting = aside.submit(
            instance.client.get, "/api/errors", headers={"X-Min-Position": "1000000"}
        )
        time.sleep(0.7)
        code, seconds = instance.stop()
        assert waiting.result().status_code == 503
    assert code == 0 and seconds < STOP_PATIENCE


def test_a_signal_during_the_first_start_stops_it_too(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "new")
    assert eventually(lambda: (tmp_path / "new" / "postgres.new").exists())
    code, seconds = instance.stop(signal.SIGINT)
    assert code == 0 and seconds < STOP_PATIENCE
    assert processes_of(tmp_path / "new") == []


def test_in_production_the_owners_key_is_shown_once_and_test_keys_are_refused(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "production"
    first = Instance(folder, ENVIRONMENT="production").wait()
    assert eventually(lambda: "Errata is up" in first.output())
    said = first.output()
    key = next(word for word in said.split() if word.startswith("sk_live_"))
    assert first.report("from the owner", key=key).status_code == 201
    assert first.report("with the test key").status_code == 401
    first.stop()
    second = Instance(folder, ENVIRONMENT="production").wait()
    assert eventually(lambda: second.output().count("Errata is up") == 2)
    assert second.output().count(key) == said.count(key)
    second.stop()
