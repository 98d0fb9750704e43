"""A whole instance on this machine: `errata up`. Read `run` from the top.

Everything heavy is imported once, while the embedded servers start, and shared by all processes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path

import msgspec
import structlog

from errata import http_server
from errata.children import Child, end_strays, until_told
from errata.supervisor import StopSignals, StopWanted, Supervisor
from infra.embedded import EmbeddedError, EmbeddedServers
from infra.settings import Settings

log = structlog.get_logger("errata.instance")

STOP_SECONDS = 4.5
"""From the signal to the last process; PostgreSQL gets what the others leave of it."""
_LEAST_FOR_SERVERS = 1.0
_STRAYS_SECONDS = 1.0
_TURN_SECONDS = 0.05
_SERVERS_SECONDS = 1.0
_IMPATIENT_SECONDS = 10.0
_METRICS = "PROMETHEUS_MULTIPROC_DIR"
_SHARED_MODULES = ("errata.server", "errata.worker", "errata.scheduler", "granian.server.embed")

Greeter = Callable[[Settings, str | None], None]
"""Told once when the instance answers: its settings, and the owner's key if one was made."""


class StartFailed(Exception):
    """A part ended before the instance was ready; the message says which, and how."""


def run(settings: Settings, greet: Greeter) -> None:
    """Start everything, keep it alive, and return when a signal has stopped it.

    Raises CannotListen, EmbeddedError, StartFailed, SchemaTooNew, and psycopg.Error when a
    database that we do not run ourselves cannot be used.
    """
    signals = StopSignals()
    with ExitStack() as undo, _metrics_folder(settings) as empty_metrics:
        undo.callback(end_strays, _STRAYS_SECONDS)  # last of all, normally there are none
        listeners = http_server.listen(settings.host, settings.port, settings.api_workers)
        undo.callback(http_server.close, listeners)
        try:
            with signals.interrupting():
                servers = _start_servers(settings)
                if servers is not None:
                    undo.callback(_stop_servers, servers, signals)
                    settings = _with_urls(settings, servers)
                empty_metrics()
                owner_key = _prepare(settings)
        except StopWanted:
            return
        _share_memory()
        supervisor = Supervisor(_parts(settings, listeners), _forget)
        undo.callback(supervisor.stop)
        undo.callback(http_server.close, listeners)  # first of all: no new connections
        supervisor.start()
        _wait_until_ready(settings, supervisor, signals)
        if not signals.wanted:
            greet(settings, owner_key)
        _keep_alive(supervisor, servers, signals)


def run_api(settings: Settings) -> None:
    """Only the API, `api_workers` processes of it, until a signal stops it.

    Raises CannotListen, StartFailed.
    """
    signals = StopSignals()
    with ExitStack() as undo, _metrics_folder(settings) as empty_metrics:
        listeners = http_server.listen(settings.host, settings.port, settings.api_workers)
        empty_metrics()
        import_module("errata.server")
        _share_memory()
        children = [Child("api", partial(http_server.serve, one)) for one in listeners]
        supervisor = Supervisor(children, _forget)
        undo.callback(supervisor.stop)
        undo.callback(http_server.close, listeners)
        supervisor.start()
        _keep_alive(supervisor, None, signals)


def work(settings: Settings, stop_signals: Iterable[signal.Signals] = (signal.SIGTERM,)) -> None:
    """A worker in this process, until a stop signal."""
    from errata.collector import collect_seldom
    from errata.worker import run_worker
    from infra.metrics import Metrics

    collect_seldom()
    observe = Metrics(settings, "worker").observe_read_model
    until_told(lambda stop: run_worker(settings, stop, observe=observe), stop_signals)


def schedule(
    settings: Settings, stop_signals: Iterable[signal.Signals] = (signal.SIGTERM,)
) -> None:
    """A scheduler in this process, until a stop signal."""
    from errata.alerting import Surroundings
    from errata.scheduler import run_scheduler
    from infra.metrics import Metrics

    metrics = Metrics(settings, "scheduler")
    around = Surroundings(observe=metrics.observe_alerting, observe_sending=metrics.observe_sending)
    until_told(lambda stop: run_scheduler(settings, stop, around), stop_signals)


