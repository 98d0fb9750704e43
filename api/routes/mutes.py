"""POST /api/errors/{id}/mute and /unmute: whom an error alerts."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from litestar import post

from api.answers import Answer, encode_json, success
from api.call import Call
from api.form import Form
from api.routes.errors_described import MUTE_ERROR, UNMUTE_ERROR
from api.schemas import MuteBody
from domain.error_group import ErrorGroup, MuteError, UnmuteError
from domain.message import Committed
from domain.mute import flaws
from domain.vocabulary import ANY_APP
from domain.wish import or_none


@post("/errors/{error_id:str}/mute", status_code=200, opt={"operation": MUTE_ERROR})
async def mute_error(request: Call) -> Answer:
    """Alert nobody of an error. No body is the same as an empty one."""
    error_id, now = request.error_id(), request.container.clock()
    form = Form(await request.json_body() or b"{}")
    until, count = or_none(form.time("until")), or_none(form.whole("count"))
    form.check(flaws(until, count, now))
    command = MuteError(error_id=error_id, app=_bound(request), until=until, count=count, now=now)
    return _answer(error_id, await request.container.store.execute(command, request.context))


@post("/errors/{error_id:str}/unmute", status_code=200, opt={"operation": UNMUTE_ERROR})
async def unmute_error(request: Call) -> Answer:
    """Alert people again."""
    error_id = request.error_id()
    command = UnmuteError(error_id=error_id, app=_bound(request))
    return _answer(error_id, await request.container.store.execute(command, request.context))


def _bound(request: Call) -> str | None:
    return None if request.auth.app == ANY_APP else request.auth.app


def _answer(error_id: UUID, committed: Committed) -> Answer:
    state = cast("ErrorGroup", committed.state)
    assert state.status != "absent" and state.first_seen and state.last_seen
    mute = state.mute
    body = MuteBody(
        id=error_id,
        app=state.app,
        status=state.status,
        count=state.count,
        first_seen=state.first_seen,
        last_seen=state.last_seen,
        muted=mute is not None,
        muted_until=mute.until if mute else None,
        muted_count_left=mute.left(state.count) if mute else None,
    )
    return success(encode_json(body), position=committed.position)
