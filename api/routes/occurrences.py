"""GET /api/errors/{id}/occurrences: what was reported, one by one."""

from __future__ import annotations

import re

import msgspec
from litestar import get

from api.answers import Answer, encode_json, success
from api.call import Call
from api.failures import BadRequest
from api.query import page_query
from api.reading import min_position
from api.routes.errors_described import LIST_OCCURRENCES
from api.schemas import OccurrenceBody, OccurrenceListBody
from api.stacks import shown_stacks
from domain.error_group import ErrorReported
from domain.failures import NotFound
from domain.message import Recorded

_CURSOR = re.compile(r"v([0-9]{1,18})")


@get("/errors/{error_id:str}/occurrences", opt={"operation": LIST_OCCURRENCES})
async def list_occurrences(request: Call) -> Answer:
    """A page of occurrences. They come from the log, which is never behind itself, so that only
    the source maps have to wait for X-Min-Position."""
    error_id = request.error_id()
    query = page_query(request.scope["query_string"])
    min_position(request)
    before = _before(query.cursor)
    read = request.container.occurrences.of_error
    page = await read(error_id, before=before, limit=query.limit)
    newest = page if before is None else await read(error_id, before=None, limit=1)
    if not any(request.auth.may_see(one.event.app) for one in newest.occurrences):
        raise NotFound("no such error")
    stacks = await shown_stacks(request, page.occurrences)
    body = OccurrenceListBody(
        occurrences=[_body(*one) for one in zip(page.occurrences, stacks, strict=True)],
        limit=query.limit,
        next_cursor=None if page.next_before is None else f"v{page.next_before}",
    )
    return success(encode_json(body))


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadRequest.field("cursor", "is not one that this list has given")
    return int(match[1])


def _body(recorded: Recorded[ErrorReported], stack: msgspec.Raw) -> OccurrenceBody:
    event = recorded.event
    occurrence = event.occurrence
    return OccurrenceBody(
        id=recorded.event_id,
        error_id=recorded.stream_id,
        number=event.count,
        event_id=occurrence.event_id or str(recorded.event_id),
        timestamp=occurrence.timestamp,
        recorded_at=recorded.recorded_at,
        message=occurrence.message,
        level=occurrence.level,
        fatal=occurrence.fatal,
        source=occurrence.source,
        environment=occurrence.environment,
        release=occurrence.release,
        stack_trace=occurrence.stack_trace,
        parsed_stack=stack,
        context=occurrence.context,
        tags=occurrence.tags,
        user=occurrence.user,
        url=occurrence.url,
        user_agent=occurrence.user_agent,
        ip_address=occurrence.ip_address,
        filtered=occurrence.filtered,
    )
