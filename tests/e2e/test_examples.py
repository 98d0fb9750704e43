"""The examples for people run as they stand, against a real instance."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.instance import PROJECT, Instance, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = PROJECT / "docs" / "examples"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    running = Instance(tmp_path_factory.mktemp("examples") / "data").wait()
    yield running
    running.stop()


def run(instance: Instance, *command: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run an example to its end. Skips where its program is not installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(
        [*command[:-1], str(EXAMPLES / command[-1])],
        env=environment(BASE=f"http://127.0.0.1:{instance.port}", **extra),
        capture_output=True,
        text=True,
        timeout=30,
    )


def listed(instance: Instance, path: str) -> Any:
    answer = instance.client.get(f"/api/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_the_tour_with_curl(instance: Instance) -> None:
    done = run(instance, "bash", "tour.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["status"] for answer in answers] == ["success"] * 9
    error, errors, stats, trends, services, metrics, rule, key, resolved = (
        answer["data"] for answer in answers
    )
    assert error["context"] == {"service": "user-service"}
    assert {"errors", "total"} <= set(errors)
    assert {"total_errors", "resolution_rate"} <= set(stats)
    assert trends["data_points"]
    assert services["services"]
    assert metrics["timeframe"] == "24h"
    assert rule["condition_explained"] == "More than 50 occurrences within 5 minutes."
    assert key["permissions"] == ["read"]
    assert resolved == {"status": "resolved"}


def test_the_javascript(instance: Instance) -> None:
    done = run(instance, "node", "errors.js")
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("Logged: ", "Errors: ", "Trend data: ", "Services: ", "Rule: More than 50 occ"):
        assert line in done.stdout
    (error,) = listed(instance, "errors?source=frontend")["errors"]
    assert (error["message"], error["count"]) == ("User authentication failed", 1)
    assert error["context"] == {"user_id": "12345", "page": "/login"}
    assert error["id"] in done.stdout


@pytest.mark.parametrize("command", [("bash", "tour.sh"), ("node", "errors.js")])
def test_an_example_that_is_refused_says_so_and_fails(
    instance: Instance, command: tuple[str, str]
) -> None:
    done = run(instance, *command, API_KEY="sk_live_nobody")
    assert done.returncode != 0
    assert "the API key is unknown" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["errors.js", "tour.sh", "client.go"])
def test_every_example_takes_its_address_and_key_from_the_environment(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert re.search(r"\bBASE\b", text)
    assert re.search(r"\bAPI_KEY\b", text)
    assert text.count("http://localhost:8080") == 1
