"""`errata up`: how long until it answers, how long until it is gone, what it needs when idle."""

from __future__ import annotations

import time

from benchmarks import load
from benchmarks.instance import Instance, throw_away
from benchmarks.result import Options, Result, Row, at_most
from benchmarks.traffic import report_request

_REPORTS = 2_000
_IDLE_SECONDS = 3.0


def run(options: Options) -> Result:
    """Start on an empty folder, report something, stop; start again, rest, stop."""
    with throw_away(options) as instance:
        first = instance.start()
        listed = _until_listed(instance)
        outcome = load.run(
            load.Plan(
                port=instance.port,
                requests=report_request,
                connections=8,
                seconds=10.0,
                count=_REPORTS,
            )
        )
        stopped = instance.stop()
        second = instance.start()
        listed_again = _until_listed(instance)
        rows = [
            Row("first start", first, "s", note="makes the databases; until it takes reports"),
            Row("  until a list is answered", first + listed, "s"),
            Row("stop", stopped, "s", at_most(5), f"after {outcome.count:,} reports"),
            Row("second start", second, "s", at_most(3), "until it takes reports"),
            Row("  until a list is answered", second + listed_again, "s"),
            *_memory(instance, 1.0 if options.quick else _IDLE_SECONDS),
            Row("stop, idle", instance.stop(), "s", at_most(5)),
        ]
    return Result("errata up, to the first answer; memory when idle", rows)


def _until_listed(instance: Instance) -> float:
    begun = time.monotonic()
    instance.wait_for("/api/errors")
    return time.monotonic() - begun


def _memory(instance: Instance, seconds: float) -> list[Row]:
    """What all processes hold after some seconds without a request."""
    time.sleep(seconds)
    held = instance.memory()
    count = {role: len(processes) for role, processes in instance.processes().items()}
    proportional = sum(pss for _, pss in held.values()) / 2**20
    resident = sum(rss for rss, _ in held.values()) / 2**20
    return [
        Row("memory, idle", proportional, "MiB", at_most(250), "PSS: shared pages count once"),
        Row("  sum of resident sets", resident, "MiB", note="shared pages count in each process"),
        *(
            Row(f"  {role}", pss / 2**20, "MiB", note=f"PSS, processes: {count[role]}")
            for role, (_, pss) in held.items()
        ),
    ]
