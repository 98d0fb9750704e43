"""GET /api/alerts/rules/{id}/history: what a rule has done, and what became of its messages."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from litestar import get

from api.alert_schemas import (
    AlertHistoryBody,
    AttemptBody,
    HistoryEntryBody,
    NotificationBody,
    RecoveryBody,
    TriggerBody,
)
from api.answers import Answer, encode_json, success
from api.call import Call
from api.failures import BadRequest
from api.query import page_query
from api.reading import up_to_date
from api.routes.alerts import rule_of
from api.routes.alerts_described import GET_HISTORY
from domain.alert import AlertFacts
from projections.directory.alert_history import Attempt, Queued, Recovery, Told

ALERT_HISTORY = "alert_history"

_CURSOR = re.compile(r"p([0-9]{1,18})")


@get("/alerts/rules/{rule_id:str}/history", opt={"operation": GET_HISTORY})
async def get_history(request: Call) -> Answer:
    """A page of what a rule has done."""
    rule_id = request.path_id("rule_id")
    query = page_query(request.scope["query_string"])
    before = _before(query.cursor)
    await rule_of(request, rule_id)
    await up_to_date(request, ALERT_HISTORY)
    page = await request.container.alert_history.of(rule_id, query.limit, before)
    body = AlertHistoryBody(
        history=[_entry(one) for one in page.told],
        limit=query.limit,
        next_cursor=None if page.next_before is None else f"p{page.next_before}",
    )
    return success(encode_json(body))


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
        notification=_notification(entry.queued, told.attempts) if entry.queued else None,
    )


def trigger_body(facts: AlertFacts) -> TriggerBody:
    """Why an alert was triggered, as it is shown."""
    fields = TriggerBody.__struct_fields__
    return TriggerBody(**{field: getattr(facts, field) for field in fields})


def _recovery(recovery: Recovery) -> RecoveryBody:
    return RecoveryBody(**msgspec.structs.asdict(recovery))


def _notification(queued: Queued, attempts: list[Attempt]) -> NotificationBody:
    return NotificationBody(
        id=queued.notification_id,
        channel=queued.channel,
        status=_status(attempts),
        title=queued.message.title,
        text=queued.message.text,
        alerts=queued.count,
        attempts=[AttemptBody(**msgspec.structs.asdict(one)) for one in attempts],
    )


def _status(attempts: list[Attempt]) -> Literal["queued", "retrying", "sent", "given_up"]:
    if not attempts:
        return "queued"
    if attempts[-1].succeeded:
        return "sent"
    return "given_up" if attempts[-1].next_attempt_at is None else "retrying"
