"""Logs are one line an entry without secrets; metrics of several processes add up."""

import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from infra.logs import configure_logging, hide_secrets
from infra.settings import Settings, load_settings

PROJECT = Path(__file__).parents[2]
KEY = "sk_live_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-abcde"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def settings(**environ: str) -> Settings:
    return load_settings(environ)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_production_logs_json_with_level_logger_time_and_process() -> None:
    stream = io.StringIO()
    configure_logging(settings(ENVIRONMENT="production"), stream)
    structlog.get_logger("errata.test.json").info("stored", events=3)
    (line,) = lines(stream)
    assert line["event"] == "stored" and line["events"] == 3
    assert line["level"] == "info" and line["logger"] == "errata.test.json"
    assert line["timestamp"].endswith("Z") and line["pid"] == os.getpid()


def test_the_standard_librarys_logging_goes_the_same_way() -> None:
    stream = io.StringIO()
    configure_logging(settings(LOG_FORMAT="json"), stream)
    logging.getLogger("somebody.else").warning("%d left", 2)
    (line,) = lines(stream)
    assert line["event"] == "2 left" and line["logger"] == "somebody.else"
    assert line["level"] == "warning"


def test_console_lines_are_for_people() -> None:
    stream = io.StringIO()
    configure_logging(settings(LOG_FORMAT="console"), stream)
    structlog.get_logger("errata.test.console").warning("slow", seconds=2)
    assert "slow" in stream.getvalue() and "seconds=2" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging(settings(LOG_FORMAT="json", LOG_LEVEL="warning"), stream)
    structlog.get_logger("errata.test.level").info("not this")
    logging.getLogger("errata.test.level").info("nor this")
    assert stream.getvalue() == ""


def test_what_is_bound_to_the_request_is_in_every_line() -> None:
    stream = io.StringIO()
    configure_logging(settings(LOG_FORMAT="json"), stream)
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("errata.test.request").info("one")
        logging.getLogger("two").warning("two")
    assert [line["request_id"] for line in lines(stream)] == ["r-1", "r-1"]


def test_an_exception_is_one_line_with_its_traceback() -> None:
    stream = io.StringIO()
    configure_logging(settings(LOG_FORMAT="json"), stream)
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger("errata.test.exception").exception("failed")
    (line,) = lines(stream)
    assert "ValueError: no" in line["exception"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("api_key", "anything"),
        ("Authorization", "Basic abc"),
        ("set_cookie", "session=1"),
        ("url", "postgresql://u:hunter2@db/errata"),
        ("reason", f"key {KEY} is not known"),
        ("header", "Bearer abcdefghijklmnop1234567890"),
    ],
)
def test_secrets_are_hidden(field: str, value: str) -> None:
    entry = hide_secrets(None, "info", {"event": "x", field: value})
    assert "[Filtered]" in entry[field]
    for secret in ("anything", "abc", "session", "hunter2", KEY, "abcdefghijklmnop"):
        assert secret not in entry[field]


def test_secrets_in_the_message_of_an_exception_are_hidden() -> None:
    stream = io.StringIO()
    configure_logging(settings(LOG_FORMAT="console"), stream)
    try:
        raise ValueError(f"cannot connect to postgres://u:hunter2@db with {KEY}")
    except ValueError:
        structlog.get_logger("errata.test.leak").exception("failed")
    assert "hunter2" not in stream.getvalue() and KEY not in stream.getvalue()


COUNT = """
import os, sys
from infra.metrics import Metrics, forget_process
from infra.settings import load_settings

def count(metrics):
    metrics.request("GET", "/api/errors", 200, 0.004)
    metrics.request("BREW", "/api/errors", 405, 0.004)
    metrics.watch_queue(lambda: 3)
    metrics.observe_commit(7, 0.01)
    metrics.observe_query("stream", 0.002)
    metrics.observe_read_model("error_groups", position=8, head=10, lag_seconds=1.5)

metrics = Metrics(load_settings({}), "api")
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        count(metrics)
        os._exit(0)
    os.waitpid(child, 0)
    children.append(child)
if sys.argv[1] == "forget":
    for child in children:
        forget_process(child)
count(metrics)
print(metrics.exposition()[0].decode())
"""


