"""A real `errata up` in a process of its own, and what the tests ask of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped,unused-ignore]

from tests.waiting import eventually

PROJECT = Path(__file__).parents[2]
KEY = "test-api-key"
START_PATIENCE = 30.0
STOP_PATIENCE = 5.0
_OURS = ("DATABASE_URL", "REDIS_URL", "PORT", "HOST", "ENVIRONMENT", "ERRATA_DATA_DIR")


def environment(**extra: str) -> dict[str, str]:
    """The environment without settings of ours, and with `extra`."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    kept.pop("PROMETHEUS_MULTIPROC_DIR", None)
    return {**kept, **extra}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def errata(*arguments: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "errata", *map(str, arguments)],
        cwd=PROJECT,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=60,
    )


def processes_of(folder: Path) -> list[psutil.Process]:
    """All live processes that were started for a data folder: ours name it, the servers are in
    it."""
    found = []
    for process in psutil.process_iter():
        try:
            named = any(str(folder) in argument for argument in process.cmdline())
            if process.pid != os.getpid() and named:
                found.append(process)
        except psutil.Error:  # gone meanwhile
            continue
    return found


class Instance:
    """`errata up` (or `errata api`) on a data folder; `stop` or `kill` it."""

    def __init__(self, folder: Path, command: str = "up", **extra: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder.with_name(f"{folder.name}.{command}.log")
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"X-API-Key": KEY}, timeout=10
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "errata", command, "--workers", "2"),
                    *("--port", str(self.port), "--data-dir", str(folder)),
                ],
                cwd=PROJECT,
                env=environment(**extra),
                stdout=log,
                stderr=log,
            )

    def wait(self) -> Instance:
        """Return when it answers that all its parts are up."""
        answers = eventually(
            lambda: self.healthy() or self.process.poll() is not None, START_PATIENCE
        )
        assert answers and self.process.poll() is None, self.output()
        return self

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, *signals: signal.Signals) -> tuple[int, float]:
        """Send the signals; returns the exit code and the seconds it took."""
        started = time.monotonic()
        for number in signals or (signal.SIGTERM,):
            self.process.send_signal(number)
            time.sleep(0.05)
        code = self.process.wait(START_PATIENCE)
        self.client.close()
        return code, time.monotonic() - started

    def kill(self) -> None:
        """kill -9 of the supervisor alone."""
        self.process.kill()
        self.process.wait(10)
        self.client.close()

    def part(self, name: str) -> psutil.Process | None:
        """A child by the name it shows in ps; None while there is none."""
        children = psutil.Process(self.process.pid).children()
        return next((child for child in children if child.name() == f"errata {name}"), None)

    def report(self, message: str, key: str = KEY, **extra: Any) -> httpx.Response:
        body = {"message": message, "source": "e2e", **extra}
        return self.client.post("/api/errors", json=body, headers={"X-API-Key": key})

    def healthy(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command wrote to stderr, and nothing else."""
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line
