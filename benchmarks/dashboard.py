"""What the dashboard asks of 1,000,000 occurrences, with each filter, at the top and deep in.

The events are copied into the log, and the index, codes and trends are folded from it by a worker's
own runners. Then pages of 100 are asked for, one after the other: places from the index and
payloads from the log. What the API adds, a request by HTTP, is in the benchmark of lists.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import redis
import uvloop
from redis.asyncio import Redis

from api.dashboard_schemas import event_body
from benchmarks.commands import CALLER
from benchmarks.result import Options, Result, Row, at_most
from benchmarks.servers import PARTITION_EVENTS, new_store
from domain.error_group import ErrorReported, group_id
from domain.message import Recorded
from domain.occurrence import GroupingRecord, Occurrence
from errata.worker import DecodedLog, Runners
from infra.clock import utc_now
from infra.embedded import EmbeddedServers
from infra.event_store.codec import COPY_END, COPY_HEADER, copy_row, to_row
from infra.event_store.migrations import migrate
from infra.event_store.reader import LogReader
from infra.event_store.subscription import Subscription
from projections.codes import CodeQueries, Codes
from projections.dashboard_trends import DashboardTrendQueries, DashboardTrends
from projections.occurrence_index import (
    OccurrenceFilter,
    OccurrenceIndex,
    OccurrenceIndexQueries,
    Place,
)

APP = "test-app"
WEEK = timedelta(days=7)
PAGE = 100
CODES = 200
USERS = 50_000
REPEATS = 200
MODELS = (OccurrenceIndex(), Codes(), DashboardTrends())

Ask = Callable[[], Awaitable[object]]


class Asked(NamedTuple):
    """What is asked, and from when on."""

    code: str | None
    user_id: str | None
    since: datetime


def run(options: Options) -> Result:
    """Fill, fold, ask."""
    size = 50_000 if options.quick else 1_000_000
    now = utc_now()
    with _servers(options) as servers:
        _copy_events(servers.database_url, size, now)
        begun = time.monotonic()
        used = _fold(servers, size)
        folding = time.monotonic() - begun
        rows = uvloop.run(_ask_all(servers, size, now))
    built = [
        Row("index, codes and trends folded together", size / folding, "events/s"),
        Row("  index and its own indexes", used["postgres"] / size, "bytes/event"),
        Row("  codes and trends in Redis", used["redis"] / size, "bytes/event"),
    ]
    return Result(
        f"{size:,} occurrences of {CODES} codes and {USERS:,} users in a week", built + rows
    )


@contextmanager
def _servers(options: Options) -> Iterator[EmbeddedServers]:
    with tempfile.TemporaryDirectory(prefix="errata-", dir=options.data) as folder:
        Path(folder).chmod(0o755)  # run as root, the servers have accounts of their own
        servers = EmbeddedServers.start(Path(folder) / "data")
        try:
            migrate(servers.database_url, partition_events=PARTITION_EVENTS)
            yield servers
        finally:
            servers.stop()


# -- filling -------------------------------------------------------------------------------------


def _copy_events(database_url: str, size: int, now: datetime) -> None:
    """Reports straight into the log, spread over a week that ends now."""
    with psycopg.connect(database_url) as connection:
        with connection.cursor().copy(
            "COPY events (position, stream_id, stream_version, name, event_id, recorded_at,"
            " metadata, data) FROM STDIN (FORMAT binary)"
        ) as copy:
            copy.write(COPY_HEADER)
            for recorded in _reports(size, now):
                copy.write(copy_row(to_row(recorded)))
            copy.write(COPY_END)
        connection.execute("UPDATE log_head SET position = %s", (size,))
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE events")


def _reports(size: int, now: datetime) -> Iterator[Recorded[Any]]:
    chance = random.Random(4711)
    step = WEEK / size
    for position in range(1, size + 1):
        # Few codes are frequent and most are rare, as it is; users are about equal.
        code = code_of(int(CODES * chance.random() ** 3))
        then = now - WEEK + step * position
        yield Recorded(
            position,
            group_id(APP, code),
            position,
            "ErrorReported",
            UUID(int=position),
            then,
            CALLER,
            ErrorReported(
                app=APP,
                fingerprint=code,
                count=position,
                first_seen=now - WEEK,
                last_seen=then,
                occurrence=_occurrence(position, code, user_of(chance.randrange(USERS)), then),
                grouping=GroupingRecord(1, ("code", code), ("its code",)),
            ),
        )


def _occurrence(number: int, code: str, user: str, then: datetime) -> Occurrence:
    return Occurrence(
        message=f"Failed to fetch user data {number}",
        level="error",
        source="ios",
        environment="production",
        timestamp=then,
        stack_trace="Error: Failed to fetch\n    at load (https://app.example.com/a.js:1:99)",
        context=msgspec.Raw(b'{"endpoint":"/api/users","statusCode":500}'),
        tags={"severity": "high"},
        event_id=str(UUID(int=number)),
        release="1.0.0",
        code=code,
        platform="ios",
        platform_version="17.0",
        user_id=user,
    )


def code_of(number: int) -> str:
    """A code; the lower the number, the more frequent."""
    return f"network/failed-{number}"


def user_of(number: int) -> str:
    """A user."""
    return f"user-{number}"


def _fold(servers: EmbeddedServers, size: int) -> dict[str, int]:
    """Fold the whole log; the bytes that took."""
    with (
        redis.Redis.from_url(servers.redis_url) as client,
        psycopg.connect(servers.database_url, autocommit=True) as connection,
        closing(Subscription(servers.database_url)) as subscription,
    ):
        before = int(client.info("memory")["used_memory"])
        runners = Runners(DecodedLog(subscription), client, connection, MODELS)
        while min(position or 0 for position in runners.positions().values()) < size:
            runners.step()
        connection.execute("ANALYZE occurrences")
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('occurrences')"
            " WHERE isleaf"
        ).fetchone()
        assert row is not None
        return {
            "postgres": int(row[0]),
            "redis": int(client.info("memory")["used_memory"]) - before,
        }


# -- asking --------------------------------------------------------------------------------------


async def _ask_all(servers: EmbeddedServers, size: int, now: datetime) -> list[Row]:
    store = new_store(servers.database_url)
    await store.start()
    client = Redis.from_url(servers.redis_url)
    index = OccurrenceIndexQueries(store.reader.rows)
    rows: list[Row] = []
    for name, asked in _questions(now).items():
        wanted = OccurrenceFilter(
            app=APP, since=asked.since, code=asked.code, user_id=asked.user_id
        )
        for where, after in (
            ("top", None),
            ("deep", Place(asked.since + (now - asked.since) / 2, size)),
        ):
            times = await _times(partial(_page, index, store.reader, wanted, after))
            rows += _rows(f"{name}, {where}", times)
    trends = DashboardTrendQueries(client, DashboardTrends().keyspace(), index.distinct)
    codes = CodeQueries(client, Codes().keyspace())
    rows += _rows(
        "trends by the hour", await _times(lambda: trends.trend(APP, now - WEEK, now, "hour"))
    )
    rows += _rows(
        "trends by the day", await _times(lambda: trends.trend(APP, now - WEEK, now, "day"))
    )
    rows += _rows("codes", await _times(lambda: codes.of_app(APP)))
    await client.aclose()
    await store.stop()
    return rows


def _questions(now: datetime) -> dict[str, Asked]:
    week = now - WEEK
    return {
        "a day": Asked(None, None, now - timedelta(days=1)),
        "a week": Asked(None, None, week),
        "a frequent code": Asked(code_of(0), None, week),
        "a rare code": Asked(code_of(CODES - 1), None, week),
        "a user": Asked(None, user_of(7), week),
        "a frequent code of a user": Asked(code_of(0), user_of(7), week),
    }


async def _page(
    index: OccurrenceIndexQueries, reader: LogReader, wanted: OccurrenceFilter, after: Place | None
) -> object:
    page = await index.page(wanted, after=after, offset=0, limit=PAGE)
    events = await reader.events_at([place.position for place in page.places])
    return msgspec.json.encode([event_body(events[place.position]) for place in page.places])


async def _times(ask: Ask) -> list[float]:
    """Milliseconds of each answer, shortest first."""
    await ask()
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - begun) * 1e3)
    return sorted(times)


def _rows(name: str, times: Sequence[float]) -> list[Row]:
    return [
        Row(f"{name}, p50", times[len(times) // 2], "ms"),
        Row(f"{name}, p99", times[int(len(times) * 0.99)], "ms", at_most(50)),
    ]
