"""/api/alerts/rules: what people want to be told of."""

from __future__ import annotations

from typing import cast
from uuid import UUID

import msgspec
from litestar import delete, get, post, put
from msgspec import UnsetType
from redis.exceptions import RedisError

from api.alert_schemas import AlertRuleBody, AlertRuleListBody
from api.answers import Answer, deleted, encode_json, success
from api.applications import for_reading
from api.call import Call
from api.directory import chosen_app, frame, wanted_page
from api.failures import BadRequest
from api.form import Form
from api.query import Parameters, parameters
from api.reading import caught_up, up_to_date
from api.routes.alerts_described import (
    CHANGE_RULE,
    CREATE_RULE,
    DELETE_RULE,
    GET_RULE,
    LIST_RULES,
    SILENCE_RULE,
)
from api.versions import expected_version
from domain.alert_rule import (
    AlertRule,
    ChangeAlertRule,
    CreateAlertRule,
    DeleteAlertRule,
    SilenceAlertRule,
)
from domain.condition import explain
from domain.failures import NotFound
from domain.message import Committed
from domain.rule_settings import RuleWish, condition_of, flaws, missing
from projections.directory.rules import ListedRule, RuleFilter, Standing
from projections.paging import ListPage, Wanted

ALERT_RULES = "alert_rules"


@get("/alerts/rules", opt={"operation": LIST_RULES})
async def list_rules(request: Call) -> Answer:
    """A page of rules."""
    only, wanted = _list_query(request)
    await up_to_date(request, ALERT_RULES)
    page = await _page(request, only, wanted)
    if not page.total:
        # Nothing at all may mean that Redis was emptied a moment ago: that is no answer.
        await caught_up(request, ALERT_RULES)
        page = await _page(request, only, wanted)
    body = AlertRuleListBody(
        rules=[_body(rule, rule.standing) for rule in page.entries], **frame(page, wanted)
    )
    return success(encode_json(body))


@post("/alerts/rules", opt={"operation": CREATE_RULE})
async def create_rule(request: Call) -> Answer:
    """A new rule."""
    form = Form(await request.json_body())
    wish = wish_of(form)
    form.check([*missing(wish), *flaws(wish)])
    wish = msgspec.structs.replace(wish, app=await chosen_app(request, wish.app))
    command = CreateAlertRule(rule_id=request.container.new_id(), wish=wish)
    committed = await request.container.store.execute(command, request.context)
    return _answer(committed, Standing(), status=201)


@get("/alerts/rules/{rule_id:str}", opt={"operation": GET_RULE})
async def get_rule(request: Call) -> Answer:
    """One rule."""
    rule = await rule_of(request, request.path_id("rule_id"))
    return _shown(rule, rule.standing)


@put("/alerts/rules/{rule_id:str}", opt={"operation": CHANGE_RULE})
async def change_rule(request: Call) -> Answer:
    """Change what is given."""
    rule_id = request.path_id("rule_id")
    expected = expected_version(request)
    form = Form(await request.json_body())
    wish = wish_of(form)
    form.check(flaws(wish))
    if not isinstance(wish.app, UnsetType):
        wish = msgspec.structs.replace(wish, app=await chosen_app(request, wish.app))
    command = ChangeAlertRule(
        rule_id=rule_id, wish=wish, seen_by=request.auth.app, expected_version=expected
    )
    committed = await request.container.store.execute(command, request.context)
    return _answer(committed, await _standing(request, rule_id))


@put("/alerts/rules/{rule_id:str}/silence", opt={"operation": SILENCE_RULE})
async def silence_rule(request: Call) -> Answer:
    """Send nothing until a time."""
    rule_id = request.path_id("rule_id")
    expected = expected_version(request)
    form = Form(await request.json_body())
    until = form.time_or_null("until")
    if not form.names("until"):
        form.wrong("until", "is required; null ends the silence")
    form.check()
    assert not isinstance(until, UnsetType)
    command = SilenceAlertRule(
        rule_id=rule_id,
        seen_by=request.auth.app,
        expected_version=expected,
        until=until,
        now=request.container.clock(),
    )
    committed = await request.container.store.execute(command, request.context)
    return _answer(committed, await _standing(request, rule_id))


