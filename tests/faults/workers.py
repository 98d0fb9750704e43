"""Workers as processes that can be killed and frozen, some of them with a flaw on purpose.

They are forked from a clean process that has imported everything, so one starts in milliseconds.
What must not be in production code, dying at a chosen step or waiting less for a lease, is done
here, to the parts of the child process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any, Literal

import msgspec
import redis
import structlog

from errata import worker
from infra.settings import load_settings
from projections.postgres_runner import PostgresRunner
from projections.runner import Runner

Step = Literal["before WATCH", "after WATCH", "before EXEC", "EXEC on its way", "after EXEC"]
STEPS: tuple[Step, ...] = (
    "before WATCH",
    "after WATCH",
    "before EXEC",
    "EXEC on its way",
    "after EXEC",
)

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["tests.faults.workers", "errata.server", "granian.server.embed", "uvloop"]
)


class Flaw(msgspec.Struct, frozen=True):
    """How a worker differs from one in production.

    It dies (kill -9) when it has been `dies_after` times at the step `dies_at`; its pages hold
    `page_events`; its leases end after `lease_seconds` of silence.
    """

    dies_at: Step | None = None
    dies_after: int = 0
    page_events: int | None = None
    lease_seconds: int | None = None


def start(database_url: str, redis_url: str, flaw: Flaw | None = None) -> BaseProcess:
    """A running worker process."""
    arguments = (database_url, redis_url, flaw or Flaw())
    process = PROCESSES.Process(target=_work, args=arguments, daemon=True)
    process.start()
    return process


def kill(process: BaseProcess) -> None:
    """kill -9, and wait until it is gone."""
    process.kill()
    process.join(10)


def freeze(process: BaseProcess) -> None:
    """Stop it where it is."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)


def wake(process: BaseProcess) -> None:
    """Let it go on."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)


@contextmanager
def working(database_url: str, redis_url: str, flaw: Flaw | None = None) -> Iterator[BaseProcess]:
    """A worker for the life of a block."""
    process = start(database_url, redis_url, flaw)
    try:
        yield process
    finally:
        kill(process)


def _work(database_url: str, redis_url: str, flaw: Flaw) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if flaw.page_events is not None:
        _replace(worker, "Runner", partial(Runner, page_events=flaw.page_events))
        rows = partial(PostgresRunner, page_events=flaw.page_events)
        _replace(worker, "PostgresRunner", rows)
    if flaw.lease_seconds is not None:
        _replace(worker, "LEASE_IDLE_SECONDS", flaw.lease_seconds)
    if flaw.dies_at is not None:
        _plan_death(flaw.dies_at, flaw.dies_after)
    settings = msgspec.structs.replace(
        load_settings({}), database_url=database_url, redis_url=redis_url
    )
    worker.run_worker(settings, threading.Event())


def _plan_death(step: Step, after: int) -> None:
    pipeline = redis.client.Pipeline
    left = after

    def reached() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    when, _, what = step.partition(" ")
    if step == "EXEC on its way":
        _dies_once_sent(reached)
    elif what == "WATCH":
        _replace(pipeline, "watch", _around(pipeline.watch, when, reached))
    else:
        transaction = pipeline._execute_transaction
        _replace(pipeline, "_execute_transaction", _around(transaction, when, reached))


def _around(
    method: Callable[..., Any], when: str, reached: Callable[[], None]
) -> Callable[..., Any]:
    def surrounded(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            reached()
        answer = method(*arguments, **named)
        if when == "after":
            reached()
        return answer

    return surrounded


def _dies_once_sent(reached: Callable[[], None]) -> None:
    connection = redis.connection.AbstractConnection
    send = connection.send_packed_command

    def sent(self: Any, command: Any, check_health: bool = True) -> None:
        send(self, command, check_health)  # type: ignore[no-untyped-call]
        packed = command if isinstance(command, (list, tuple)) else [command]
        if any(b"EXEC\r\n" in bytes(part) for part in packed[-3:]):
            reached()

    _replace(connection, "send_packed_command", sent)


def _replace(owner: object, name: str, value: object) -> None:
    if not hasattr(owner, name):
        raise AttributeError(f"{owner!r} has no {name}: the fault would not happen")
    setattr(owner, name, value)
