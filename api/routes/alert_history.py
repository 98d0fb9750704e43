"""GET /api/alerts/rules/{id}/history: what a rule has done, and what became of its messages."""

from __future__ import annotations

import re
from typing import Literal
from uuid import UUID

import msgspec
from litestar import get

from api.alert_schemas import (
    AlertHistoryBody,
    AttemptBody,
    HistoryEntryBody,
    MeasuredBody,
    NotificationBody,
    RecoveryBody,
    TriggerBody,
)
from api.answers import Answer, encode_json, success
from api.call import Call
from api.failures import BadRequest
from api.query import page_query
from api.reading import caught_up, up_to_date
from api.routes.alerts import rule_of
from api.routes.alerts_described import GET_HISTORY
from domain.alert import AlertFacts
from domain.failures import NotFound
from projections.directory.alert_history import Queued, Recovery, Told

ALERT_HISTORY = "alert_history"

_CURSOR = re.compile(r"p([0-9]{1,18})")


@get("/alerts/rules/{rule_id:str}/history", opt={"operation": GET_HISTORY})
async def get_history(request: Call) -> Answer:
    """A page of what a rule has done."""
    rule_id = request.path_id("rule_id")
    query = page_query(request.scope["query_string"])
    before = _before(query.cursor)
    await _check_may_see(request, rule_id)
    await up_to_date(request, ALERT_HISTORY)
    page = await request.container.alert_history.of(rule_id, query.limit, before)
    body = AlertHistoryBody(
        history=[_entry(one) for one in page.told],
        limit=query.limit,
        next_cursor=None if page.next_before is None else f"p{page.next_before}",
    )
    return success(encode_json(body))


async def _check_may_see(request: Call, rule_id: UUID) -> None:
    """A rule, or one of those deleted last: messages on their way still lead here. Raises
    NotFound."""
    try:
        await rule_of(request, rule_id)
    except NotFound:
        await caught_up(request, ALERT_HISTORY)
        app = await request.container.alert_history.app_of_deleted(rule_id)
        if app is None or not request.auth.may_see(app):
            raise


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadRequest.field("cursor", "is not one that this list has given")
    return int(match[1])


def _entry(told: Told) -> HistoryEntryBody:
    entry = told.entry
    return HistoryEntryBody(
        kind="triggered" if entry.triggered else "recovered" if entry.recovered else "notification",
        position=entry.position,
        at=entry.at,
        recorded_at=entry.recorded_at,
        error_id=entry.error_id,
        triggered=trigger_body(entry.triggered) if entry.triggered else None,
        recovered=_recovery(entry.recovered) if entry.recovered else None,
        notification=_notification(entry.queued, told) if entry.queued else None,
    )


def trigger_body(facts: AlertFacts) -> TriggerBody:
    """Why an alert was triggered, as it is shown."""
    shown = {field: getattr(facts, field) for field in TriggerBody.__struct_fields__}
    measured = [MeasuredBody(**msgspec.structs.asdict(one)) for one in facts.measured]
    return TriggerBody(**(shown | {"measured": measured}))


def _recovery(recovery: Recovery) -> RecoveryBody:
    return RecoveryBody(**msgspec.structs.asdict(recovery))


def _notification(queued: Queued, told: Told) -> NotificationBody:
    return NotificationBody(
        id=queued.notification_id,
        channel=queued.channel,
        status=_status(told),
        title=queued.message.title,
        text=queued.message.text,
        alerts=queued.count,
        attempts=[AttemptBody(**msgspec.structs.asdict(one)) for one in told.attempts],
        summed_up_by=told.summed_up_by,
    )


def _status(told: Told) -> Literal["queued", "retrying", "sent", "given_up", "summed_up"]:
    if told.summed_up_by is not None:
        return "summed_up"
    if not told.attempts:
        return "queued"
    last = told.attempts[-1]
    if last.succeeded:
        return "sent"
    return "given_up" if last.next_attempt_at is None else "retrying"
