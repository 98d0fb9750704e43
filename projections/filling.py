"""Fills versions of read models that nobody reads yet, faster than a runner brings live ones up to
date: large pages, folded side by side by several processes, written in the order of the log.

A fold is pure, so pages need not wait for each other until they are written; and the more events a
page holds, the more of them concern an error that it touches anyway. Each page is still one
transaction with the checkpoints, as with a runner: a filler that is killed leaves versions that can
be filled further, and one that was frozen while another took over writes nothing.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
import redis
from hiredis import pack_command
from redis.connection import AbstractConnection

from domain.message import Recorded
from projections.projection import CLEARING, Keyspace, RedisReadModel, Write

FIRST_PAGE = 1_000
LARGEST_PAGE = 20_000
PAGE_BYTES = 4 << 20
"""A page's writes come to about so much: Redis, which serves readers meanwhile, is then busy with
them for some 50 ms at most. How many events that are shows on the way."""

Progress = Callable[[int], None]
"""Told the position after each page."""


class Overtaken(Exception):
    """A checkpoint is not where it was left: somebody else fills the version, or has dropped it."""


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """Commands as Redis reads them, and how many they are."""

    count: int
    commands: bytes


class Request(msgspec.Struct, frozen=True, array_like=True):
    """The events after `start` up to and including `end`, to be folded into these versions. Those
    that are nobody's to read at all are called "<read model>@...": see `model_name`."""

    start: int
    end: int
    keyspaces: tuple[Keyspace, ...]


class Folded(msgspec.Struct, frozen=True, array_like=True):
    """What a page comes to: the writes of each version, in the order of the request. Where an event
    cannot be read or digested, there are none, and `failure` says why."""

    request: Request
    writes: tuple[Packed, ...] = ()
    failure: str | None = None

    @property
    def size(self) -> int:
        """Bytes of its commands."""
        return sum(len(packed.commands) for packed in self.writes)


class Folder(Protocol):
    """Folds pages, here or in another process: `answer` belongs to the oldest `ask` still open."""

    def ask(self, request: Request) -> None:
        """Begin with a page."""
        ...

    def answer(self) -> Folded:
        """What it came to; waits for it."""
        ...


def fold_page(
    models: Sequence[RedisReadModel], request: Request, events: Sequence[Recorded[Any]]
) -> Folded:
    """Fold a page into each version. Never raises: what a fold raises is the answer's failure."""
    kinds = {type(recorded.event) for recorded in events}
    writes: list[Packed] = []
    for model, keyspace in zip(models, request.keyspaces, strict=True):
        try:
            writes.append(packed(_fold(model, keyspace, events, kinds)))
        except Exception as error:  # noqa: BLE001 - any of them stops this read model
            return Folded(request, failure=f"{keyspace.name}: {error}")
    return Folded(request, tuple(writes))


def joined(request: Request, pages: Iterable[Folded]) -> Folded:
    """Pages that follow each other as the one that was asked for; up to the first failure."""
    parts: list[tuple[Packed, ...]] = []
    for page in pages:
        if page.failure is not None:
            return page
        parts.append(page.writes)
    if len(parts) == 1:
        return Folded(request, parts[0])
    return Folded(request, tuple(map(_together, *parts)))


def _together(*parts: Packed) -> Packed:
    return Packed(sum(part.count for part in parts), b"".join(part.commands for part in parts))


def _fold(
    model: RedisReadModel, keyspace: Keyspace, events: Sequence[Recorded[Any]], kinds: set[Any]
) -> list[Write]:
    """Most read models ignore nearly all events; they need not look at each to find out."""
    if kinds <= model.ignores:
        return []
    if kinds & model.ignores:
        events = [recorded for recorded in events if type(recorded.event) not in model.ignores]
    return model.fold(keyspace, events)


def model_name(keyspace: Keyspace) -> str:
    """The name of the read model whose version this is, private or not."""
    return keyspace.name.partition("@")[0]


def packed(writes: Sequence[Write]) -> Packed:
    """Commands in the protocol of Redis."""
    pack: Any = pack_command  # typed for one argument only
    return Packed(len(writes), b"".join(map(pack, writes)))


