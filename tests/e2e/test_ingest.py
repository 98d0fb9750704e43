"""The second document's curl commands for ingestion, as printed there, at a running instance."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.ingest_tools import batch, event
from tests.e2e.instance import Instance, errata

LIMIT = 16_777_216


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("ingest") / "running").wait()
    yield instance
    instance.stop()


def curl(*arguments: str, body: bytes = b"") -> dict[str, Any]:
    """The answer to a curl command; `@-` in it stands for the body."""
    done = subprocess.run(["curl", "-sS", *arguments], input=body, capture_output=True, check=True)
    return dict(json.loads(done.stdout))


def test_the_key_is_tested_as_printed(running: Instance) -> None:
    url = f"http://localhost:{running.port}/api/v1/ingest/test"
    assert curl("-H", "X-API-Key: ei_test_key_12345", url) == {
        "success": True,
        "appId": "test-app",
        "appName": "Test Application",
    }


def send(running: Instance, body: bytes, *more: str, key: str = "ei_test_key_12345") -> Any:
    """The document's command for a batch, its `-d` read from standard input."""
    return curl(
        *("-X", "POST", "-H", "Content-Type: application/json", "-H", f"X-API-Key: {key}"),
        *(*more, "--data-binary", "@-", f"http://localhost:{running.port}/api/v1/ingest"),
        body=body,
    )


def test_a_batch_is_sent_as_printed(running: Instance) -> None:
    assert send(running, json.dumps(batch(event())).encode()) == {"success": True, "accepted": 1}


def test_sixteen_mebibytes_pass_the_server_and_one_byte_more_does_not(running: Instance) -> None:
    start = json.dumps(batch(event()))[:-1].encode()
    whole = start + b" " * (LIMIT - len(start) - 1) + b"}"
    assert send(running, whole)["success"] is True
    assert send(running, whole + b" ")["success"] is False
    packed = gzip.compress(whole)
    assert send(running, packed, "-H", "Content-Encoding: gzip")["success"] is True


def key_works(running: Instance, key: str) -> bool:
    """What the document's test says of a key."""
    url = f"http://localhost:{running.port}/api/v1/ingest/test"
    return bool(curl("-H", f"X-API-Key: {key}", url)["success"])


def test_a_registered_application_sends_with_the_key_it_was_given(running: Instance) -> None:
    made = errata(
        *("app", "register", "com.example.app", "My Application"),
        *("--data-dir", running.folder),
    )
    (key,) = re.findall(r"\bei_[\w-]{43}\b", made.stdout)
    time.sleep(1.0)  # by then every process knows it
    assert key_works(running, key)
    ours = json.dumps(batch(event(appId="com.example.app"))).encode()
    assert send(running, ours, key=key) == {"success": True, "accepted": 1}
    others = json.dumps(batch(event(appId="test-app"))).encode()
    assert send(running, others, key=key) == {
        "success": False,
        "error": "Some events do not match authenticated app. Expected appId: com.example.app",
    }
