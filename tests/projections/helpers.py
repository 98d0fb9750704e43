"""What tests of read models share: logs made by the real deciders, and folding into Redis."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import msgspec

from domain.catalog import DECIDERS, NAMES
from domain.decider import fold
from domain.error_group import ReportError
from domain.message import ERRATA, Command, Context, Event, Recorded
from domain.occurrence import GroupingRecord, Occurrence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

    from projections.projection import RedisReadModel, Write

START = datetime(2025, 8, 29, 12, 0, tzinfo=UTC)


class Log:
    """A log in memory: commands in, recorded events out. One second passes between commits."""

    def __init__(self) -> None:
        self.events: list[Recorded[Any]] = []
        self.streams: defaultdict[UUID, list[Recorded[Any]]] = defaultdict(list)

    def execute(self, command: Command) -> list[Recorded[Any]]:
        """Decide a command on its stream and record what follows; what was recorded."""
        decider = DECIDERS[type(command)]
        state = fold(decider, self.streams[command.stream_id])
        return self.record(command.stream_id, decider.decide(state, command))

    def record(self, stream_id: UUID, events: Sequence[Event]) -> list[Recorded[Any]]:
        """Append events of one stream, in one commit."""
        version = len(self.streams[stream_id])
        now = START + timedelta(seconds=len(self.events))
        first = len(self.events) + 1
        recorded = [
            Recorded(
                position=first + number,
                stream_id=stream_id,
                stream_version=version + 1 + number,
                name=NAMES[type(event)],
                event_id=uuid5(ERRATA, f"event {first + number}"),
                recorded_at=now,
                context=Context("key:test", "request", "command"),
                event=event,
            )
            for number, event in enumerate(events)
        ]
        self.events += recorded
        self.streams[stream_id] += recorded
        return recorded


def report(
    fingerprint: str = "f" * 32,
    *,
    app: str = "default",
    level: Any = "error",
    source: str = "backend",
    environment: str = "production",
    after: float = 0,
    words: tuple[str, ...] = ("database", "failed"),
    now: datetime | None = None,
    **occurrence: Any,
) -> ReportError:
    """A report of something that happened `after` so many seconds."""
    return ReportError(
        app=app,
        fingerprint=fingerprint,
        grouping=GroupingRecord(1, ("message",), ("its message",), words=words),
        occurrence=Occurrence(
            message=occurrence.pop("message", "Database failed"),
            level=level,
            source=source,
            environment=environment,
            timestamp=START + timedelta(seconds=after),
            **occurrence,
        ),
        now=now,
    )


async def apply(redis: Redis, writes: Sequence[Write]) -> None:
    """Send what a fold answered, in one transaction, as the runner does."""
    pipe = redis.pipeline(transaction=True)
    for write in writes:
        pipe.execute_command(*write)
    await pipe.execute()


async def folded(redis: Redis, read_model: RedisReadModel, events: Sequence[Recorded[Any]]) -> None:
    """Fold events as one page into Redis."""
    await apply(redis, read_model.fold(read_model.keyspace(), events))


async def content(redis: Redis) -> dict[Any, Any]:
    """All keys with all they hold, whatever order Redis keeps it in."""
    found: dict[Any, Any] = {}
    for key in await redis.keys():
        match await redis.type(key):
            case b"hash":
                found[key] = await redis.hgetall(key)
            case b"set":
                found[key] = await redis.smembers(key)
            case b"zset":
                entries = await redis.zrange(key, 0, -1, withscores=True)
                found[key] = [tuple(entry) for entry in entries]
            case other:
                raise AssertionError(f"{key!r} is a {other!r}")
    return found


def decoded(document: bytes | None) -> dict[str, Any]:
    """A document that must be there, as a dict."""
    assert document is not None
    return msgspec.json.decode(document, type=dict[str, Any])
