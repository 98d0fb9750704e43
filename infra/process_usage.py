"""Memory and CPU of the processes that share their metrics, looked at when somebody asks for them:
no process has to measure itself, and a scrape costs two reads of /proc for each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

STARTED = "process_start_time_seconds"
"""The metric by which each process tells that it is there: its role, and since when it runs."""

_LABELS = ("role", "pid")


class WithUsage(Collector):
    """Metrics as they are, and the memory and CPU of each process of this host among them."""

    def __init__(self, metrics: Collector) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """All of them; called by the library."""
        for family in self._metrics.collect():
            yield family
            if family.name == STARTED:
                yield from _usage(family.samples)


def _usage(processes: Iterable[Sample]) -> tuple[Metric, Metric]:
    memory = GaugeMetricFamily(
        "process_resident_memory_bytes",
        "Resident memory, what is shared with other processes included.",
        labels=_LABELS,
    )
    cpu = CounterMetricFamily(
        "process_cpu_seconds", "CPU time, of the user and of the system.", labels=_LABELS
    )
    for one in processes:
        # Only a process that shares its metrics is told by its id.
        pid = one.labels.get("pid", str(os.getpid()))
        try:
            process = psutil.Process(int(pid))
            resident, times = process.memory_info().rss, process.cpu_times()
        except psutil.Error:  # it has ended
            continue
        labels = (one.labels["role"], pid)
        memory.add_metric(labels, resident)
        cpu.add_metric(labels, times.user + times.system)
    return memory, cpu
