"""What reading costs with many errors, and whether ten times as many cost more.

The errors, with ten occurrences each, are stored in the log and folded by the worker, so that log
and lists agree. Then each kind of question is asked at a fixed rate: 500 a second, whether answers
come or not.
"""

from __future__ import annotations

import time
from functools import partial

import msgspec
import redis

from benchmarks import load
from benchmarks.commands import group_command
from benchmarks.instance import Instance, Watch, started
from benchmarks.result import Options, Result, Row, at_most
from benchmarks.servers import fill
from benchmarks.traffic import (
    common_search_request,
    deep_request,
    filtered_request,
    group_request,
    list_request,
    search_request,
    stats_request,
    trends_request,
)
from domain.error_group import ReportError

RATE = 500
CONNECTIONS = 32
RATE_DEEP = 100
"""Nobody turns pages by offset 500 times a second; asked to see what it costs."""

_REWRITE_SECONDS = 30.0


class Question(msgspec.Struct, frozen=True):
    """What is asked, and how many times a second."""

    requests: load.Requests
    rate: int = RATE


class Asked(msgspec.Struct, frozen=True):
    """One kind of question: what came back, and CPU microseconds an answer of the instance."""

    outcome: load.Outcome
    cpu: float


class Size(msgspec.Struct, frozen=True):
    """All that was measured at one number of errors; `memory` is what Redis uses, in bytes."""

    errors: int
    memory: int
    asked: dict[str, Asked]


def run(options: Options) -> Result:
    """A tenth of the errors, then all of them."""
    many = 10_000 if options.quick else 100_000
    each = 2 if options.quick else 10
    seconds = 1.5 if options.quick else 4.0
    with started(options) as instance, Watch(instance.endpoints) as watch:
        empty = _memory(watch.redis)
        _ask(instance, Question(list_request), 0.5)  # the first answers are those of a cold start
        few = _grow(instance, watch, range(many // 10), each, seconds)
        all_of_them = _grow(instance, watch, range(many // 10, many), each, seconds)
    rows = [row for name in few.asked for row in _rows(name, few, all_of_them)]
    for size in (few, all_of_them):
        bytes_each = (size.memory - empty) / size.errors
        what = f"Redis memory per 1,000 of {size.errors:,} errors"
        rows.append(Row(what, bytes_each * 1_000 / 2**20, "MiB"))
    title = (
        f"{many:,} errors, {many * each:,} occurrences, {RATE} requests/s for {seconds:.0f} s each"
    )
    return Result(title, rows)


def _rows(name: str, few: Size, many: Size) -> list[Row]:
    before, after = few.asked[name], many.asked[name]
    outcome = after.outcome
    failures = outcome.failures(200)
    with_few = f"{before.outcome.milliseconds(99):.1f} ms with {few.errors:,}"
    rows = [
        Row(f"{name}, p50", outcome.milliseconds(50), "ms"),
        Row(f"{name}, p99", outcome.milliseconds(99), "ms", at_most(10), with_few),
        Row(f"{name}, CPU", after.cpu, "us/request", note=f"{before.cpu:.0f} with {few.errors:,}"),
        Row(f"{name}, CPU at ten times the data", after.cpu / before.cpu, "times", at_most(1.2)),
    ]
    if failures:
        rows.append(Row(f"{name}, not answered 200", failures, "", at_most(0)))
    return rows


def _grow(instance: Instance, watch: Watch, numbers: range, each: int, seconds: float) -> Size:
    """Store so many more errors and `each` occurrences of them, wait until lists show them, ask."""

    def command(number: int) -> ReportError:
        return group_command(numbers.start + number % len(numbers))

    fill(instance.endpoints.database_url, command, range(each * len(numbers)))
    watch.wait_until_visible(watch.head())
    _wait_for_rewrite(watch.redis)
    memory = _memory(watch.redis)
    asked = {
        name: _ask(instance, question, seconds)
        for name, question in _questions(numbers.stop).items()
    }
    return Size(numbers.stop, memory, asked)


def _questions(errors: int) -> dict[str, Question]:
    return {
        "list": Question(list_request),
        "one error": Question(partial(group_request, groups=errors)),
        "three filters": Question(filtered_request),
        "stats": Question(stats_request),
        "trends": Question(trends_request),
        "search, 1 of 5,000": Question(partial(search_request, groups=errors)),
        "search, 1 of 250": Question(common_search_request),
        f"any offset by count, {RATE_DEEP}/s": Question(
            partial(deep_request, groups=errors), RATE_DEEP
        ),
    }


def _ask(instance: Instance, question: Question, seconds: float) -> Asked:
    plan = load.Plan(
        port=instance.port,
        requests=question.requests,
        connections=CONNECTIONS,
        seconds=seconds,
        rate=question.rate,
    )
    before = sum(instance.cpu().values())
    outcome = load.run(plan)
    used = sum(instance.cpu().values()) - before
    return Asked(outcome, used / max(outcome.count, 1) * 1e6)


def _wait_for_rewrite(client: redis.Redis) -> None:
    """Let Redis finish compacting its file: that belongs to loading, not to reading."""
    deadline = time.monotonic() + _REWRITE_SECONDS
    while client.info("persistence")["aof_rewrite_in_progress"] and time.monotonic() < deadline:
        time.sleep(0.1)


def _memory(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])