def fill(
    client: redis.Redis,
    keyspaces: Sequence[Keyspace],
    until: int,
    folders: Sequence[Folder],
    *,
    progress: Progress = lambda position: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> str | None:
    """Bring versions from where their checkpoints are (none: they are empty) up to `until`, a
    position that the log has reached.

    Returns None when all are there or it was `cancelled`, which is asked after each page; or why an
    event could not be folded. The versions then stand at the end of some page, and a runner goes on
    from there. Raises Overtaken, RedisError."""
    at: defaultdict[int, list[Keyspace]] = defaultdict(list)
    for keyspace in keyspaces:
        found: Any = client.get(keyspace.checkpoint)
        at[int(found or 0)].append(keyspace)
    for start, together in sorted(at.items()):
        for folded in _folded(folders, tuple(together), start, until):
            if folded.failure is not None:
                return folded.failure
            _write(client, folded)
            progress(folded.request.end)
            if cancelled():
                return None
    return None


def _folded(
    folders: Sequence[Folder], keyspaces: tuple[Keyspace, ...], start: int, until: int
) -> Iterator[Folded]:
    """The pages in order, while each folder has one to work on. What is still open when nobody
    asks for more is taken back, so that the folders can be used again."""
    free, busy = deque(folders), deque[Folder]()
    size = FIRST_PAGE
    try:
        while start < until or busy:
            while free and start < until:
                end = min(start + size, until)
                free[0].ask(Request(start, end, keyspaces))
                busy.append(free.popleft())
                start = end
            folded = busy[0].answer()
            free.append(busy.popleft())
            size = _next_size(folded)
            yield folded
    finally:
        for folder in busy:
            folder.answer()


def _next_size(folded: Folded) -> int:
    """How many events the next page may hold, by what those of the last came to; no more than four
    times as many, as the first events of a log are not like the others."""
    events = folded.request.end - folded.request.start
    fitting = PAGE_BYTES * events // max(folded.size, 1)
    return max(1, min(fitting, 4 * events, LARGEST_PAGE))


def _write(client: redis.Redis, folded: Folded) -> None:
    """Write a page: one transaction, or on a cluster one for each version."""
    each = list(zip(folded.request.keyspaces, folded.writes, strict=True))
    for group in [[one] for one in each] if isinstance(client, redis.RedisCluster) else [each]:
        with _connection(client, group[0][0]) as connection:
            _guarded(connection, dict(group), folded.request)


def _guarded(
    connection: AbstractConnection, writes: Mapping[Keyspace, Packed], request: Request
) -> None:
    checkpoints = [keyspace.checkpoint for keyspace in writes]
    _, found = _answers(connection, packed([("WATCH", *checkpoints), ("MGET", *checkpoints)]))
    if any(int(at or 0) != request.start for at in found):
        _answers(connection, packed([("UNWATCH",)]))
        raise Overtaken(f"the checkpoints are at {found}, not at {request.start}")
    moves = packed([("SET", checkpoint, request.end) for checkpoint in checkpoints])
    begin, end = packed([("MULTI",)]), packed([("EXEC",)])
    *queued, done = _answers(connection, begin, *writes.values(), moves, end)
    _raise_any((*queued, done))  # refused as a whole: nothing was written
    if done is None:
        raise Overtaken(f"somebody else has moved on from {request.start}")
    try:
        _raise_any(done)
    except redis.ResponseError:
        # Redis does not undo the rest: what is there fits no position, and must go.
        clear = packed([("SET", checkpoint, CLEARING) for checkpoint in checkpoints])
        _answers(connection, clear)
        raise


def _raise_any(answers: Iterable[Any]) -> None:
    for answer in answers:
        if isinstance(answer, redis.ResponseError):
            raise answer


def _answers(connection: AbstractConnection, *parts: Packed) -> list[Any]:
    """Send commands at once and read what each of them answers; errors among them."""
    commands = [part.commands for part in parts if part.count]
    connection.send_packed_command(commands)  # type: ignore[no-untyped-call]
    return [_answer(connection) for _ in range(sum(part.count for part in parts))]


def _answer(connection: AbstractConnection) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


@contextmanager
def _connection(client: redis.Redis, keyspace: Keyspace) -> Iterator[AbstractConnection]:
    """A connection to the server that holds a version, for the life of a block."""
    if isinstance(client, redis.RedisCluster):
        client = client.get_redis_connection(client.get_node_from_key(keyspace.checkpoint))
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        yield connection
    except BaseException:
        # Half an answer may be left in it.
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    finally:
        pool.release(connection)
