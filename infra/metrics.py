"""Metrics for Prometheus: counted by every process in its own file, added up by who is asked.

Where PROMETHEUS_MULTIPROC_DIR names a folder (the supervisor sets it, and empties it when it
starts), `/metrics` of any API process shows the sum over all API processes, workers and schedulers
that share the folder. Without it a process shows its own numbers. The library looks at the variable
when it is imported, so it has to be set before this module is.

A request costs about 5 us: three values in memory-mapped files, with the label children kept.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple, Protocol

import psutil
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from infra.process_usage import STARTED, WithUsage

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_QUERY_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_COMMIT_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Request(NamedTuple):
    answered: Counter
    seconds: Histogram


class _ReadModel(NamedTuple):
    position: Gauge
    lag_events: Gauge
    lag_seconds: Gauge


class _Alerting(NamedTuple):
    position: Gauge
    lag: Gauge
    waiting: Gauge


class Described(Protocol):
    """What Metrics needs to know of the settings."""

    @property
    def environment(self) -> str:
        """Such as "production"."""
        ...


class Metrics:
    """What one process counts, and the view over all of them. Keeps the API's Meter contract.
    `role` is what the process is: api, worker or scheduler."""

    def __init__(self, settings: Described, role: str) -> None:
        self._registry = CollectorRegistry()
        self._depth: Callable[[], int] = lambda: 0
        self._hearers: list[Callable[[str, str, int, float], None]] = []
        self._requests: dict[tuple[str, str, int], _Request] = {}
        self._read_models: dict[str, _ReadModel] = {}
        self._request_count = self._counter(
            "http_requests_total", "Answered requests.", "method", "route", "status"
        )
        self._request_seconds = self._histogram(
            "http_request_seconds", "Time to answer.", _REQUEST_SECONDS, "method", "route"
        )
        self._cached = self._counter(
            "cache_requests_total", "Questions that memory could answer or not.", "cache", "outcome"
        )
        self._commit_events = self._histogram(
            "commit_events", "Events committed together.", _COMMIT_EVENTS
        )
        self._commit_seconds = self._histogram(
            "commit_seconds", "Time of a commit, retries included.", _COMMIT_SECONDS
        )
        self._queue = self._gauge("commit_queue", "Commands waiting for a commit.", "livesum")
        self._head = self._gauge("log_head", "Position of the last event seen.", "livemax")
        newest = "livemostrecent"  # a rebuild goes back; the worker that spoke last is right
        self._position = self._gauge(
            "read_model_position", "Events folded so far.", newest, "read_model"
        )
        self._lag_events = self._gauge(
            "read_model_lag_events", "Events committed and not yet folded.", newest, "read_model"
        )
        self._lag_seconds = self._gauge(
            "read_model_lag_seconds",
            "Age of what is not yet folded; 0 when nothing is.",
            newest,
            "read_model",
        )
        self._notifications = self._counter(
            "notifications_total", "Attempts to send a message.", "channel", "outcome"
        )
        self._alerting = _Alerting(
            self._gauge("alerting_position", "Events that alerting has acted on.", newest),
            self._gauge("alerting_lag_events", "Events committed and not yet acted on.", newest),
            self._gauge("notifications_waiting", "Messages nobody has taken yet.", newest),
        )
        waited = "Time of a query to the log, the wait for a connection included."
        self._query_seconds = self._histogram("query_seconds", waited, _QUERY_SECONDS, "query")
        self._introduce(settings.environment, role)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request; `route` is the path template, never the path."""
        known = (method if method in _METHODS else "other", route, status)
        children = self._requests.get(known) or self._request_children(*known)
        children.answered.inc()
        children.seconds.observe(seconds)
        for hear in self._hearers:
            hear(method, route, status, seconds)

    def cached(self, cache: str, *, hit: bool) -> None:
        """One question to the cache of this name. The hit ratio is hits by all outcomes."""
        self._cached.labels(cache, "hit" if hit else "miss").inc()

    def pass_on(self, hear: Callable[[str, str, int, float], None]) -> None:
        """Tell `hear` of every request too, as `request` is told."""
        self._hearers.append(hear)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Ask `depth` how many commands wait, with every commit and when metrics are read."""
        self._depth = depth

    def observe_commit(self, events: int, seconds: float) -> None:
        """One commit: the events in it and the seconds it took."""
        self._commit_events.observe(events)
        self._commit_seconds.observe(seconds)
        self._queue.set(self._depth())

    def observe_query(self, query: str, seconds: float) -> None:
        """One query to the log, by what it asks for."""
        self._query_seconds.labels(query).observe(seconds)

    def observe_read_model(self, name: str, position: int, head: int, lag_seconds: float) -> None:
        """Where a read model stands against the log's head; for the worker, once a turn."""
        model = self._read_models.get(name) or self._read_model_children(name)
        model.position.set(position)
        model.lag_events.set(max(0, head - position))
        model.lag_seconds.set(lag_seconds)
        self._head.set(head)

    def observe_alerting(self, position: int, head: int, waiting: int) -> None:
        """Where alerting stands against the log's head, and how many messages wait."""
        self._alerting.position.set(position)
        self._alerting.lag.set(max(0, head - position))
        self._alerting.waiting.set(waiting)

    def observe_sending(self, channel: str, outcome: str) -> None:
        """One attempt to send a message: "sent", "failed" or "given up"."""
        self._notifications.labels(channel, outcome).inc()

    def exposition(self) -> tuple[bytes, str]:
        """All metrics of all processes as Prometheus text, and its content type."""
        self._queue.set(self._depth())
        return generate_latest(WithUsage(self._everybody())), CONTENT_TYPE_LATEST

    def _everybody(self) -> Collector:
        if values.ValueClass is values.MutexValue:
            return self._registry
        everybody: Collector = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
        return everybody

    def _introduce(self, environment: str, role: str) -> None:
        """Tell what runs here, and since when."""
        about = self._gauge("info", "Always 1.", "livemax", "version", "environment")
        about.labels(version("errata"), environment).set(1)
        started = Gauge(
            STARTED,
            "Unix time at which the process began.",
            ("role",),
            registry=self._registry,
            multiprocess_mode="liveall",
        )
        started.labels(role).set(psutil.Process().create_time())

    def _request_children(self, method: str, route: str, status: int) -> _Request:
        children = _Request(
            self._request_count.labels(method, route, str(status)),
            self._request_seconds.labels(method, route),
        )
        self._requests[method, route, status] = children
        return children

    def _read_model_children(self, name: str) -> _ReadModel:
        gauges = (self._position, self._lag_events, self._lag_seconds)
        children = _ReadModel(*(gauge.labels(name) for gauge in gauges))
        self._read_models[name] = children
        return children

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"errata_{name}", about, labels, registry=self._registry)

    def _histogram(
        self, name: str, about: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"errata_{name}", about, labels, buckets=buckets, registry=self._registry)

    def _gauge(self, name: str, about: str, mode: str, *labels: str) -> Gauge:
        return Gauge(
            f"errata_{name}",
            about,
            labels,
            registry=self._registry,
            multiprocess_mode=mode,  # type: ignore[arg-type]  # one of the library's own words
        )


def forget_process(pid: int) -> None:
    """Take the gauges of a process that has ended out of the metrics; its counts stay."""
    if values.ValueClass is not values.MutexValue:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
