"""Traces what differs back to an event: since when is a live value not what the log says?

A value that belongs to one stream alone, such as an error's, was once right. The stream is folded
into a keyspace of its own, event by event; the last time at which it left the value that is live
now tells which event the live version has missed. A value that comes out otherwise than the log
says has events of other streams in it, as when a rule last triggered, and is not traced.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any
from uuid import UUID

import msgspec
import redis

from domain.message import Recorded
from errata.folding import Source
from infra.event_store.archive import Archive
from infra.event_store.past import PastLog
from projections.findings import Finding, in_words, stream_of
from projections.projection import Keyspace, RedisReadModel, Write
from projections.verification import Discrepancy, Suspect, same, values

TRACED = 10
"""Streams of a read model whose findings are traced back."""

STEPS = 2_000
"""The last events of a stream are looked at one by one, those before them together."""


class Tracer:
    """Traces back what differs in read models of one log."""

    def __init__(self, client: redis.Redis, source: Source) -> None:
        self._client = client
        self._source = source

    def findings(
        self, model: RedisReadModel, discrepancies: Sequence[Discrepancy], until: int
    ) -> list[Finding]:
        """Discrepancies in words, found at position `until`, those of one stream together; of the
        first streams with the events since when they have been.

        Raises psycopg.Error, RedisError, HoleInLog, ArchiveDamaged, UnknownEvent."""
        by_stream: defaultdict[UUID | None, list[Discrepancy]] = defaultdict(list)
        for one in discrepancies:
            by_stream[stream_of(one)].append(one)
        found: list[Finding] = []
        for number, (stream, some) in enumerate(by_stream.items()):
            if stream is None or number >= TRACED:
                found += chain.from_iterable(in_words(model.name, one) for one in some)
            else:
                found += self._traced(model, stream, some, until)
        return found

    def _traced(
        self, model: RedisReadModel, stream: UUID, some: Sequence[Discrepancy], until: int
    ) -> Iterator[Finding]:
        with PastLog(self._source.database_url, Archive(self._source.archive)) as log:
            events = list(log.stream(stream, until))
        last = events[-1].position if events else None
        for one, (since, alone) in zip(some, self._since(model, some, events), strict=True):
            for finding in in_words(model.name, one):
                yield msgspec.structs.replace(
                    finding, stream_id=stream, since=since, last_event=last if alone else None
                )

    def _since(
        self, model: RedisReadModel, some: Sequence[Discrepancy], events: Sequence[Recorded[Any]]
    ) -> list[tuple[int | None, bool]]:
        """For each, the position of the first event that the live version has missed, and whether
        it comes from these events alone; where it does not, they cannot tell."""
        since: list[int | None] = [None] * len(some)
        space = Keyspace(f"{model.name}@trace.{secrets.token_hex(8)}", model.version)
        suspects = [Suspect(one.key, one.member) for one in some]
        first = max(0, len(events) - STEPS)
        try:
            self._write(model.fold(space, events[:first]))
            for event in events[first:]:
                for number, value in enumerate(values(self._client, space, suspects)):
                    if same(value, some[number].found):
                        since[number] = event.position
                self._write(model.fold(space, [event]))
            ends = values(self._client, space, suspects)
        finally:
            for key in self._client.scan_iter(match=space.prefix + "*", count=1_000):
                self._client.unlink(key)
        alone = [same(end, one.expected) for end, one in zip(ends, some, strict=True)]
        return [(at if own else None, own) for at, own in zip(since, alone, strict=True)]

    def _write(self, writes: Sequence[Write]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for write in writes:
            pipeline.execute_command(*write)  # type: ignore[no-untyped-call]
        pipeline.execute()
