"""The shapes of bodies and answers, as the OpenAPI document shows them.

Reports are read field by field (api.intake) and groups are spliced as bytes, so these structs
decode nothing on those ways; that they tell the truth is what the schemathesis test holds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from domain.mute import MAX_MUTED_COUNT
from domain.vocabulary import Level

NOT_BLANK = r"\S"

Time = Annotated[datetime, Meta(tz=True)]
"""UTC, RFC 3339."""

ShortText = Annotated[str, Meta(min_length=1, max_length=200, pattern=NOT_BLANK)]


class ReportRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One occurrence. Unknown fields are ignored; null is the same as absent."""

    message: Annotated[
        str, Meta(min_length=1, pattern=NOT_BLANK, description="What happened; never cut.")
    ]
    source: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            pattern=NOT_BLANK,
            description="Where it comes from: frontend, backend, api ...",
        ),
    ]
    level: Annotated[
        Literal["error", "warning", "info", "debug", "fatal"] | None,
        Meta(description="Absent: error. fatal is kept as error with `fatal: true`."),
    ] = None
    environment: Annotated[
        Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_BLANK)] | None,
        Meta(description="Absent: production."),
    ] = None
    stack_trace: Annotated[str | None, Meta(description="As the runtime printed it.")] = None
    context: Annotated[
        dict[str, Any] | None, Meta(description="Anything; kept whole, without its secrets.")
    ] = None
    url: str | None = None
    user_agent: Annotated[str | None, Meta(description="Absent: the request's own.")] = None
    ip_address: Annotated[str | None, Meta(description="Absent: the request's own.")] = None
    event_id: Annotated[
        UUID | None,
        Meta(description="The client's own id of this occurrence: stored once per application."),
    ] = None
    timestamp: Annotated[
        Time | None,
        Meta(description="When it happened; more than 5 minutes ahead: the server's time."),
    ] = None
    app: Annotated[
        Annotated[str, Meta(min_length=1, max_length=100)] | None,
        Meta(description="The application, for keys that may act on several."),
    ] = None
    fingerprint: Annotated[
        Annotated[str, Meta(min_length=1, max_length=500, pattern=NOT_BLANK)]
        | Annotated[
            list[Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_BLANK)]],
            Meta(min_length=1, max_length=20),
        ]
        | None,
        Meta(description="Replaces our grouping; at most 2 KiB. `{{ default }}` stands for it."),
    ] = None
    tags: Annotated[dict[str, str] | None, Meta(description="Strings by name.")] = None
    user: Annotated[dict[str, Any] | None, Meta(description="Whom it happened to: an id.")] = None
    release: ShortText | None = None


class Grouping(msgspec.Struct):
    """How reports found this group: the algorithm's version, what it hashed, and why."""

    version: int
    parts: list[str]
    reasons: list[str]


class ErrorBody(msgspec.Struct, kw_only=True):
    """An error: all occurrences with one fingerprint in one application. Message, level and the
    like are those of the latest occurrence; count, first_seen and last_seen span all. A muted one
    alerts nobody until a time, until `muted_count_left` more occurrences have come, or, where both
    are null, until somebody unmutes it."""

    id: UUID
    app: str
    type: str | None
    message: str
    level: Level
    fatal: bool
    source: str
    environment: str
    release: str | None
    stack_trace: str | None
    context: dict[str, Any] | None
    tags: dict[str, str] | None
    user: dict[str, Any] | None
    url: str | None
    user_agent: str | None
    ip_address: str | None
    fingerprint: str
    grouping: Grouping
    event_id: str
    timestamp: Time
    count: Annotated[int, Meta(ge=1)]
    first_seen: Time
    last_seen: Time
    created_at: Time
    resolved: bool
    resolved_at: Time | None
    updated_at: Time
    muted: bool
    muted_until: Time | None
    muted_count_left: int | None