PROCESSES = """
import os, sys
from infra.metrics import Metrics
from infra.settings import load_settings

ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    Metrics(load_settings({}), "worker")
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    os._exit(0)
metrics = Metrics(load_settings({}), "api")
os.read(ready[0], 1)
if sys.argv[1] == "gone":
    os.write(go[1], b"x")
    os.waitpid(child, 0)
print(metrics.exposition()[0].decode())
os.write(go[1], b"x")
"""


def exposition(folder: Path | None, mode: str = "keep", script: str = COUNT) -> set[str]:
    """The samples that a process and its forked children have counted."""
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder or "")}
    if folder is None:
        del environ["PROMETHEUS_MULTIPROC_DIR"]
    counted = subprocess.run(
        [sys.executable, "-c", script, mode],
        cwd=PROJECT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return {line for line in counted.stdout.splitlines() if not line.startswith("#")}


def test_the_counts_of_all_processes_add_up(tmp_path: Path) -> None:
    found = exposition(tmp_path)
    labels = '{method="GET",route="/api/errors",status="200"}'
    assert f"errata_http_requests_total{labels} 3.0" in found
    assert "errata_commit_events_sum 21.0" in found
    assert "errata_commit_seconds_count 3.0" in found
    assert 'errata_query_seconds_count{query="stream"} 3.0' in found
    assert "errata_commit_queue 9.0" in found


def test_the_read_models_show_what_was_said_last(tmp_path: Path) -> None:
    found = exposition(tmp_path)
    assert 'errata_read_model_position{read_model="error_groups"} 8.0' in found
    assert 'errata_read_model_lag_events{read_model="error_groups"} 2.0' in found
    assert 'errata_read_model_lag_seconds{read_model="error_groups"} 1.5' in found
    assert "errata_log_head 10.0" in found


def test_a_dead_process_leaves_its_counts_but_not_its_queue(tmp_path: Path) -> None:
    found = exposition(tmp_path, "forget")
    assert "errata_commit_queue 3.0" in found
    assert "errata_commit_events_sum 21.0" in found


def test_methods_that_nobody_knows_share_one_label(tmp_path: Path) -> None:
    labels = '{method="other",route="/api/errors",status="405"}'
    assert f"errata_http_requests_total{labels} 3.0" in exposition(tmp_path)


def test_without_a_folder_a_process_shows_its_own_numbers() -> None:
    assert "errata_commit_events_sum 7.0" in exposition(None)


def usage(found: set[str], name: str) -> dict[str, float]:
    """A sample of each process, by its role."""
    processes = (re.fullmatch(name + r'{pid="\d+",role="(\w+)"} (\S+)', one) for one in found)
    return {one[1]: float(one[2]) for one in processes if one}


def test_memory_and_cpu_are_told_of_every_process_by_its_role(tmp_path: Path) -> None:
    found = exposition(tmp_path, script=PROCESSES)
    memory = usage(found, "process_resident_memory_bytes")
    assert set(memory) == {"api", "worker"}
    assert all(2**20 < size < 2**32 for size in memory.values())
    cpu = usage(found, "process_cpu_seconds_total")
    assert 0 < cpu["api"] < 60 and 0 <= cpu["worker"] < 60
    started = usage(found, "process_start_time_seconds")
    assert all(abs(time.time() - one) < 120 for one in started.values())


def test_a_process_that_is_gone_uses_nothing(tmp_path: Path) -> None:
    found = exposition(tmp_path, "gone", PROCESSES)
    assert set(usage(found, "process_resident_memory_bytes")) == {"api"}


def test_without_a_folder_a_process_tells_what_it_uses_itself() -> None:
    assert set(usage(exposition(None), "process_cpu_seconds_total")) == {"api"}
