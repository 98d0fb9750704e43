"""A whole log as a file, proved and imported elsewhere: how fast, and in how much memory."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.commands import report_command
from benchmarks.result import Options, Result, Row, at_most
from benchmarks.servers import PARTITION_EVENTS, empty_log, fill
from benchmarks.traffic import GROUPS

MOST_MEMORY = 150.0
"""MiB, for any size of log."""


class Work(NamedTuple):
    """What a process of its own took: wall clock and CPU in seconds, memory at its highest in MiB;
    and what came out of it."""

    seconds: float
    cpu: float
    memory: float
    outcome: Any


def run(options: Options) -> Result:
    """Fill a log, write it to files, prove them, and make another log of one."""
    size = 20_000 if options.quick else 1_000_000
    with (
        tempfile.TemporaryDirectory(prefix="errata-", dir=options.data) as folder,
        empty_log(options) as url,
    ):
        fill(url, report_command, range(size))
        file, table = Path(folder) / "log.ndjson", Path(folder) / "log.csv"
        written = _aside(write, url, str(file), "ndjson")
        as_table = _aside(write, url, str(table), "csv")
        proved = _aside(prove, url, str(file))
        with empty_log(options) as other:
            imported = _aside(put_back, other, str(file))
            again = _aside(write, other, str(file), "ndjson")
        megabytes = file.stat().st_size / 1e6
    assert {as_table.outcome, proved.outcome, again.outcome} == {written.outcome}
    rows = [
        *_rows("JSON lines", written, size, f"{megabytes:,.0f} MB"),
        *_rows("CSV", as_table, size),
        *_rows("proving it against the log", proved, size),
        *_rows("importing it", imported, size, "into an empty log; the chains agree"),
    ]
    return Result(f"A log of {size:,} events of {GROUPS} errors as a file", rows)


def _rows(what: str, work: Work, size: int, note: str = "") -> list[Row]:
    return [
        Row(what, size / work.seconds, "events/s", note=note),
        Row("  CPU", work.cpu / size * 1e6, "us/event"),
        Row("  memory", work.memory, "MiB", at_most(MOST_MEMORY)),
    ]


def _aside(work: Callable[..., Any], *arguments: Any) -> Work:
    """Work in a process of its own, which nothing else has filled."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as aside:
        return aside.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Work:
    begun, cpu = time.perf_counter(), time.process_time()
    outcome = work(*arguments)
    return Work(time.perf_counter() - begun, time.process_time() - cpu, _memory(), outcome)


def _memory() -> float:
    """The most that this process has had, in MiB. Not getrusage: that counts its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def write(database_url: str, path: str, form: Any) -> str | None:
    """Export everything verbatim; the end of the chain."""
    from domain.history import Wanted
    from infra.event_store.archive import Archive
    from infra.event_store.scan import LogScan
    from infra.history import events_export

    with LogScan(database_url, Archive("")) as log, Path(path).open("wb") as file:
        export = events_export(log, Wanted(), form, verbatim=form == "ndjson")
        for chunk in export.chunks():
            file.write(chunk)
        return export.trailer().chain


def prove(database_url: str, path: str) -> str | None:
    """Check a file in itself, and against the log."""
    from infra.audit_check import check, compare_with_log
    from infra.event_store.archive import Archive
    from infra.event_store.scan import LogScan

    with LogScan(database_url, Archive("")) as log, Path(path).open("rb") as file:
        checked = check(file)
        file.seek(0)
        compare_with_log(file, checked, log)
        return checked.trailer.chain


def put_back(database_url: str, path: str) -> int:
    """Make a log of a file."""
    from infra.restoring import restore

    with Path(path).open("rb") as file:
        return restore(database_url, file, partition_events=PARTITION_EVENTS).stored
