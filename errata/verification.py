"""`errata verify`: folds the log afresh and compares with what is live.

Each read model in Redis is folded into a keyspace of its own, which goes when it is compared; the
index in PostgreSQL into a temporary table. Nothing that is live is written to, and workers go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import redis
from redis.exceptions import RedisError

from errata.folding import Source, folders
from errata.index_verification import verify_index
from errata.tracing import Tracer
from projections.filling import Folder, fill
from projections.findings import Verdict
from projections.past import PastKeyspaces
from projections.projection import Keyspace, PostgresReadModel, ReadModel, RedisReadModel
from projections.verification import Compared, compare
from projections.versions import live_space, standing_of

FAMILY = "verify"
BEAT_SECONDS = 3.0

_AT_ONCE = 100
"""Keyspaces; each read model has but one, which is what keeps two verifications apart."""

SHOWN = 100
"""Findings of a read model that are told; all are counted."""


class CannotVerify(Exception):
    """The log cannot be folded, or somebody verifies already; the text says which."""


class Cancelled(Exception):
    """Whoever asked does not want to know any more."""


class Stage(NamedTuple):
    """What is being done: the log folded up to `position` of `target`, or, with a name, a read
    model compared."""

    position: int
    target: int
    comparing: str | None = None


Tell = Callable[[Stage], None]


def verify(
    source: Source,
    client: redis.Redis,
    models: Sequence[ReadModel],
    tell: Tell = lambda stage: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Verdict]:
    """The verdict on each read model, as soon as it is known.

    Raises CannotVerify, Cancelled, MovedBack, psycopg.Error, RedisError, HoleInLog,
    ArchiveDamaged."""

    def told(stage: Stage) -> None:
        tell(stage)
        if cancelled():
            raise Cancelled

    in_redis = [model for model in models if isinstance(model, RedisReadModel)]
    in_postgres = [model for model in models if isinstance(model, PostgresReadModel)]
    with _private_spaces(client, in_redis) as spaces:
        yield from _Verification(client, source, spaces, told).verdicts()
    for model in in_postgres:
        yield _index_verdict(source, model, told)


@contextmanager
def _private_spaces(
    client: redis.Redis, models: Sequence[RedisReadModel]
) -> Iterator[list[_Verified]]:
    """A private keyspace for each live one, empty, and ours alone until the end of the block."""
    keyspaces = PastKeyspaces(client, FAMILY, at_once=_AT_ONCE)
    keyspaces.sweep()
    standing = standing_of(client)
    with ExitStack() as undo:
        spaces = []
        for model in models:
            live = live_space(model, standing)
            private = Keyspace(f"{model.name}@verify", live.version)
            if keyspaces.claim(private, -1) != "ours":
                raise CannotVerify(f"{model.name} is being verified already")
            undo.callback(keyspaces.release, private)
            keyspaces.drop(private)  # what one that was killed has left
            undo.callback(keyspaces.drop, private)
            spaces.append(_Verified(model, live, private))

        def beat() -> None:
            for one in spaces:
                keyspaces.still(one.private)

        undo.enter_context(beating(beat))
        yield spaces


@contextmanager
def beating(beat: Callable[[], object]) -> Iterator[None]:
    """Say now and then that the work in the block goes on, in a thread of its own: some steps of it
    take long, and who hears nothing takes us for dead."""
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(BEAT_SECONDS):
            with suppress(RedisError, OSError):
                beat()

    thread = threading.Thread(target=live, name="verifying", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(BEAT_SECONDS)


class _Verified(NamedTuple):
    model: RedisReadModel
    live: Keyspace
    private: Keyspace


class _Verification:
    """One run over some read models in Redis."""

    def __init__(
        self, client: redis.Redis, source: Source, spaces: Sequence[_Verified], tell: Tell
    ) -> None:
        self._client = client
        self._source = source
        self._spaces = spaces
        self._tell = tell
        self._tracer = Tracer(client, source)

    def verdicts(self) -> Iterator[Verdict]:
        """Fold all together up to where the last of them is, then compare one after the other."""
        if not self._spaces:
            return
        target = min(self._live_position(one) for one in self._spaces)
        with folders(self._source, target) as some:
            self._fold([one.private for one in self._spaces], target, some)
            for one in self._spaces:
                self._tell(Stage(target, target, one.model.name))

                def advance(position: int, one: _Verified = one) -> None:
                    self._fold([one.private], position, some)

                found = compare(self._client, one.live, one.private, advance)
                yield self._verdict(one, found)

    def _live_position(self, one: _Verified) -> int:
        found: Any = self._client.get(one.live.checkpoint)
        return max(0, int(found or 0))

    def _fold(self, spaces: Sequence[Keyspace], until: int, some: Sequence[Folder]) -> None:
        def progress(position: int) -> None:
            self._tell(Stage(position, until))

        failure = fill(self._client, spaces, until, some, progress=progress)
        if failure is not None:
            raise CannotVerify(failure)

    def _verdict(self, one: _Verified, compared: Compared) -> Verdict:
        shown = compared.discrepancies[:SHOWN]
        return Verdict(
            read_model=one.model.name,
            version=one.live.version,
            position=compared.position,
            keys=compared.keys,
            different=len(compared.discrepancies),
            complete=compared.complete,
            findings=self._tracer.findings(one.model, shown, compared.position)[:SHOWN],
        )


def _index_verdict(source: Source, model: PostgresReadModel, tell: Tell) -> Verdict:
    found = verify_index(
        source, model, lambda position, target: tell(Stage(position, target)), SHOWN
    )
    return Verdict(
        read_model=model.name,
        version=model.version,
        position=found.position,
        keys=found.rows,
        different=found.different,
        complete=True,
        findings=found.findings,
    )