@contextmanager
def _metrics_folder(settings: Settings) -> Iterator[Callable[[], None]]:
    """A folder where all processes count, unless the environment names one.

    Gives what empties it: to be called when the data folder is ours, as the temporary folder of
    an instance that was killed stays behind otherwise.
    """
    if _METRICS in os.environ:
        yield lambda: None
        return
    embedded = settings.database_url is None or settings.redis_url is None
    folder = (
        settings.data_dir.resolve() / "metrics"
        if embedded
        else Path(tempfile.mkdtemp(prefix="errata-metrics-"))
    )
    os.environ[_METRICS] = str(folder)

    def empty() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    try:
        yield empty
    finally:
        if not embedded:
            shutil.rmtree(folder, ignore_errors=True)


def _start_servers(settings: Settings) -> EmbeddedServers | None:
    """The servers that no URL is set for. Meanwhile the modules of all parts are imported."""
    postgres, redis = settings.database_url is None, settings.redis_url is None
    with ThreadPoolExecutor(1) as aside:  # ends before the first fork
        importing = aside.submit(lambda: [import_module(name) for name in _SHARED_MODULES])
        servers = (
            EmbeddedServers.start(settings.data_dir, postgres=postgres, redis=redis)
            if postgres or redis
            else None
        )
        importing.result()
    return servers


def _with_urls(settings: Settings, servers: EmbeddedServers) -> Settings:
    """The settings with the servers' addresses, in the environment of the children too."""
    found = msgspec.structs.replace(
        settings,
        database_url=settings.database_url or servers.database_url,
        redis_url=settings.redis_url or servers.redis_url,
    )
    os.environ["DATABASE_URL"] = found.database_url_or_fail()
    os.environ["REDIS_URL"] = found.redis_url_or_fail()
    return found


def _prepare(settings: Settings) -> str | None:
    from errata.bootstrap import prepare

    return asyncio.run(prepare(settings))


def _parts(settings: Settings, listeners: list[http_server.Listener]) -> list[Child]:
    return [
        *(Child("api", partial(http_server.serve, listener)) for listener in listeners),
        Child("worker", partial(work, settings)),
        Child("scheduler", partial(schedule, settings)),
    ]


def _share_memory() -> None:
    """Keep the children's garbage collectors off what they share: to touch it is to copy it."""
    gc.collect()
    gc.freeze()


def _forget(pid: int) -> None:
    from infra.metrics import forget_process

    forget_process(pid)


def _wait_until_ready(settings: Settings, supervisor: Supervisor, signals: StopSignals) -> None:
    started = reminded = time.monotonic()
    while not signals.wanted:
        reason = http_server.not_ready(settings.host, settings.port)
        if reason is None:
            return
        ended = supervisor.tend()
        if ended:
            raise StartFailed(f"{ended[0]} before it was ready; its log says why")
        if time.monotonic() - reminded > _IMPATIENT_SECONDS:
            reminded = time.monotonic()
            log.warning("not ready yet", seconds=round(reminded - started), reason=reason)
        time.sleep(_TURN_SECONDS)


def _keep_alive(
    supervisor: Supervisor, servers: EmbeddedServers | None, signals: StopSignals
) -> None:
    looked = time.monotonic()
    while not signals.wanted:
        supervisor.tend()
        if servers is not None and time.monotonic() - looked > _SERVERS_SECONDS:
            _tend_servers(servers, signals)
            looked = time.monotonic()
        time.sleep(_TURN_SECONDS)


def _tend_servers(servers: EmbeddedServers, signals: StopSignals) -> None:
    try:
        with signals.interrupting():
            for name in servers.tend():
                log.error("embedded server died, restarted", server=name)
    except EmbeddedError as error:
        log.error("embedded server does not start, trying again", reason=str(error))
    except StopWanted:
        return


def _stop_servers(servers: EmbeddedServers, signals: StopSignals) -> None:
    left = STOP_SECONDS - signals.seconds_since_wanted()
    servers.stop(timeout=max(_LEAST_FOR_SERVERS, left))
