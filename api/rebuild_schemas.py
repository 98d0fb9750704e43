"""The shapes of rebuilds, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from api.schemas import Time
from projections.digests import What
from projections.rebuilds import Kind, State
from projections.registry import READ_MODELS

_NAMES = [model.name for model in READ_MODELS]

ReadModelName = Annotated[str, Meta(extra_json_schema={"enum": _NAMES})]
ReadModels = Annotated[
    Annotated[list[ReadModelName], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]
    | None,
    Meta(description="Which read models, by name."),
]


class RebuildRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What shall be built anew: `read_models`, or `all` that can be. With `expect_same` it only
    replaces what is live if the two hold the same. Unknown fields are ignored; null is the same as
    absent."""

    read_models: ReadModels = None
    all: bool | None = None
    expect_same: bool | None = None


class RollbackRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What shall be as it was before its last rebuild. Without `read_models`, or without a body:
    all of which a version is kept."""

    read_models: ReadModels = None


class DifferingKey(msgspec.Struct, frozen=True):
    """A key of the live version, without its prefix, that is not as the new version has it."""

    key: str
    what: What


class RebuiltBody(msgspec.Struct, frozen=True, kw_only=True):
    """One read model of a rebuild. `differences` counts the keys that differed when the versions
    were compared; null before that, and where they hold different things by design."""

    name: str
    from_version: int | None
    to_version: int
    position: int
    differences: int | None
    differing: Annotated[list[DifferingKey], Meta(description="The first 100 keys that differ.")]


class RebuildBody(msgspec.Struct, frozen=True, kw_only=True):
    """One rebuild. `position` of `target` events are folded; `compared_at` is the position at which
    the last of the versions was compared with the live one."""

    id: UUID
    kind: Kind
    status: State
    read_models: list[RebuiltBody]
    expect_same: bool
    requested_by: str
    requested_at: Time
    started_at: Time | None
    finished_at: Time | None
    position: int
    target: int
    events_per_second: float | None
    seconds_left: float | None
    compared_at: int | None
    reason: str | None
    cancelled_by: str | None


class LiveVersionBody(msgspec.Struct, frozen=True):
    """A read model: the version that is live, and the one before it while that is kept."""

    name: str
    version: int | None
    kept_version: int | None


class RebuildListBody(msgspec.Struct, frozen=True):
    """The rebuilds that are remembered, newest first, and what is live now."""

    rebuilds: list[RebuildBody]
    read_models: list[LiveVersionBody]
