"""Compares what is live of one error with the fold of its own stream, which takes no time.

What read models hold of one error alone (its document, words and places in the lists, what it has
added to numbers) follows from its stream alone. Sums over many errors do not; nor is it seen when
the error stands in a list where it does not belong: `errata verify` finds those.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import redis

from domain.message import Recorded
from errata.folding import Source
from errata.tracing import Tracer
from infra.event_store.archive import Archive
from infra.event_store.past import PastLog
from projections.digests import digest, members
from projections.findings import Verdict, suspects_of
from projections.projection import Keyspace, RedisReadModel, Write
from projections.verification import settled
from projections.versions import live_space, standing_of

_EVER = 2**63 - 1
_SECONDS = 60


def check_error(
    source: Source, client: redis.Redis, models: Sequence[RedisReadModel], error_id: UUID
) -> list[Verdict]:
    """The verdict of each read model that holds anything of an error; none for an unknown one.

    Raises MovedBack, psycopg.Error, RedisError, HoleInLog, ArchiveDamaged, UnknownEvent."""
    with PastLog(source.database_url, Archive(source.archive)) as log:
        kinds = {type(recorded.event) for recorded in log.stream(error_id, _EVER)}
    if not kinds:
        return []
    standing = standing_of(client)
    return [
        _Check(source, client, model, live_space(model, standing), error_id).verdict()
        for model in models
        if kinds & model.folds
    ]


class _Check:
    """One error in one read model."""

    def __init__(
        self,
        source: Source,
        client: redis.Redis,
        model: RedisReadModel,
        live: Keyspace,
        error_id: UUID,
    ) -> None:
        self._source = source
        self._client = client
        self._model = model
        self._live = live
        self._own = Keyspace(f"{model.name}@check.{secrets.token_hex(8)}", live.version)
        self._error_id = error_id
        self._at = 0

    def verdict(self) -> Verdict:
        """Fold and compare."""
        try:
            return self._verdict()
        finally:
            for key in self._client.scan_iter(match=self._own.prefix + "*", count=1_000):
                self._client.unlink(key)

    def _verdict(self) -> Verdict:
        found: Any = self._client.get(self._live.checkpoint)
        self._advance(max(0, int(found or 0)))
        suspects = suspects_of(self._error_id, self._held())
        position, different = settled(self._client, self._live, self._own, self._advance, suspects)
        return Verdict(
            read_model=self._model.name,
            version=self._live.version,
            position=position,
            keys=len({suspect.key for suspect in suspects}),
            different=len(different),
            complete=True,
            findings=Tracer(self._client, self._source).findings(self._model, different, position),
        )

    def _held(self) -> dict[bytes, list[bytes]]:
        """The keys of the fold with the members that they have in it or in the live version."""
        keys = {*digest(self._client, self._own).keys, b"group:" + self._error_id.hex.encode()}
        shared = {key for key in keys if not key.endswith(self._error_id.hex.encode())}
        return {key: [*members(self._client, self._own, key)] for key in shared} | {
            key: [*members(self._client, self._own, key), *members(self._client, self._live, key)]
            for key in keys - shared
        }

    def _advance(self, position: int) -> None:
        if position == self._at:
            return
        with PastLog(self._source.database_url, Archive(self._source.archive)) as log:
            for page in log.stream_pages(self._error_id, position):
                new = [one for one in page if self._is_new(one)]
                self._write(self._model.fold(self._own, new))
        self._write([("SET", self._own.checkpoint, position, "EX", _SECONDS)])
        self._at = position

    def _write(self, writes: Sequence[Write]) -> None:
        pipeline = self._client.pipeline(transaction=True)
        for write in writes:
            pipeline.execute_command(*write)  # type: ignore[no-untyped-call]
        pipeline.execute()

    def _is_new(self, recorded: Recorded[Any]) -> bool:
        return recorded.position > self._at
