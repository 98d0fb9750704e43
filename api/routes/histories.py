"""The histories of errors, rules, incidents, checks, keys, members, integrations, applications."""

from __future__ import annotations

import re

from litestar import get

from api.answers import Answer, encode_json, success
from api.call import Call
from api.failures import BadRequest
from api.files import file, wanted_format
from api.history_schemas import EntryBody, HistoryBody, entry_fields
from api.query import page_query
from api.reading import min_position
from api.routes.histories_described import (
    APP_HISTORY,
    CHECK_HISTORY,
    ERROR_HISTORY,
    INCIDENT_HISTORY,
    INTEGRATION_HISTORY,
    KEY_HISTORY,
    MEMBER_HISTORY,
    RULE_CHANGES,
)
from domain.failures import NotFound
from domain.history import SUBJECTS, app_of
from domain.message import Event

_CURSOR = re.compile(r"v([0-9]{1,18})")


@get("/errors/{error_id:str}/history", opt={"operation": ERROR_HISTORY})
async def error_history(request: Call) -> Answer:
    """What has happened to an error."""
    return await _history(request, "error", str(request.path_id("error_id")))


@get("/alerts/rules/{rule_id:str}/changes", opt={"operation": RULE_CHANGES})
async def rule_changes(request: Call) -> Answer:
    """What has happened to a rule."""
    return await _history(request, "rule", str(request.path_id("rule_id")))


@get("/alerts/incidents/{incident_id:str}/history", opt={"operation": INCIDENT_HISTORY})
async def incident_history(request: Call) -> Answer:
    """What has happened to an incident."""
    return await _history(request, "incident", str(request.path_id("incident_id")))


@get("/monitoring/checks/{check_id:str}/history", opt={"operation": CHECK_HISTORY})
async def check_history(request: Call) -> Answer:
    """What has happened to a check."""
    return await _history(request, "check", str(request.path_id("check_id")))


@get("/settings/api-keys/{key_id:str}/history", opt={"operation": KEY_HISTORY})
async def key_history(request: Call) -> Answer:
    """What has happened to a key."""
    return await _history(request, "key", str(request.path_id("key_id")))


@get("/settings/team/{member_id:str}/history", opt={"operation": MEMBER_HISTORY})
async def member_history(request: Call) -> Answer:
    """What has happened to a member."""
    request.auth.require_all_apps()
    return await _history(request, "member", str(request.path_id("member_id")))


@get("/settings/integrations/{integration:str}/history", opt={"operation": INTEGRATION_HISTORY})
async def integration_history(request: Call) -> Answer:
    """What has happened to an integration."""
    request.auth.require_all_apps()
    return await _history(request, "integration", request.scope["path_params"]["integration"])


@get("/settings/apps/{app_id:str}/history", opt={"operation": APP_HISTORY})
async def app_history(request: Call) -> Answer:
    """What has happened to an application."""
    return await _history(request, "app", request.scope["path_params"]["app_id"])


async def _history(request: Call, word: str, identity: str) -> Answer:
    """A page of a history, or all of it as a file. It comes from the log, which is never behind
    itself, so that X-Min-Position has nothing to wait for."""
    subject = SUBJECTS[word](identity)
    query = page_query(request.scope["query_string"])
    before = _before(query.cursor)
    min_position(request)
    history = request.container.history
    newest = await history.newest(subject)
    if newest is None or not _may_see(request, newest.event):
        raise NotFound(f"no such {word}")
    form = wanted_format(request)
    if form is not None:
        return await file(history.file_of(subject, form), form, f"errata-{word}-{identity}")
    page = await history.of(subject, before, query.limit)
    body = HistoryBody(
        history=[EntryBody(**entry_fields(entry)) for entry in page.entries],
        limit=query.limit,
        next_cursor=None if page.next_before is None else f"v{page.next_before}",
    )
    return success(encode_json(body))


def _may_see(request: Call, newest: Event) -> bool:
    """Whether the key may see a thing, by its last event: where it belongs to an application."""
    app = app_of(newest)
    return app is None or request.auth.may_see(app)


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadRequest.field("cursor", "is not one that this list has given")
    return int(match[1])
