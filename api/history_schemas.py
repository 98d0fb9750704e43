"""The shapes of histories and of the audit trail."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from api.schemas import Time
from domain.history import Entry


class ChangeBody(msgspec.Struct):
    """One field of the thing's state that differs; null where it was or is not there. Fields in
    fields have dotted names; secrets are `****`."""

    field: str
    before: Any
    after: Any


class EntryBody(msgspec.Struct, kw_only=True):
    """An event: when, who, from where, and what it changed."""

    position: int
    recorded_at: Time
    name: Annotated[str, Meta(description="What happened, such as ErrorResolved.")]
    stream_id: UUID
    stream_version: int
    event_id: UUID
    actor: Annotated[
        str, Meta(description="`member:<id>`, `key:<id>`, or `system:<part>` of Errata itself.")
    ]
    correlation_id: Annotated[
        str, Meta(description="The request (X-Request-ID) that it belongs to.")
    ]
    causation_id: Annotated[str, Meta(description="What caused it directly.")]
    address: Annotated[
        str | None, Meta(description="The IP address that the request came from, where it is kept.")
    ]
    changes: Annotated[
        list[ChangeBody] | None,
        Meta(description="null where too much has happened before to say it here."),
    ]


class HistoryBody(msgspec.Struct):
    """A page of a history, newest first."""

    history: list[EntryBody]
    limit: int
    next_cursor: str | None


class AuditEventBody(EntryBody, kw_only=True):
    """The same, with the kind of thing, and the event's data. Secrets are `****`."""

    kind: str
    data: msgspec.Raw


class AuditBody(msgspec.Struct):
    """A page of the audit trail. It may hold fewer than `limit` and go on all the same: as long as
    there is a `next_cursor`."""

    events: list[AuditEventBody]
    limit: int
    order: Literal["asc", "desc"]
    next_cursor: str | None


def entry_fields(entry: Entry) -> dict[str, Any]:
    """The fields of an EntryBody."""
    one, context = entry.recorded, entry.recorded.context
    changes = entry.changes
    return {
        "position": one.position,
        "recorded_at": one.recorded_at,
        "name": one.name,
        "stream_id": one.stream_id,
        "stream_version": one.stream_version,
        "event_id": one.event_id,
        "actor": context.actor,
        "correlation_id": context.correlation_id,
        "causation_id": context.causation_id,
        "address": context.address,
        "changes": None
        if changes is None
        else [ChangeBody(change.field, change.before, change.after) for change in changes],
    }
