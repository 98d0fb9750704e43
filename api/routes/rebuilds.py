"""/api/admin/rebuilds: read models built anew from the log, while they are read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from litestar import delete, get, post
from msgspec import UNSET, UnsetType

from api.answers import Answer, encode_json, success
from api.call import Call
from api.event_stream import EventStream, event
from api.failures import BadRequest
from api.form import Form
from api.rebuild_schemas import (
    DifferingKey,
    LiveVersionBody,
    RebuildBody,
    RebuildListBody,
    RebuiltBody,
)
from api.routes.rebuilds_described import (
    CANCEL_REBUILD,
    FOLLOW_REBUILD,
    GET_REBUILD,
    LIST_REBUILDS,
    REQUEST_REBUILD,
    ROLL_BACK,
)
from domain.failures import Conflict, NotFound
from projections.rebuilds import Rebuild, Rebuilds

LOOK_SECONDS = 0.25
"""How often a rebuild is looked at for those who follow it."""


@get("/admin/rebuilds", opt={"operation": LIST_REBUILDS})
async def list_rebuilds(request: Call) -> Answer:
    """The rebuilds that are remembered, and which versions are live."""
    request.auth.require_all_apps()
    rebuilds = request.container.rebuilds
    standing = await rebuilds.standing()
    live = [
        LiveVersionBody(
            name,
            standing.active.get(name),
            standing.kept[name].version if name in standing.kept else None,
        )
        for name in rebuilds.names
    ]
    found = [_body(one) for one in await rebuilds.all()]
    return success(encode_json(RebuildListBody(found, live)))


@post("/admin/rebuilds", opt={"operation": REQUEST_REBUILD})
async def request_rebuild(request: Call) -> Answer:
    """Ask for a rebuild; a worker carries it out."""
    request.auth.require_all_apps()
    form = Form(await request.json_body())
    rebuilds = request.container.rebuilds
    names, every = _names(form, rebuilds), form.flag("all") is True
    expect_same = form.flag("expect_same")
    form.check()
    if bool(names) == every:
        # A misspelt field must not rebuild everything.
        raise BadRequest.field("read_models", 'must be given, or "all": true in its place')
    rebuild = await rebuilds.request(
        request.container.new_id(),
        names or rebuilds.names,
        by=request.auth.actor,
        at=request.container.clock(),
        expect_same=expect_same is True,
    )
    return success(encode_json(_body(rebuild)), status=202)


@post("/admin/rebuilds/rollback", opt={"operation": ROLL_BACK})
async def roll_back(request: Call) -> Answer:
    """Ask for the versions before the last rebuilds. No body is the same as an empty one."""
    request.auth.require_all_apps()
    form = Form(await request.json_body() or b"{}")
    rebuilds = request.container.rebuilds
    names = _names(form, rebuilds)
    form.check()
    names = names or sorted((await rebuilds.standing()).kept)
    if not names:
        raise Conflict("no earlier version of any read model is kept")
    rebuild = await rebuilds.roll_back(
        request.container.new_id(), names, by=request.auth.actor, at=request.container.clock()
    )
    return success(encode_json(_body(rebuild)), status=202)


@get("/admin/rebuilds/{rebuild_id:str}", opt={"operation": GET_REBUILD})
async def get_rebuild(request: Call) -> Answer:
    """One rebuild."""
    request.auth.require_all_apps()
    return success(encode_json(_body(await _found(request))))


@delete("/admin/rebuilds/{rebuild_id:str}", status_code=202, opt={"operation": CANCEL_REBUILD})
async def cancel_rebuild(request: Call) -> Answer:
    """Ask for a rebuild to be given up."""
    request.auth.require_all_apps()
    rebuild_id = request.path_id("rebuild_id")
    rebuild = await request.container.rebuilds.cancel(rebuild_id, by=request.auth.actor)
    if rebuild is None:
        raise NotFound("no such rebuild")
    return success(encode_json(_body(rebuild)), status=202)


@get("/admin/rebuilds/{rebuild_id:str}/events", opt={"operation": FOLLOW_REBUILD})
async def follow_rebuild(request: Call) -> Answer:
    """One rebuild as it goes on."""
    request.auth.require_all_apps()
    rebuild = await _found(request)
    return EventStream(_progress(request.container.rebuilds, rebuild))


async def _progress(rebuilds: Rebuilds, first: Rebuild) -> AsyncIterator[bytes]:
    """An event for each change, and another name for the last one."""
    rebuild: Rebuild | None = first
    told: bytes | None = None
    while rebuild is not None and not rebuild.ended:
        document = encode_json(_body(rebuild))
        if document != told:
            yield event("progress", document)
        told = document
        await asyncio.sleep(LOOK_SECONDS)
        rebuild = await rebuilds.one(first.id)
    if rebuild is not None:
        yield event("end", encode_json(_body(rebuild)))


async def _found(request: Call) -> Rebuild:
    rebuild_id: UUID = request.path_id("rebuild_id")
    rebuild = await request.container.rebuilds.one(rebuild_id)
    if rebuild is None:
        raise NotFound("no such rebuild")
    return rebuild


def _names(form: Form, rebuilds: Rebuilds) -> Sequence[str]:
    """The read models that are named."""
    names: Sequence[str] | UnsetType = form.texts("read_models")
    if names is UNSET or isinstance(names, UnsetType):
        return ()
    unknown = [name for name in names if name not in rebuilds.names]
    if unknown:
        known = ", ".join(rebuilds.names)
        there = f"there are {known}; occurrences is rebuilt by the command line"
        form.wrong("read_models", f"there is no {unknown[0][:100]!r} to be rebuilt: {there}")
    elif not names or len(set(names)) < len(names):
        form.wrong("read_models", "must name at least one, and each once")
    return names


def _body(rebuild: Rebuild) -> RebuildBody:
    parts = [
        RebuiltBody(
            name=part.name,
            from_version=part.from_version,
            to_version=part.to_version,
            position=part.position,
            differences=part.differences,
            differing=[DifferingKey(key, what) for key, what in part.differing],
        )
        for part in rebuild.read_models
    ]
    return RebuildBody(
        id=rebuild.id,
        kind=rebuild.kind,
        status=rebuild.state,
        read_models=parts,
        expect_same=rebuild.expect_same,
        requested_by=rebuild.requested_by,
        requested_at=rebuild.requested_at,
        started_at=rebuild.started_at,
        finished_at=rebuild.finished_at,
        position=rebuild.position,
        target=rebuild.target,
        events_per_second=rebuild.events_per_second,
        seconds_left=rebuild.seconds_left,
        compared_at=rebuild.compared_at,
        reason=rebuild.reason,
        cancelled_by=rebuild.cancelled_by,
    )
