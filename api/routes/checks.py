"""/api/monitoring/checks: what else shall be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from litestar import delete, get, post, put

from api.answers import Answer, deleted, encode_json, success
from api.call import Call
from api.form import Form
from api.monitoring import check_body
from api.monitoring_schemas import CheckBody, CheckListBody
from api.reading import caught_up, up_to_date
from api.routes.checks_described import (
    CHANGE_CHECK,
    CREATE_CHECK,
    DELETE_CHECK,
    GET_CHECK,
    LIST_CHECKS,
)
from api.routes.monitoring import CHECKS
from api.versions import expected_version
from domain.check import ChangeCheck, Check, CreateCheck, DeleteCheck, check_service
from domain.check_settings import CheckWish, flaws, missing
from domain.failures import NotFound
from domain.message import Command, Committed
from domain.service import StopWatching
from projections.directory.checks import ListedCheck


@get("/monitoring/checks", opt={"operation": LIST_CHECKS})
async def list_checks(request: Call) -> Answer:
    """All checks."""
    await up_to_date(request, CHECKS)
    checks = await request.container.monitoring.checks.all()
    if not checks:
        # Nothing at all may mean that Redis was emptied a moment ago: that is no answer.
        await caught_up(request, CHECKS)
        checks = await request.container.monitoring.checks.all()
    return success(encode_json(CheckListBody(await _with_results(request, checks))))


@post("/monitoring/checks", opt={"operation": CREATE_CHECK})
async def create_check(request: Call) -> Answer:
    """A new check."""
    request.auth.require_all_apps()
    form = Form(await request.json_body())
    wish = _wish(form)
    form.check([*missing(wish), *flaws(wish)])
    command = CreateCheck(check_id=request.container.new_id(), wish=wish)
    committed = await request.container.store.execute(command, request.context)
    return _answer(request, committed, committed.position, status=201)


@get("/monitoring/checks/{check_id:str}", opt={"operation": GET_CHECK})
async def get_check(request: Call) -> Answer:
    """One check."""
    check_id = request.path_id("check_id")
    await up_to_date(request, CHECKS)
    check = await request.container.monitoring.checks.one(check_id)
    if check is None:
        await caught_up(request, CHECKS)
        check = await request.container.monitoring.checks.one(check_id)
    if check is None:
        raise NotFound("no such check")
    (body,) = await _with_results(request, [check])
    return success(encode_json(body))


@put("/monitoring/checks/{check_id:str}", opt={"operation": CHANGE_CHECK})
async def change_check(request: Call) -> Answer:
    """Change what is given. Where it is switched off, its service is watched no more."""
    request.auth.require_all_apps()
    check_id = request.path_id("check_id")
    expected = expected_version(request)
    form = Form(await request.json_body())
    wish = _wish(form)
    form.check(flaws(wish))
    commands: list[Command] = [ChangeCheck(check_id=check_id, wish=wish, expected_version=expected)]
    if wish.enabled is False:
        commands.append(StopWatching(service=check_service(check_id), at=request.container.clock()))
    committed = await request.container.store.execute_all(commands, request.context)
    return _answer(request, committed[0], committed[-1].position)


@delete("/monitoring/checks/{check_id:str}", status_code=200, opt={"operation": DELETE_CHECK})
async def delete_check(request: Call) -> Answer:
    """Take a check away, and its service out of the watch."""
    request.auth.require_all_apps()
    check_id = request.path_id("check_id")
    expected = expected_version(request)
    commands = (
        DeleteCheck(check_id=check_id, expected_version=expected),
        StopWatching(service=check_service(check_id), at=request.container.clock()),
    )
    committed = await request.container.store.execute_all(commands, request.context)
    return deleted(committed[-1].position)


def _wish(form: Form) -> CheckWish:
    return CheckWish(
        name=form.text("name"),
        target=form.text("target"),
        interval=form.number("interval"),
        timeout=form.number("timeout"),
        expected_status=form.number_or_null("expected_status"),
        body_text=form.text_or_null("body_text"),
        enabled=form.flag("enabled"),
    )


async def _with_results(request: Call, checks: Sequence[ListedCheck]) -> list[CheckBody]:
    monitoring, now = request.container.monitoring, request.container.clock()
    looks = await monitoring.board.looks()
    names = [check_service(check.id) for check in checks]
    uptimes = await monitoring.uptime.of(names, now)
    return [
        check_body(check, now, looks, uptimes[name])
        for check, name in zip(checks, names, strict=True)
    ]


def _answer(request: Call, committed: Committed, position: int, *, status: int = 200) -> Answer:
    state = cast("Check", committed.state)
    assert state.check_id
    assert state.settings
    assert state.created_at
    assert state.updated_at
    check = ListedCheck(
        id=state.check_id,
        settings=state.settings,
        version=state.version,
        created_at=state.created_at,
        updated_at=state.updated_at,
    )
    body = check_body(check, request.container.clock())
    return success(encode_json(body), status=status, position=position)
