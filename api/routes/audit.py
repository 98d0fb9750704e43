"""GET /api/audit/events: everything that has happened, for those who have to know."""

from __future__ import annotations

import re
from typing import Literal, cast

import msgspec
from litestar import get

from api.answers import Answer, encode_json, success
from api.applications import for_reading
from api.call import Call
from api.failures import BadRequest
from api.files import file, wanted_format
from api.history_schemas import AuditBody, AuditEventBody, entry_fields
from api.query import DEFAULT_LIMIT, MAX_CURSOR, MAX_LIMIT, Parameters, parameters
from api.reading import min_position
from api.routes.audit_described import LIST_EVENTS, MAX_POSITION, ORDERS
from domain.catalog import EVENTS
from domain.history import KIND_OF_EVENT, KIND_WORDS, AuditEntry, Wanted, names_wanted

_CURSOR = re.compile(r"p([0-9]{1,18})")


@get("/audit/events", opt={"operation": LIST_EVENTS})
async def list_events(request: Call) -> Answer:
    """A page of events, or all of them as a file. They come from the log, which is never behind
    itself, so that X-Min-Position has nothing to wait for."""
    read = Parameters(parameters(request.scope["query_string"]))
    wanted = _wanted(request, read)
    limit = read.integer("limit", 1, MAX_LIMIT, DEFAULT_LIMIT)
    order = cast('Literal["asc", "desc"]', read.one_of("order", ORDERS) or "desc")
    cursor = read.text("cursor", MAX_CURSOR)
    read.check()
    reached = _reached(cursor)
    min_position(request)
    history = request.container.history
    form = wanted_format(request)
    if form is not None:
        return await file(history.file(wanted, form), form, "errata-audit")
    page = await history.trail(wanted, reached, limit, backwards=order == "desc")
    body = AuditBody(
        events=[_body(entry) for entry in page.entries],
        limit=limit,
        order=order,
        next_cursor=None if page.reached is None else f"p{page.reached}",
    )
    return success(encode_json(body))


def _wanted(request: Call, read: Parameters) -> Wanted:
    kind = read.one_of("kind", tuple(sorted(KIND_WORDS)))
    name = read.one_of("name", tuple(sorted(EVENTS)))
    since, until = read.time("since"), read.time("until")
    if since is not None and until is not None and since > until:
        read.wrong("since", "must not be later than until")
    before = read.integer("before", 0, MAX_POSITION, MAX_POSITION)
    position = read.integer("position", 1, MAX_POSITION, 0)
    wanted = Wanted(
        stream_id=read.uuid("stream"),
        names=names_wanted(kind, name),
        actor=read.text("actor"),
        app=for_reading(request.auth, read.text("app")),
        correlation_id=read.text("correlation_id"),
        since=since,
        until=until,
        after=read.integer("after", 0, MAX_POSITION, 0),
        before=before,
    )
    return wanted.at(position or None)


def _reached(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadRequest.field("cursor", "is not one that this list has given")
    return int(match[1])


def _body(entry: AuditEntry) -> AuditEventBody:
    return AuditEventBody(
        **entry_fields(entry.entry),
        kind=KIND_OF_EVENT.get(entry.entry.recorded.name, ""),
        data=msgspec.Raw(entry.data),
    )
