"""The API as a process that can be killed, and clients over HTTP that never give up on a report.

The test holds the listening socket, as the supervisor does, so that clients of a killed process
wait for the next one.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from random import Random
from time import monotonic, sleep
from urllib.parse import quote
from uuid import UUID

from psycopg.conninfo import conninfo_to_dict

from domain.message import derived_id
from errata import http_server
from errata.bootstrap import prepare
from infra.settings import load_settings
from tests.faults.load import RETRY_SECONDS, event_id
from tests.faults.workers import PROCESSES
from tests.waiting import PATIENCE

ANSWER_SECONDS = 5.0
"""How long a client sends one report again and again."""


def url_of(database_url: str) -> str:
    """The same database as a URL, the only form that settings take."""
    parts = conninfo_to_dict(database_url)
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={quote(str(parts['host']))}"


class Api:
    """One API process after the other on one socket."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self._environment = {"DATABASE_URL": url_of(database_url), "REDIS_URL": redis_url}
        asyncio.run(prepare(load_settings(self._environment)))
        (self.listener,) = http_server.listen("127.0.0.1", 0, 1)
        self.port = int(self.listener.getsockname()[1])
        self._process = self._start()

    def kill(self) -> None:
        """kill -9, and a new process at once."""
        self._process.kill()
        self._process.join(10)
        self._process = self._start()

    def close(self) -> None:
        """End it for good."""
        self._process.kill()
        self._process.join(10)
        self.listener.close()

    def _start(self) -> BaseProcess:
        arguments = (self.listener, self._environment)
        process = PROCESSES.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        return process


def _serve(listener: socket.socket, environment: dict[str, str]) -> None:
    os.environ.update(environment, LOG_LEVEL="error")
    http_server.serve(listener)


class Reporter:
    """A client in a thread: reports one error after the other, each until it is acknowledged."""

    def __init__(self, port: int, seed: Random) -> None:
        self.acknowledged: list[UUID] = []
        self.answers: Counter[int] = Counter()
        self.cuts = 0
        self._port = port
        self._seed = seed
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let it finish its report."""
        self._stop = True
        self._thread.join(PATIENCE + 2 * ANSWER_SECONDS)

    def _run(self) -> None:
        while not self._stop:
            chosen = event_id(self._seed)
            give_up = monotonic() + PATIENCE
            while self._post(chosen) != 201:
                if monotonic() > give_up:
                    return
                sleep(RETRY_SECONDS)
            self.acknowledged.append(derived_id("report", "default", "id", str(chosen)))

    def _post(self, chosen: UUID) -> int:
        body = {
            "message": f"failure of part {self._seed.choice('abcdef')}",
            "source": "backend",
            "event_id": str(chosen),
        }
        return self._send("/api/errors", body)

    def _send(self, path: str, body: object) -> int:
        """The status of an answer; 0 where none came."""
        headers = {"X-API-Key": "test-api-key", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.cuts += 1
            return 0
        finally:
            connection.close()
        self.answers[answer.status] += 1
        return answer.status


class Reporters:
    """Some clients together."""

    def __init__(self, port: int, seed: Random, count: int, kind: type[Reporter]) -> None:
        self._all = [kind(port, Random(seed.random())) for _ in range(count)]

    def __iter__(self) -> Iterator[Reporter]:
        return iter(self._all)

    def stop(self) -> None:
        """Let each finish its report."""
        for one in self._all:
            one.stop()

    @property
    def acknowledged(self) -> list[UUID]:
        """The ids of the events that were acknowledged."""
        return [event for one in self._all for event in one.acknowledged]

    @property
    def answers(self) -> Counter[int]:
        """How often each status was answered."""
        return sum((one.answers for one in self._all), Counter())

    @property
    def cuts(self) -> int:
        """How many requests got no answer."""
        return sum(one.cuts for one in self._all)

    def await_more(self, reports: int, within: float = PATIENCE) -> None:
        """Return when so many more reports were acknowledged."""
        wanted = len(self.acknowledged) + reports
        deadline = monotonic() + within
        while len(self.acknowledged) < wanted:
            assert monotonic() < deadline, f"no reports any more: {self.answers}"
            sleep(0.005)


@contextmanager
def reporting(
    port: int, seed: Random, count: int = 4, kind: type[Reporter] = Reporter
) -> Iterator[Reporters]:
    """Clients that report during a block."""
    clients = Reporters(port, seed, count, kind)
    try:
        yield clients
    finally:
        clients.stop()