@delete("/alerts/rules/{rule_id:str}", status_code=200, opt={"operation": DELETE_RULE})
async def delete_rule(request: Call) -> Answer:
    """Take a rule away."""
    command = DeleteAlertRule(
        rule_id=request.path_id("rule_id"),
        seen_by=request.auth.app,
        expected_version=expected_version(request),
    )
    committed = await request.container.store.execute(command, request.context)
    return deleted(committed.position)


def _list_query(request: Call) -> tuple[RuleFilter, Wanted]:
    read = Parameters(parameters(request.scope["query_string"]))
    app, enabled = read.text("app"), read.truth("enabled")
    wanted = wanted_page(read)
    read.check()
    return RuleFilter(app=for_reading(request.auth, app), enabled=enabled), wanted


async def _page(request: Call, only: RuleFilter, wanted: Wanted) -> ListPage[ListedRule]:
    try:
        return await request.container.rules.list(only, wanted)
    except ValueError:
        raise BadRequest.field("cursor", "is not one that this list has given") from None


def wish_of(form: Form) -> RuleWish:
    """What a body asks a rule to be."""
    return RuleWish(
        name=form.text("name"),
        condition=form.text("condition"),
        threshold=form.number("threshold"),
        time_window=form.text("time_window"),
        enabled=form.flag("enabled"),
        notifications=form.texts("notifications"),
        app=form.text("app"),
        severity=form.text("severity"),
        cooldown=form.text_or_null("cooldown"),
        open_incident=form.flag("open_incident"),
    )


async def rule_of(request: Call, rule_id: UUID) -> ListedRule:
    """The rule with this id. Raises NotFound where there is none to see."""
    await up_to_date(request, ALERT_RULES)
    rule = await request.container.rules.one(rule_id)
    if rule is None:
        await caught_up(request, ALERT_RULES)
        rule = await request.container.rules.one(rule_id)
    if rule is None or not request.auth.may_see(rule.settings.app):
        raise NotFound("no such alert rule")
    return rule


async def _standing(request: Call, rule_id: UUID) -> Standing | None:
    """What has become of a rule; None while Redis, which a write does not need, is away."""
    try:
        return await request.container.rules.standing(rule_id)
    except (RedisError, OSError):
        return None


def _answer(committed: Committed, standing: Standing | None, *, status: int = 200) -> Answer:
    state = cast("AlertRule", committed.state)
    assert state.settings and state.created_at and state.updated_at
    rule = ListedRule(
        id=cast("UUID", state.rule_id),
        settings=state.settings,
        version=state.version,
        created_at=state.created_at,
        updated_at=state.updated_at,
        silenced_until=state.silenced_until,
    )
    return _shown(rule, standing, status=status, position=committed.position)


def _shown(
    rule: ListedRule, standing: Standing | None, *, status: int = 200, position: int | None = None
) -> Answer:
    body = encode_json(_body(rule, standing))
    beside = (standing, rule.silenced_until)
    return success(
        body,
        status=status,
        position=position,
        version=rule.version,
        beside=None if beside == (Standing(), None) else beside,
    )


def _body(rule: ListedRule, standing: Standing | None) -> AlertRuleBody:
    settings = rule.settings
    return AlertRuleBody(
        id=rule.id,
        name=settings.name,
        condition=settings.condition,
        condition_explained=explain(condition_of(settings)),
        threshold=settings.threshold,
        time_window=settings.time_window,
        enabled=settings.enabled,
        notifications=settings.notifications,
        severity=settings.severity,
        cooldown=settings.cooldown or settings.time_window,
        open_incident=settings.open_incident,
        app=settings.app,
        last_triggered=standing.last_triggered if standing else None,
        firing=standing.firing if standing else None,
        silenced_until=rule.silenced_until,
        version=rule.version,
        created_at=rule.created_at,
        updated_at=rule.updated_at,
    )
