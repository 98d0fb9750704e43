"""What the same machine does without the rest of us: a bare handler, COPY alone, grouping alone."""

from __future__ import annotations

import time

import msgspec
import psutil
import psycopg

from api.intake import Sender, read_report, to_command
from benchmarks import load
from benchmarks.bare import bare_server
from benchmarks.instance import cpu_seconds
from benchmarks.traffic import report_body
from domain.scrubbing import Scrubber
from infra.clock import utc_now
from infra.event_store.codec import COPY_END, COPY_HEADER, copy_row
from infra.event_store.codec import Row as LogRow

_COPIED = 40_000
_READ = 2_000
_COPY_TABLE = (
    "CREATE TABLE copied (LIKE events INCLUDING ALL) PARTITION BY RANGE (position)",
    "CREATE TABLE copied_rows PARTITION OF copied DEFAULT",
)
_COPY = (
    "COPY copied (position, stream_id, stream_version, name, event_id, recorded_at, metadata,"
    " data) FROM STDIN (FORMAT BINARY)"
)


class Bare(msgspec.Struct, frozen=True):
    """What the bare handler reached, and CPU microseconds of its server for a request."""

    outcome: load.Outcome
    cpu: float


def bare_handler(plan: load.Plan) -> Bare:
    """Send the same load to a handler that does nothing; the plan's port is its own."""
    with bare_server() as (port, server):
        root = psutil.Process(server)
        load.run(msgspec.structs.replace(plan, port=port, seconds=0.5))
        processes = [root, *root.children(recursive=True)]
        before = sum(map(cpu_seconds, processes))
        outcome = load.run(msgspec.structs.replace(plan, port=port))
        used = sum(map(cpu_seconds, processes)) - before
    return Bare(outcome, used / max(outcome.count, 1) * 1e6)


def intake_microseconds() -> dict[str, float]:
    """What a report costs in the API before anything is stored, alone in this process, warm."""
    scrubber, sender = Scrubber(), Sender()
    bodies = [report_body(number) for number in range(2 * _READ)]
    for body in bodies[:_READ]:
        to_command(read_report(body), "default", sender, scrubber, utc_now())
    begun = time.perf_counter()
    reports = [read_report(body) for body in bodies[_READ:]]
    read = time.perf_counter()
    for report in reports:
        to_command(report, "default", sender, scrubber, utc_now())
    ended = time.perf_counter()
    return {
        "decoding and checking": (read - begun) / _READ * 1e6,
        "scrubbing and grouping": (ended - read) / _READ * 1e6,
    }


def copy_rate(database_url: str, size: int) -> float:
    """Rows a second by binary COPY of what the log holds into a table of the same shape, a
    transaction for every `size` rows; their bytes are made beforehand."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        cursor = connection.cursor(binary=True)
        found = cursor.execute("SELECT * FROM events ORDER BY position LIMIT %s", (_COPIED,))
        rows = [copy_row(LogRow(*row)) for row in found]
        batches = [
            b"".join((COPY_HEADER, *rows[start : start + size], COPY_END))
            for start in range(0, len(rows), size)
        ]
        for statement in _COPY_TABLE:
            connection.execute(statement)
        begun = time.perf_counter()
        for batch in batches:
            with cursor.copy(_COPY) as copy:
                copy.write(batch)
        taken = time.perf_counter() - begun
        connection.execute("DROP TABLE copied")
    return len(rows) / taken
