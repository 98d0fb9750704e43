"""Answers as of a moment: what they need is built in threads of this process, at most two at a time
in all processes, and a request that has waited for two seconds is told how far it has come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import redis.asyncio as async_redis
import structlog

from api.container import Container, MapContents
from api.past_ports import Building, Moment
from domain import source_maps
from domain.decider import fold
from domain.failures import Unavailable
from domain.message import Recorded
from errata.past_container import past_container
from infra.event_store.archive import Archive, ArchiveDamaged
from infra.event_store.codec import UnknownEvent
from infra.event_store.past import PastLog
from infra.event_store.reader import HoleInLog
from infra.event_store.scan import LogScan
from infra.redis import connect
from infra.settings import Settings
from infra.snapshots import SnapshotFolder
from projections.differences import ChangedErrors, Comparison, Differences
from projections.occurrence_index import OccurrenceIndex
from projections.past import (
    PAGE_EVENTS,
    Builder,
    Claim,
    Goal,
    Interrupted,
    Overtaken,
    PastKeyspaces,
    Undigested,
)
from projections.positions import Positions
from projections.projection import Keyspace, RedisReadModel
from projections.registry import by_name
from projections.snapshots import Row

log = structlog.get_logger("errata.past")

PATIENCE = 2.0
"""Seconds that a request waits for its moment."""

INDEX = OccurrenceIndex.name
"""What lives in PostgreSQL is never built for a moment: it still has what it had then."""

_POLL_SECONDS = 0.05
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_REMEMBERED = 1_000
_SETTLED_SECONDS = 10.0

Work = Callable[[Callable[[], None]], None]
"""Builds one keyspace; it calls what it is given now and then, which may raise Interrupted."""


class NoPlace(Unavailable):
    """As many moments as may be are being built already."""


class Snapshots:
    """Where read models begin: at the nearest sound snapshot in a folder."""

    def __init__(self, folder: SnapshotFolder) -> None:
        self._folder = folder

    def nearest(self, model: RedisReadModel, position: int) -> tuple[int, Iterable[Row]]:
        """See projections.past.Snapshots."""
        try:
            for snapshot in self._folder.before(model.name, model.version, position):
                if self._folder.sound(snapshot):
                    return snapshot.position, self._folder.rows(snapshot, Row)
        except Exception as error:  # noqa: BLE001 - whatever a file system raises: it costs time only
            log.warning("snapshots cannot be read", reason=str(error))
        return 0, ()


class Past:
    """The past of one installation, for one process. `stop` when it ends. See api.past_ports."""

    def __init__(
        self, settings: Settings, client: async_redis.Redis, *, patience: float = PATIENCE
    ) -> None:
        self._url = settings.database_url_or_fail()
        self._redis_url = settings.redis_url_or_fail()
        self._archive = Archive(settings.archive)
        self._snapshots = Snapshots(SnapshotFolder(settings.archive))
        self._client = client
        self._patience = patience
        self.keyspaces = PastKeyspaces(connect(self._redis_url))
        self._tasks: dict[Keyspace, asyncio.Task[None]] = {}
        self._failures: dict[Keyspace, Exception] = {}
        self._stopping = threading.Event()
        self._moments: dict[datetime, Moment] = {}

    async def stop(self) -> None:
        """Give up what is being built."""
        self._stopping.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self.keyspaces.client.close()

    async def moment(self, asked: int | datetime) -> Moment:
        """See api.past_ports."""
        if isinstance(asked, datetime) and asked in self._moments:
            return self._moments[asked]
        moment = await asyncio.to_thread(self._moment, asked)
        settled = (datetime.now(UTC) - moment.at).total_seconds() > _SETTLED_SECONDS
        if isinstance(asked, datetime) and settled:
            if len(self._moments) >= _REMEMBERED:
                self._moments.clear()
            self._moments[asked] = moment
        return moment

    async def container(
        self, live: Container, moment: Moment, read_models: Sequence[str], stream: UUID | None
    ) -> Container | Building:
        """See api.past_ports."""
        deadline = monotonic() + self._patience
        built = [name for name in read_models if name != INDEX]
        if INDEX in read_models:
            building = await _reached(live.positions, INDEX, moment.position, deadline)
            if building is not None:
                return building
        goals = [Goal(by_name(name), moment.position, stream) for name in built]
        for goal in goals:

            def work(still: Callable[[], None], goal: Goal = goal) -> None:
                with self._log() as past_log:
                    Builder(self.keyspaces, past_log, self._snapshots, still).build([goal])

            building = await self._built(goal.keyspace, moment.position, work, deadline)
            if building is not None:
                return building
        return past_container(
            live,
            self._client,
            moment,
            read_models,
            stream,
            self._stream_reader(moment.position),
            self._maps_reader(moment.position),
        )

    async def difference(self, start: Moment, end: Moment) -> Differences | Building:
        """See api.past_ports."""
        space = Keyspace(f"diff@{start.position}-{end.position}", 1)

        def work(still: Callable[[], None]) -> None:
            self._compare(space, start.position, end.position, still)

        deadline = monotonic() + self._patience
        building = await self._built(space, end.position, work, deadline)
        if building is not None:
            return building
        found: Any = await self._client.get(_result(space))
        if found is None:
            raise Unavailable("projections", "the comparison was lost: ask again", retry_after=1)
        return msgspec.json.decode(found, type=Differences)

    # -- building ----------------------------------------------------------------------------------

    async def _built(
        self, space: Keyspace, position: int, work: Work, deadline: float
    ) -> Building | None:
        """Wait until a keyspace is built, by us if nobody else does; None when it is."""
        while True:
            failure = self._failures.pop(space, None)
            if failure is not None:
                raise failure
            claim = await asyncio.to_thread(self.keyspaces.claim, space, position)
            if claim == "ready":
                return None
            if claim == "ours":
                self._tasks[space] = asyncio.create_task(self._build(space, work))
            task = self._tasks.get(space)
            if task is not None:
                await asyncio.wait({task}, timeout=max(0.0, deadline - monotonic()))
                if task.done():
                    continue
            elif monotonic() < deadline:
                await asyncio.sleep(_POLL_SECONDS)
            if monotonic() >= deadline:
                return await self._not_yet(space, position, claim)

    async def _build(self, space: Keyspace, work: Work) -> None:
        """Build, and keep a failure for whoever asks next: nobody may be waiting any more."""
        try:
            await asyncio.to_thread(_explained, work, self._still)
        except Exception as error:  # noqa: BLE001 - raised for whoever asks next
            self._failures[space] = error
        finally:
            self._tasks.pop(space, None)

    def _still(self) -> None:
        if self._stopping.is_set():
            raise Interrupted

    async def _not_yet(self, space: Keyspace, position: int, claim: Claim) -> Building:
        if claim == "full":
            reason = "as many moments as are built at a time are being built"
            raise NoPlace("projections", reason, retry_after=2)
        at = await asyncio.to_thread(self.keyspaces.position, space)
        return Building(at or 0, position)

    def _moment(self, asked: int | datetime) -> Moment:
        with _away_is_said(), self._log() as past_log:
            head = past_log.head()
            if isinstance(asked, datetime):
                if asked > datetime.now(UTC):
                    raise ValueError("lies in the future")
                return Moment(past_log.position_at(asked), asked)
            if asked > head:
                raise ValueError(f"lies ahead of the log, which ends at {head}")
            return Moment(asked, past_log.recorded_at(asked) if asked else _BEGINNING)

    def _log(self) -> PastLog:
        return PastLog(self._url, self._archive)

    def _compare(self, space: Keyspace, start: int, end: int, still: Callable[[], None]) -> None:
        keyspaces, comparison, at = self.keyspaces, Comparison(), start
        try:
            with self._log() as past_log:
                while at < end:
                    events = past_log.events(at, min(PAGE_EVENTS, end - at))
                    comparison.take(events)
                    at = events[-1].position
                    still()
                    keyspaces.still(space)
                    if at < end:
                        moved = ("SET", space.checkpoint, at, "EX", keyspaces.lifetime)
                        keyspaces.client.execute_command(*moved)
                found = _with_messages(comparison.result(), past_log, end)
            text = msgspec.json.encode(found)
            keyspaces.client.set(_result(space), text, ex=2 * keyspaces.lifetime)
            keyspaces.client.set(space.checkpoint, end, ex=keyspaces.lifetime)
        finally:
            keyspaces.release(space)

    def _stream_reader(self, position: int) -> Callable[..., Any]:
        def read(stream_id: UUID, before: int | None, limit: int) -> Sequence[Recorded[Any]]:
            with _away_is_said(), self._log() as past_log:
                return past_log.stream_back(stream_id, before, limit, position)

        async def reader(
            stream_id: UUID, before: int | None, limit: int
        ) -> Sequence[Recorded[Any]]:
            return await asyncio.to_thread(read, stream_id, before, limit)

        return reader

    def _maps_reader(self, position: int) -> MapContents:
        def read(app: str, app_version: str) -> Mapping[str, str]:
            stream_id = source_maps.maps_stream(app, app_version)
            with _away_is_said(), LogScan(self._url, self._archive) as scan:
                if not scan.has_stream(stream_id):
                    return {}  # no archive has to be searched
                return fold(source_maps.decider, scan.stream(stream_id, position)).files

        async def reader(app: str, app_version: str) -> Mapping[str, str]:
            return await asyncio.to_thread(read, app, app_version)

        return reader


async def _reached(
    positions: Positions, name: str, position: int, deadline: float
) -> Building | None:
    """Wait until a live read model, which keeps its own past, has come to a position; None when it
    has."""
    if await positions.wait(name, position, max(0.0, deadline - monotonic())):
        return None
    return Building(positions.position(name), position)


def _result(space: Keyspace) -> str:
    return f"{space.prefix}result"


def _with_messages(found: Differences, past_log: PastLog, until: int) -> Differences:
    """Errors that were not reported between the two moments have their latest message before."""

    def named(change: ChangedErrors) -> ChangedErrors:
        errors = [
            one
            if one.message is not None
            else msgspec.structs.replace(one, message=_message(past_log, one.id, until))
            for one in change.errors
        ]
        return ChangedErrors(change.count, errors)

    changes = msgspec.structs.asdict(found).items()
    changed = {name: named(change) for name, change in changes if isinstance(change, ChangedErrors)}
    return msgspec.structs.replace(found, **changed)


def _message(past_log: PastLog, error_id: UUID, until: int) -> str | None:
    recent = past_log.stream_back(error_id, None, 10, until)
    occurrences = (getattr(one.event, "occurrence", None) for one in recent)
    return next((one.message for one in occurrences if one is not None), None)


def _explained(work: Work, still: Callable[[], None]) -> None:
    """Build, and say of what can go wrong on the way that it is not there now."""
    with _away_is_said():
        work(still)


@contextmanager
def _away_is_said() -> Iterator[None]:
    """What can go wrong with the log, as Unavailable."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise Unavailable("postgres", "the event store cannot be reached") from error
    except (HoleInLog, ArchiveDamaged, UnknownEvent, Undigested) as error:
        log.error("the past cannot be read", reason=str(error))
        raise Unavailable("projections", str(error)) from error
    except (Interrupted, Overtaken) as error:
        raise Unavailable("projections", "interrupted: ask again", retry_after=1) from error
