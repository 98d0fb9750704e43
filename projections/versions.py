"""Which version of a read model is read, worked on and built: what `errata:active` says.

A version is a whole number that names a fold and a build of it. The first build of fold N is
written N; build B of it, a rebuild, is N x 1,000 + B (docs/decisions/0021-rebuilds.md). `active`
names the one that is live, `kept` the one that was live before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import redis

from projections.projection import ACTIVE, Keyspace, ReadModel

KEPT = "errata:kept"
"""Redis hash: read model name -> Kept, as JSON: the version that was live before."""

BUILT = "errata:builds"
"""Redis hash: read model name -> how many builds were begun, so that no two share a number."""

ACTIVE_CHANGED = "active"
"""What is said on the channel of positions, in a read model's place, when versions change."""

GRACE_SECONDS = 5.0
"""So long a version that has given way is still moved on and never dropped: readers look four times
a second which one is live."""

_BUILDS = 1_000


class Kept(msgspec.Struct, frozen=True):
    """A version that has given way, when it did, and until when it is kept (Unix times)."""

    version: int
    since: float
    until: float


class Standing(msgspec.Struct, frozen=True):
    """What Redis says of all read models, by name: which versions are live, which are kept."""

    active: Mapping[str, int]
    kept: Mapping[str, Kept]


def code_of(version: int) -> int:
    """The fold that a version is a build of."""
    return version if version < _BUILDS else version // _BUILDS


def build_of(code: int, number: int) -> int:
    """The version that is the `number`-th build (1, 2, ...) of a fold. After 999 it is the first
    again: it has long been dropped."""
    return code * _BUILDS + (number - 1) % (_BUILDS - 1) + 1


def own_version(name: str, code: int, standing: Standing) -> int | None:
    """The version that code of this fold keeps up to date: the live one, or else the kept one, if
    it is a build of this fold. None while an older fold is live, beside which it is built first."""
    active, kept = standing.active.get(name), standing.kept.get(name)
    for found in (active, kept.version if kept else None):
        if found is not None and code_of(found) == code:
            return found
    older = active is not None and code_of(active) < code
    return None if older else code


def read_version(name: str, code: int, serves_from: int, standing: Standing) -> int:
    """The version that code of this fold answers from: its own, or that of an older fold as long as
    that is live, if the code can read what folds from `serves_from` on have written."""
    own = own_version(name, code, standing)
    if own is not None:
        return own
    active = standing.active[name]
    return active if code_of(active) >= serves_from else code


def standing_keys() -> tuple[str, str]:
    """The hashes whose contents `as_standing` takes."""
    return ACTIVE, KEPT


def as_standing(active: Mapping[bytes, bytes], kept: Mapping[bytes, bytes]) -> Standing:
    """The answers of Redis, decoded."""
    return Standing(
        {name.decode(): int(version) for name, version in active.items()},
        {name.decode(): msgspec.json.decode(text, type=Kept) for name, text in kept.items()},
    )


def standing_of(client: redis.Redis) -> Standing:
    """What Redis says now. Raises RedisError."""
    active: Any = client.hgetall(ACTIVE)
    kept: Any = client.hgetall(KEPT)
    return as_standing(active, kept)


def live_spaces(client: redis.Redis, models: Iterable[ReadModel]) -> list[Keyspace]:
    """Where this code's readers find each read model now. Raises RedisError."""
    standing = standing_of(client)
    return [live_space(model, standing) for model in models]


def live_space(model: ReadModel, standing: Standing) -> Keyspace:
    """Where this code's readers find a read model."""
    return model.keyspace(read_version(model.name, model.version, model.serves_from, standing))
