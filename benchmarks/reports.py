"""POST /api/errors as fast as it goes: what is committed, what is visible, and who pays for it."""

from __future__ import annotations

import re
import time

import msgspec

from benchmarks import ceilings, load
from benchmarks.instance import ROLES, Instance, Watch, started
from benchmarks.lag import lags, looking
from benchmarks.result import Ceiling, Options, Result, Row, at_least, at_most
from benchmarks.traffic import GROUPS, report_body, report_request

CONNECTIONS = 64
_WARM_UP = 2_000


class Commits(msgspec.Struct, frozen=True):
    """The commits so far of all API processes: how many, events in them, seconds they took."""

    count: float
    events: float
    seconds: float


class Measured(msgspec.Struct, frozen=True):
    """One run against an instance. `caught_up` is seconds from the last answer until all was
    visible, `cpu` CPU seconds by role until then, `lags` ascending seconds, `copied` rows a
    second of COPY alone by batch size."""

    outcome: load.Outcome
    caught_up: float
    cpu: dict[str, float]
    lags: list[float]
    most_behind: int
    commits: Commits
    copied: dict[int, float]

    @property
    def events(self) -> int:
        """Reports that were stored; none of them reopens an error, so each is one event."""
        return self.outcome.statuses.get(201, 0)


def run(options: Options) -> Result:
    """The bare handler, then a whole instance, then COPY alone on that instance's server."""
    seconds = 4.0 if options.quick else 15.0
    bare = ceilings.bare_handler(_plan(0, min(seconds, 5.0)))
    with started(options) as instance:
        measured = _measure(instance, seconds)
    rows = [*_speed(measured, bare), *_costs(measured), *_beside(measured, bare)]
    body = len(report_body(0))
    title = f"{CONNECTIONS} connections, {seconds:.0f} s, {GROUPS} errors, {body:,} bytes a body"
    return Result(title, rows)


def _plan(port: int, seconds: float, first: int = 0) -> load.Plan:
    return load.Plan(
        port=port,
        requests=report_request,
        connections=CONNECTIONS,
        seconds=seconds,
        first=first,
    )


def _measure(instance: Instance, seconds: float) -> Measured:
    with Watch(instance.endpoints) as watch:
        load.run(msgspec.structs.replace(_plan(instance.port, 10.0), count=_WARM_UP))
        watch.wait_until_visible(watch.head())
        before, committed = instance.cpu(), commits_of(instance)
        with looking(instance) as seen:
            outcome = load.run(_plan(instance.port, seconds, first=_WARM_UP))
        ended = time.monotonic()
        watch.wait_until_visible(watch.head())
        caught_up = time.monotonic() - ended
        after, committed_after = instance.cpu(), commits_of(instance)
    url = instance.endpoints.database_url
    return Measured(
        outcome=outcome,
        caught_up=caught_up,
        cpu={role: after[role] - before[role] for role in ROLES},
        lags=lags(seen),
        most_behind=max((head - visible for _, head, visible in seen), default=0),
        commits=between(committed, committed_after),
        copied={size: ceilings.copy_rate(url, size) for size in (50, 1_000)},
    )


def _speed(measured: Measured, bare: ceilings.Bare) -> list[Row]:
    """How fast, how late, how far behind."""
    outcome, commits = measured.outcome, measured.commits
    handler = Ceiling(bare.outcome.rate, "bare handler")
    copy = Ceiling(measured.copied[1_000], "COPY alone, batches of 1,000")
    visible = measured.events / (outcome.seconds + measured.caught_up)
    return [
        Row("answered", outcome.rate, "/s", at_least(4_000), "durable", handler),
        Row("latency p50", outcome.milliseconds(50), "ms"),
        Row("latency p99", outcome.milliseconds(99), "ms", at_most(50)),
        Row("latency max", outcome.milliseconds(100), "ms"),
        Row("not answered 201", outcome.failures(201), "", at_most(0), str(outcome.statuses)),
        Row("visible", visible, "/s", at_least(3_000), "until caught up", copy),
        Row("lag p99", load.percentile(measured.lags, 99), "s", at_most(1), "while loaded"),
        Row("most behind", measured.most_behind, "events", note="while loaded"),
        Row("caught up after the end", measured.caught_up, "s"),
        Row("in one commit", commits.events / commits.count, "reports", note="mean"),
        Row("commit", commits.seconds / commits.count * 1e3, "ms", note="mean, lock included"),
    ]


def _costs(measured: Measured) -> list[Row]:
    """CPU by role, and for all together what it buys."""
    outcome, events = measured.outcome, measured.events
    cpu = sum(measured.cpu.values()) + outcome.cpu_seconds
    return [
        Row("per CPU second", events / cpu, "events", at_least(1_500), "all processes"),
        *(
            Row(f"  CPU of {role}", seconds / events * 1e6, "us/report")
            for role, seconds in measured.cpu.items()
        ),
        Row("  CPU of the generator", outcome.cpu_microseconds, "us/report"),
    ]


def _beside(measured: Measured, bare: ceilings.Bare) -> list[Row]:
    """What the parts cost or reach alone."""
    note = "same server and processes, no work"
    return [
        *(
            Row(f"{what}, alone", microseconds, "us/report")
            for what, microseconds in ceilings.intake_microseconds().items()
        ),
        Row("bare handler", bare.outcome.rate, "/s", note=note),
        Row("  CPU of its server", bare.cpu, "us/request"),
        Row("  CPU of the generator", bare.outcome.cpu_microseconds, "us/request"),
        *(
            Row(f"COPY alone, batches of {size:,}", rate, "rows/s", note="same rows, fsync on")
            for size, rate in measured.copied.items()
        ),
    ]


def commits_of(instance: Instance) -> Commits:
    """What the instance's own metrics say."""
    text = (instance.ask("/metrics") or b"").decode()
    return Commits(
        count=_sample(text, "errata_commit_events_count"),
        events=_sample(text, "errata_commit_events_sum"),
        seconds=_sample(text, "errata_commit_seconds_sum"),
    )


def _sample(text: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def between(before: Commits, after: Commits) -> Commits:
    """What was committed from one look to the next."""
    return Commits(
        count=max(after.count - before.count, 1.0),
        events=after.events - before.events,
        seconds=after.seconds - before.seconds,
    )
