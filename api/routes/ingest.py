"""/api/v1/ingest: applications send their events in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from litestar import get, post

from api.answers import Answer, plain
from api.call import Call
from api.failures import BadRequest
from api.ingest import read_batch, to_commands
from api.ingest_schemas import AcceptedBody, IngestEvent, IngestTestBody
from api.reading import APPS, caught_up, up_to_date
from api.routes.ingest_described import INGEST, TEST_KEY
from domain.error_group import ReportError
from domain.failures import NotFound
from domain.vocabulary import ANY_APP, DEFAULT_APP

MAX_BATCH_BODY = 16_777_216
"""Bytes: 16 MiB, compressed and not."""

_LARGE = 1_048_576
"""From so many bytes on a body is read beside the event loop, which serves others meanwhile."""
_TURN = 50
"""Events that are made ready before others have their turn."""


@post("/v1/ingest", status_code=200, opt={"operation": INGEST})
async def ingest(request: Call) -> Answer:
    """Read, check whose events they are, commit them all or none."""
    body = await request.json_body(MAX_BATCH_BODY)
    if len(body) > _LARGE:
        events = await asyncio.to_thread(read_batch, body)
    else:
        events = read_batch(body)
    app = await _app_of(request, events)
    commands = await _commands(request, events, app)
    committed = await request.container.store.execute_all(commands, request.report_context)
    return plain(AcceptedBody(accepted=len(events)), position=committed[-1].position)


@get("/v1/ingest/test", opt={"operation": TEST_KEY})
async def test_key(request: Call) -> Answer:
    """Whose events a key may send."""
    app = DEFAULT_APP if request.auth.app == ANY_APP else request.auth.app
    await up_to_date(request, APPS)
    found = await request.container.apps.one(app)
    if found is None:
        await caught_up(request, APPS)
        found = await request.container.apps.one(app)
    if found is None:
        raise NotFound(f"no application {app!r} is registered")
    return plain(IngestTestBody(app_id=found.id, app_name=found.name))


async def _app_of(request: Call, events: Sequence[IngestEvent]) -> str:
    """The one application that a batch is of. Raises BadRequest where an event is of another."""
    app = request.auth.app
    if app == ANY_APP:
        named = events[0].app_id
        app = await request.parts.applications.for_report(
            request.auth, named, field="events[0].appId"
        )
    if any(event.app_id != app for event in events):
        raise BadRequest(f"Some events do not match authenticated app. Expected appId: {app}")
    return app


async def _commands(request: Call, events: list[IngestEvent], app: str) -> list[ReportError]:
    """A command for each event, some at a time, so that a batch keeps nobody waiting for long."""
    container = request.container
    now = container.clock()
    commands: list[ReportError] = []
    for first in range(0, len(events), _TURN):
        if first:
            await asyncio.sleep(0)
        some = events[first : first + _TURN]
        commands += to_commands(some, first, app, container.scrubber, now)
    return commands
