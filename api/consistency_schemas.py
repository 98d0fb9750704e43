"""The shape of a comparison with the log, as the OpenAPI document shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from api.consistency_ports import State
from api.schemas import Time
from projections.findings import Finding

Position = Annotated[int, Meta(ge=0)]


class ComparedBody(msgspec.Struct, frozen=True, kw_only=True):
    """One read model. `keys` of it were compared at `position`; `different` counts what differs,
    and `findings` tell the first 100 of it. Where `complete` is false, more may differ."""

    read_model: str
    version: int
    position: Position
    consistent: bool
    keys: int
    different: int
    complete: bool
    findings: Sequence[Finding]


class ConsistencyBody(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison with the log. `error_id` is null where it is of everything; `consistent` is null
    while it runs, and where it failed, with the `reason`. While the log is folded `position` of
    `target` events are done; after that `comparing` names the read model that is looked at."""

    error_id: UUID | None
    status: State
    consistent: bool | None
    started_at: Time
    finished_at: Time | None
    position: Position
    target: Position
    comparing: str | None
    reason: str | None
    read_models: Sequence[ComparedBody]
