"""POST /api/errors: an application reports an occurrence. The busiest route of all."""

from __future__ import annotations

import re
from uuid import UUID

from litestar import post
from redis.exceptions import RedisError

from api.answers import Answer, success
from api.call import Call
from api.examples import ERROR, FULL_REPORT, REPORT, SMALL_REPORT
from api.failures import BadRequest
from api.intake import Sender, read_report, to_command
from api.operations import IDEMPOTENCY_KEY, Body, Operation, Reply, text
from api.query import app_of
from api.reading import ERROR_GROUPS, reached
from api.schemas import ErrorBody, ReportRequest
from domain.failures import Conflict, Unavailable
from domain.message import Committed
from domain.permissions import Permission
from projections.error_groups import document_of, left_by

_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")

REPORT_ERROR = Operation(
    summary="Report an error",
    tag="errors",
    permission=Permission.INGEST,
    description=(
        "Stores one occurrence and answers with its group after it, so `count` is right. The "
        "occurrence is on disk before the answer. A known `event_id` or `Idempotency-Key` is "
        "answered with its group as it is now, and stored once."
    ),
    parameters=(IDEMPOTENCY_KEY, text("app", "The application, unless the body names it.", None)),
    body=Body(ReportRequest, {"report": REPORT, "smallest": SMALL_REPORT, "full": FULL_REPORT}),
    replies={201: Reply("The group after this report.", ErrorBody, example=ERROR, position=True)},
    failures=(400, 409, 413, 415, 503),
)


@post("/errors", opt={"operation": REPORT_ERROR})
async def report_error(request: Call) -> Answer:
    """Read, choose the application, commit, answer with the group."""
    container = request.container
    sender = Sender(
        ip_address=request.address(),
        user_agent=request.header(b"user-agent"),
        idempotency_key=_idempotency_key(request),
    )
    named = app_of(request.scope["query_string"])
    report = read_report(await request.json_body())
    app = await request.parts.applications.for_report(request.auth, _one(report.app, named))
    command = to_command(report, app, sender, container.scrubber, container.clock())
    committed = await container.store.execute(command, request.report_context)
    if committed.known is not None:
        document = await _group_of(request, committed.known, committed)
    else:
        document = document_of(committed.events)
    return success(document, status=201, position=committed.position)


def _idempotency_key(request: Call) -> str | None:
    key = request.header(b"idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise BadRequest.field("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    return key


def _one(in_body: str | None, in_query: str | None) -> str | None:
    if in_body and in_query and in_body != in_query:
        raise BadRequest.field("app", "is one in the body and another one in the query")
    return in_body or in_query


async def _group_of(request: Call, error_id: UUID, committed: Committed) -> bytes:
    """The group that holds a report sent before, which may have changed since. While the read
    model cannot tell, the log does: a stored report is never answered with a failure."""
    try:
        await reached(request, ERROR_GROUPS, committed.position)
        document = await request.container.errors.one(error_id)
    except (Unavailable, RedisError):
        latest = await request.container.occurrences.of_error(error_id, before=None, limit=1)
        document = left_by(latest.occurrences[0]) if latest.occurrences else None
    if document is None:
        raise Conflict("this report is stored already, and its error has been deleted since")
    return document
