"""Alert rules explained, and tried on the past."""

from __future__ import annotations

import msgspec
from litestar import get, post
from msgspec import UNSET, UnsetType

from api.answers import Answer, encode_json, success
from api.call import Call
from api.directory import chosen_app
from api.form import Form
from api.query import Parameters, parameters
from api.routes.alert_history import trigger_body
from api.routes.alerts import wish_of
from api.routes.trials_described import EXPLAIN_RULE, PREVIEW_RULE
from api.trial_ports import Explained, Outcome, Preview, Trials
from api.trial_schemas import (
    ExplanationBody,
    OutcomeBody,
    PreviewBody,
    StepBody,
    TotalsBody,
    TrialMessageBody,
)
from domain.alert import RecoverAlert, TriggerAlert
from domain.condition import explain
from domain.delivery import QueueNotification, only_error
from domain.failures import Unavailable
from domain.incident import OpenIncident
from domain.rule_settings import condition_of, flaws, missing
from projections.alerting.acting import Action

MOST_STEPS = 1_000


@get("/alerts/rules/{rule_id:str}/explain", opt={"operation": EXPLAIN_RULE})
async def explain_rule(request: Call) -> Answer:
    """Why a rule said what it said."""
    rule_id = request.path_id("rule_id")
    read = Parameters(parameters(request.scope["query_string"]))
    at, error_id = read.moment("at"), read.uuid("error_id")
    read.check()
    found = await _trials(request).explain(rule_id, at, error_id, request.auth.app)
    return success(encode_json(explanation_body(found)))


@post("/alerts/rules/preview", status_code=200, opt={"operation": PREVIEW_RULE})
async def preview_rule(request: Call) -> Answer:
    """What a rule would have done."""
    form = Form(await request.json_body())
    wish = wish_of(form)
    rule_id = form.uuid_or_null("id", "a rule's id")
    since, until = form.time_or_null("since"), form.time_or_null("until")
    stored = None if isinstance(rule_id, UnsetType) else rule_id
    if wish.name is UNSET and stored is None:
        wish = msgspec.structs.replace(wish, name="Preview")
    form.check([*(missing(wish) if stored is None else ()), *flaws(wish)])
    if stored is None or not isinstance(wish.app, UnsetType):
        wish = msgspec.structs.replace(wish, app=await chosen_app(request, wish.app))
    found = await _trials(request).preview(
        wish,
        stored,
        None if isinstance(since, UnsetType) else since,
        None if isinstance(until, UnsetType) else until,
        request.auth.app,
    )
    return success(encode_json(preview_body(found)))


def explanation_body(found: Explained) -> ExplanationBody:
    """An explanation as it is shown."""
    settings = found.settings
    return ExplanationBody(
        rule_id=found.rule_id,
        name=settings.name,
        app=settings.app,
        version=found.version,
        enabled=settings.enabled,
        condition=settings.condition,
        condition_explained=explain(condition_of(settings)),
        position=found.position,
        at=found.at,
        looked_at_from=found.looked_at_from,
        explanation=found.explanation,
        errors=list(found.errors),
    )


def preview_body(found: Preview) -> PreviewBody:
    """A preview as it is shown."""
    wished = _outcome(found.wished)
    stored = None if found.stored is None else _outcome(found.stored)
    return PreviewBody(
        since=found.since,
        until=found.until,
        first_position=found.first,
        last_position=found.last,
        preview=wished,
        stored=stored,
        difference=None if stored is None else _difference(wished.totals, stored.totals),
    )


def _outcome(outcome: Outcome) -> OutcomeBody:
    settings = outcome.settings
    return OutcomeBody(
        name=settings.name,
        condition=settings.condition,
        condition_explained=explain(condition_of(settings)),
        threshold=settings.threshold,
        time_window=settings.time_window,
        cooldown=settings.cooldown or settings.time_window,
        totals=_totals(outcome),
        steps=[_step(action) for action in outcome.steps[:MOST_STEPS]],
        more=max(0, len(outcome.steps) - MOST_STEPS),
        series=list(outcome.series),
    )


def _totals(outcome: Outcome) -> TotalsBody:
    commands = [action.command for action in outcome.steps]
    triggers = [one.alert for one in commands if isinstance(one, TriggerAlert)]
    return TotalsBody(
        triggers=len(triggers),
        reminders=sum(alert.reminder for alert in triggers),
        recoveries=sum(isinstance(one, RecoverAlert) for one in commands),
        incidents=sum(isinstance(one, OpenIncident) for one in commands),
        notifications=sum(isinstance(one, QueueNotification) for one in commands),
    )


def _difference(wished: TotalsBody, stored: TotalsBody) -> TotalsBody:
    fields = TotalsBody.__struct_fields__
    return TotalsBody(**{name: getattr(wished, name) - getattr(stored, name) for name in fields})


def _step(action: Action) -> StepBody:
    command = action.command
    match command:
        case TriggerAlert():
            step = StepBody(
                kind="triggered",
                at=action.at,
                position=action.position,
                error_id=command.alert.error_id,
                triggered=trigger_body(command.alert),
            )
        case RecoverAlert():
            step = StepBody(
                kind="recovered",
                at=action.at,
                position=action.position,
                error_id=command.error_id,
            )
        case QueueNotification():
            message = TrialMessageBody(
                channel=command.channel,
                title=command.message.title,
                text=command.message.text,
                alerts=command.count,
            )
            step = StepBody(
                kind="notification",
                at=action.at,
                position=action.position,
                error_id=only_error(command.alerts, command.count),
                notification=message,
            )
        case OpenIncident():
            step = StepBody(kind="incident_opened", at=action.at, position=action.position)
        case _:
            step = StepBody(kind="incident_resolved", at=action.at, position=action.position)
    return step


def _trials(request: Call) -> Trials:
    trials = request.container.trials
    if trials is None:
        raise Unavailable("projections", "this process cannot look back")
    return trials
