"""Redis is emptied: how long until the lists are whole again, all from the log."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import msgspec

from benchmarks.commands import report_command
from benchmarks.instance import Instance, Watch, started
from benchmarks.result import Ceiling, Options, Result, Row, at_least
from benchmarks.servers import fill
from benchmarks.traffic import GROUPS
from infra.event_store.codec import from_row
from infra.event_store.subscription import Subscription
from projections.runner import PAGE_EVENTS


class _Page(msgspec.Struct):
    total: int


class _List(msgspec.Struct):
    data: _Page


def run(options: Options) -> Result:
    """Fill the log, empty Redis, wait; then read the same log alone, and fold alone."""
    size = 20_000 if options.quick else 100_000
    with started(options) as instance, Watch(instance.endpoints) as watch:
        url = instance.endpoints.database_url
        begun = time.monotonic()
        fill(url, report_command, range(size))
        filled = time.monotonic() - begun
        head = watch.head()
        watch.wait_until_visible(head)
        followed = time.monotonic() - begun
        before = instance.cpu()
        seconds = _rebuild(watch, head)
        after = instance.cpu()
        reading = _read(url, decode=False)
        decoding = _read(url, decode=True)
        total = _listed(instance)
    alone = Ceiling(head / reading, "reading the log alone")
    rows = [
        Row("whole again", seconds, "s", note=f"{head:,} events, {total:,} errors"),
        Row("rebuild", head / seconds, "events/s", at_least(50_000), ceiling=alone),
        *(
            Row(f"  CPU of {role}", (after[role] - before[role]) / head * 1e6, "us/event")
            for role in ("worker", "postgres", "redis")
        ),
        Row("reading the log alone", head / reading, "events/s", note=f"pages of {PAGE_EVENTS:,}"),
        Row("reading and decoding", head / decoding, "events/s"),
        *_fold_rows(size // 4),
        Row("filling the log", size / filled, "events/s", note="batches of 1,000, worker running"),
        Row("  until visible", size / followed, "events/s"),
    ]
    return Result(f"FLUSHALL with {head:,} events of {GROUPS} errors in the log", rows)


def _rebuild(watch: Watch, head: int) -> float:
    begun = time.monotonic()
    watch.redis.flushall()
    watch.wait_until_visible(head)
    return time.monotonic() - begun


def _read(database_url: str, *, decode: bool) -> float:
    """Seconds to read the log page by page as the worker does."""
    subscription = Subscription(database_url)
    begun = time.perf_counter()
    position = 0
    while rows := subscription.page(position, PAGE_EVENTS):
        position = rows[-1].position
        if decode:
            for row in rows:
                from_row(row)
    taken = time.perf_counter() - begun
    subscription.close()
    return taken


def _listed(instance: Instance) -> int:
    """How many errors lists show; all must be there again."""
    instance.wait_for("/api/errors?limit=1")
    answer = instance.ask("/api/errors?limit=1")
    return msgspec.json.decode(answer or b"", type=_List).data.total


def _fold_rows(size: int) -> list[Row]:
    # In a process of its own: what benchmarks.read_models imports changes redis-py.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as aside:
        fresh, known = aside.submit(fold_rates, size).result()
    return [
        Row("folding alone, new errors", fresh, "events/s", note="of benchmarks.read_models"),
        Row("folding alone, known errors", known, "events/s"),
    ]


def fold_rates(size: int) -> tuple[float, float]:
    """Events a second through the fold alone: first reports of errors, and later ones."""
    from benchmarks import read_models

    first, later = read_models.events(size)
    return read_models.fold_rate(first), read_models.fold_rate(later)
