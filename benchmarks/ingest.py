"""POST /api/v1/ingest, 100 events a request: what is committed, and beside it COPY alone."""

from __future__ import annotations

import time

import msgspec

from api.ingest import read_batch, to_commands
from benchmarks import ceilings, load
from benchmarks.instance import ROLES, Instance, Watch, started
from benchmarks.reports import Commits, between, commits_of
from benchmarks.result import Ceiling, Options, Result, Row, at_least, at_most
from benchmarks.traffic import BATCH, GROUPS, batch_body, batch_request
from domain.scrubbing import Scrubber
from infra.clock import utc_now

CONNECTIONS = 16
_WARM_UP = 50
_READ = 100


class Measured(msgspec.Struct, frozen=True):
    """One run. `cpu` is CPU seconds by role while requests were answered, `copied` rows a second
    of COPY alone, `caught_up` seconds from the last answer until all was visible."""

    outcome: load.Outcome
    commits: Commits
    cpu: dict[str, float]
    caught_up: float
    copied: float

    @property
    def events(self) -> int:
        """Events of batches that were accepted; each was sent once."""
        return self.outcome.statuses.get(200, 0) * BATCH


def run(options: Options) -> Result:
    """A whole instance under batches, then COPY of the same rows on its server."""
    seconds = 4.0 if options.quick else 15.0
    with started(options) as instance:
        measured = _measure(instance, seconds)
    body = len(batch_body(0))
    title = (
        f"{BATCH} events a request, {CONNECTIONS} connections, {seconds:.0f} s, {GROUPS} codes, "
        f"{body // BATCH:,} bytes an event"
    )
    return Result(title, [*_speed(measured), *_costs(measured)])


def _measure(instance: Instance, seconds: float) -> Measured:
    plan = load.Plan(
        port=instance.port, requests=batch_request, connections=CONNECTIONS, seconds=seconds
    )
    with Watch(instance.endpoints) as watch:
        load.run(msgspec.structs.replace(plan, count=_WARM_UP))
        watch.wait_until_visible(watch.head())
        before, committed = instance.cpu(), commits_of(instance)
        outcome = load.run(msgspec.structs.replace(plan, first=_WARM_UP))
        ended = time.monotonic()
        after, committed_after = instance.cpu(), commits_of(instance)
        watch.wait_until_visible(watch.head())
        caught_up = time.monotonic() - ended
    return Measured(
        outcome=outcome,
        commits=between(committed, committed_after),
        cpu={role: after[role] - before[role] for role in ROLES},
        caught_up=caught_up,
        copied=ceilings.copy_rate(instance.endpoints.database_url, 1_000),
    )


def _speed(measured: Measured) -> list[Row]:
    outcome, commits = measured.outcome, measured.commits
    rate = measured.events / outcome.seconds
    visible = measured.events / (outcome.seconds + measured.caught_up)
    copy = Ceiling(measured.copied, "COPY alone, batches of 1,000")
    return [
        Row("committed", rate, "events/s", at_least(20_000), "durable", copy),
        Row("answered", outcome.rate, "requests/s"),
        Row("latency p50", outcome.milliseconds(50), "ms"),
        Row("latency p99", outcome.milliseconds(99), "ms"),
        Row("not answered 200", outcome.failures(200), "", at_most(0), str(outcome.statuses)),
        Row("visible", visible, "events/s", note="until caught up"),
        Row("caught up after the end", measured.caught_up, "s"),
        Row("in one commit", commits.events / commits.count, "events", note="mean"),
        Row("commit", commits.seconds / commits.count * 1e3, "ms", note="mean, lock included"),
        Row("COPY alone, batches of 1,000", measured.copied, "rows/s", note="same rows, fsync on"),
    ]


def _costs(measured: Measured) -> list[Row]:
    """CPU for an event, by role while requests were answered, and of the API's own steps alone."""
    events = max(measured.events, 1)
    return [
        *(
            Row(f"CPU of {role}", seconds / events * 1e6, "us/event")
            for role, seconds in measured.cpu.items()
        ),
        Row("CPU of the generator", measured.outcome.cpu_seconds / events * 1e6, "us/event"),
        *(
            Row(f"{what}, alone", microseconds, "us/event")
            for what, microseconds in intake_microseconds().items()
        ),
    ]


def intake_microseconds() -> dict[str, float]:
    """What an event costs in the API before anything is stored, alone in this process, warm."""
    scrubber = Scrubber()
    bodies = [batch_body(number) for number in range(_READ)]
    for body in bodies[: GROUPS // BATCH]:
        to_commands(read_batch(body), 0, "default", scrubber, utc_now())
    begun = time.perf_counter()
    batches = [read_batch(body) for body in bodies]
    read = time.perf_counter()
    for events in batches:
        to_commands(events, 0, "default", scrubber, utc_now())
    ended = time.perf_counter()
    return {
        "decoding and checking": (read - begun) / (_READ * BATCH) * 1e6,
        "scrubbing and grouping": (ended - read) / (_READ * BATCH) * 1e6,
    }
