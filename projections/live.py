"""Queries that follow their read model from version to version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from redis.asyncio import Redis

from projections.positions import Positions
from projections.projection import Keyspace, ReadModel

Queries = TypeVar("Queries")


class Live:
    """Makes the queries of read models, over the versions that are to be read."""

    def __init__(self, client: Redis, positions: Positions) -> None:
        self._client = client
        self._positions = positions

    def __call__(
        self, make: Callable[[Redis, Keyspace], Queries], model: type[ReadModel]
    ) -> Queries:
        """The queries of `model` as `make` makes them for one version. Do not keep its methods: a
        call goes to the version that is to be read when the method is looked up."""
        queries = _Following(
            lambda space: make(self._client, space), lambda: self._positions.space(model.name)
        )
        return cast("Queries", queries)


class _Following(Generic[Queries]):
    """Stands in for the queries of a read model: each call goes to those of the version that is to
    be read at its start, and stays with it to its end."""

    def __init__(self, make: Callable[[Keyspace], Queries], space: Callable[[], Keyspace]) -> None:
        self._make = make
        self._space = space
        self._at = space()
        self._queries = make(self._at)

    def __getattr__(self, name: str) -> Any:
        space = self._space()
        if space != self._at:
            self._at, self._queries = space, self._make(space)
        return getattr(self._queries, name)
