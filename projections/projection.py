"""The contract every read model keeps.

A read model is a name, a version, a pure fold and its queries, in one file. The fold turns a page
of the log into Redis commands that write absolute values: it reads nothing, knows no clock and no
chance, and touches each key once per page, so pages of any size leave the same bytes. The runner
sends those commands and the new checkpoint in one transaction. A read model in PostgreSQL is the
same with SQL statements.

Every event of the catalog is either folded or ignored by name; a test holds that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, LiteralString

import msgspec

from domain.message import Event, Recorded

Write = tuple[str | bytes | int | float, ...]
"""One Redis command with its arguments, such as ("SET", key, value)."""

Statement = tuple[LiteralString, tuple[Any, ...]]
"""One SQL statement with its arguments; of a COPY ... FROM STDIN, what it is sent (bytes)."""

Pages = Callable[[int, int], Iterator[Sequence[Recorded[Any]]]]
"""Reads the log after a position and up to another, page by page."""

ACTIVE = "errata:active"
"""Redis hash: read model name -> the version that is live."""

POSITIONS = "errata:positions"
"""Redis channel: "<name>.v<version> <position>" each time a read model moves on; a line for each
where several do at once."""

CLEARING = -1
"""A checkpoint's value while its read model is being emptied, to be built from the start."""


class Indigestible(Exception):
    """An event that a read model cannot digest. The read model stops at it and says so."""

    def __init__(self, recorded: Recorded[Any], reason: str) -> None:
        super().__init__(f"event {recorded.position} ({recorded.name}): {reason}")
        self.recorded = recorded
        self.reason = reason


class Page(msgspec.Struct, frozen=True):
    """The events after `start` up to and including `end`: exactly `end - start` of them."""

    start: int
    end: int
    events: tuple[Recorded[Any], ...]


class Keyspace(msgspec.Struct, frozen=True):
    """Where one version of a read model lives. The braces keep all its keys, its checkpoint with
    them, on one slot of a Redis Cluster. How versions are numbered: projections/versions.py."""

    name: str
    version: int

    @property
    def prefix(self) -> str:
        """The start of every key: "errata:{error_groups.v1}:"."""
        return f"errata:{{{self.name}.v{self.version}}}:"

    @property
    def checkpoint(self) -> str:
        """Holds the position up to which this version has folded the log."""
        return f"{self.prefix}checkpoint"


class ReadModel(ABC):
    """A read model. Subclasses say what they fold and what they leave aside.

    `version` is that of the fold, and `serves_from` the oldest whose data its queries can still
    answer from: what is live when new code starts goes on being read until the new version is
    built. A change of the keys or their contents that the queries need raises `serves_from` too."""

    name: ClassVar[str]
    version: ClassVar[int]
    serves_from: ClassVar[int] = 1
    folds: ClassVar[frozenset[type[Event]]]
    ignores: ClassVar[frozenset[type[Event]]]

    def keyspace(self, version: int | None = None) -> Keyspace:
        """Where a version lives; the code's own version unless told otherwise. A read model that
        lives in PostgreSQL has there what it says of itself: its position, why it stands still."""
        return Keyspace(self.name, self.version if version is None else version)


class RedisReadModel(ReadModel):
    """A read model kept in Redis."""

    @abstractmethod
    def fold(self, keyspace: Keyspace, events: Sequence[Recorded[Any]]) -> list[Write]:
        """The commands that bring this version from before `events` to after them.

        Raises Indigestible for an event it cannot understand."""


class PostgresReadModel(ReadModel):
    """A read model kept in tables beside the log: history, too large for Redis. There is one
    version of it at a time. `emptied_by` is the statement that empties it."""

    emptied_by: ClassVar[LiteralString]

    @abstractmethod
    def fold(self, events: Sequence[Recorded[Any]]) -> list[Statement]:
        """The statements that bring it from before `events` to after them, in this order.

        Raises Indigestible for an event it cannot understand."""