class ErrorListBody(msgspec.Struct, kw_only=True):
    """A page of errors. `page` = offset div limit + 1; `next_cursor` is null at the end."""

    errors: list[ErrorBody]
    total: Annotated[int, Meta(ge=0)]
    page: Annotated[int, Meta(ge=1)]
    limit: int
    offset: int
    next_cursor: str | None


AnyStack = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": ["object", "null"]})]


class OccurrenceBody(msgspec.Struct, kw_only=True):
    """One report, as it was sent, without its secrets. `number` counts within its error;
    `event_id` is the one that its error showed: the client's own, or else the `id`. `filtered` is
    the number of secrets that were taken out. `parsed_stack` holds the frames of the stack under
    the second document's names, with their original places where a source map of this `release`
    tells them; null where there are no frames."""

    id: UUID
    error_id: UUID
    number: int
    event_id: str
    timestamp: Time
    recorded_at: Time
    message: str
    level: Level
    fatal: bool
    source: str
    environment: str
    release: str | None
    stack_trace: str | None
    parsed_stack: AnyStack
    context: msgspec.Raw
    tags: dict[str, str] | None
    user: msgspec.Raw
    url: str | None
    user_agent: str | None
    ip_address: str | None
    filtered: int


class OccurrenceListBody(msgspec.Struct, kw_only=True):
    """A page of occurrences, newest first."""

    occurrences: list[OccurrenceBody]
    limit: int
    next_cursor: str | None


class StandingBody(msgspec.Struct):
    """How an error stands after the change."""

    status: Literal["resolved", "open"]


class MuteRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How long an error shall alert nobody: at most one of the two. Neither: until it is
    unmuted."""

    until: Annotated[Time | None, Meta(description="A time that lies in the future.")] = None
    count: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_MUTED_COUNT)] | None,
        Meta(description="The number of the occurrence, from now on, that alerts again."),
    ] = None


class MuteBody(msgspec.Struct, kw_only=True):
    """An error after its mute or the end of it."""

    id: UUID
    app: str
    status: Literal["resolved", "open"]
    count: Annotated[int, Meta(ge=1)]
    first_seen: Time
    last_seen: Time
    muted: bool
    muted_until: Time | None
    muted_count_left: int | None


BulkAction = Literal["resolve", "reopen", "delete"]
BulkStatus = Literal["resolved", "open", "deleted", "not_found"]


class BulkRequest(msgspec.Struct):
    """One action for up to 100 errors. Each has its own outcome."""

    action: BulkAction
    ids: Annotated[list[UUID], Meta(min_length=1, max_length=100)]


class BulkOutcome(msgspec.Struct):
    """What became of one of them."""

    id: UUID
    status: BulkStatus


class BulkBody(msgspec.Struct):
    """All outcomes, in the order of the ids, each id once."""

    action: BulkAction
    results: list[BulkOutcome]
    done: int
    not_found: int


class ServicesBody(msgspec.Struct):
    """The parts, each "up" or "down"; `projections` is "unknown" while PostgreSQL is silent, for
    workers that wait for it give no sign of life."""

    postgres: str
    redis: str
    projections: str


class HealthBody(msgspec.Struct, kw_only=True):
    """How the whole is; `reasons` where something is wrong."""

    status: Literal["ok", "degraded"]
    timestamp: Time
    services: ServicesBody
    version: str
    reasons: tuple[str, ...] = ()


class LiveBody(msgspec.Struct):
    """The process answers."""

    status: Literal["ok"]


class ReadyBody(msgspec.Struct, omit_defaults=True):
    """Whether this process can take reports; `reason` where it cannot."""

    status: Literal["ready", "not ready"]
    reason: str | None = None


class EntryPoints(msgspec.Struct):
    """Where to go from here."""

    errors: str
    health: str
    docs: str
    openapi: str
    metrics: str


class RootBody(msgspec.Struct):
    """The API's name and its entry points."""

    name: str
    version: str
    entry_points: EntryPoints
