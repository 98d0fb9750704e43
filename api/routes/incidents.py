"""/api/alerts/incidents: what somebody has to look after."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import msgspec
from litestar import get, post, put

from api.alert_schemas import IncidentBody, IncidentDetailBody, IncidentListBody
from api.answers import Answer, encode_json, success
from api.applications import for_reading
from api.call import Call
from api.directory import chosen_app, frame, wanted_page
from api.failures import BadRequest
from api.form import Form
from api.query import Parameters, parameters
from api.reading import caught_up, up_to_date
from api.routes.incidents_described import (
    CHANGE_INCIDENT,
    GET_INCIDENT,
    LIST_INCIDENTS,
    OPEN_INCIDENT,
)
from api.versions import expected_version
from domain.failures import Invalid, NotFound
from domain.incident import (
    STATUSES,
    ChangeIncident,
    Incident,
    IncidentWish,
    OpenIncident,
    Status,
    flaws,
    missing,
)
from domain.message import Committed
from domain.vocabulary import SEVERITIES, Severity
from projections.directory.incidents import IncidentFilter, ListedIncident
from projections.paging import ListPage, Wanted

INCIDENTS = "incidents"
MEMBERS = "members"


@get("/alerts/incidents", opt={"operation": LIST_INCIDENTS})
async def list_incidents(request: Call) -> Answer:
    """A page of incidents."""
    only, wanted = _list_query(request)
    await up_to_date(request, INCIDENTS)
    page = await _page(request, only, wanted)
    if not page.total:
        # Nothing at all may mean that Redis was emptied a moment ago: that is no answer.
        await caught_up(request, INCIDENTS)
        page = await _page(request, only, wanted)
    incidents = [IncidentBody(**_fields(one)) for one in page.entries]
    return success(encode_json(IncidentListBody(incidents=incidents, **frame(page, wanted))))


@post("/alerts/incidents", opt={"operation": OPEN_INCIDENT})
async def open_incident(request: Call) -> Answer:
    """A new incident."""
    form = Form(await request.json_body())
    wish, app = _wish(form), form.text("app")
    form.check([*missing(wish), *flaws(wish), *await _unknown_assignee(request, wish)])
    command = OpenIncident(
        incident_id=request.container.new_id(), app=await chosen_app(request, app), wish=wish
    )
    committed = await request.container.store.execute(command, request.context)
    return _answer(committed, status=201)


@get("/alerts/incidents/{incident_id:str}", opt={"operation": GET_INCIDENT})
async def get_incident(request: Call) -> Answer:
    """One incident with its timeline."""
    incident_id = request.path_id("incident_id")
    await up_to_date(request, INCIDENTS)
    found = await request.container.incidents.one(incident_id)
    if found is None:
        await caught_up(request, INCIDENTS)
        found = await request.container.incidents.one(incident_id)
    if found is None or not request.auth.may_see(found[0].app):
        raise NotFound("no such incident")
    incident, timeline = found
    body = IncidentDetailBody(**_fields(incident), timeline=timeline)
    return success(encode_json(body), version=incident.version)


@put("/alerts/incidents/{incident_id:str}", opt={"operation": CHANGE_INCIDENT})
async def change_incident(request: Call) -> Answer:
    """Change what is given."""
    incident_id = request.path_id("incident_id")
    expected = expected_version(request)
    form = Form(await request.json_body())
    wish = _wish(form)
    form.check([*flaws(wish), *await _unknown_assignee(request, wish)])
    command = ChangeIncident(
        incident_id=incident_id, wish=wish, seen_by=request.auth.app, expected_version=expected
    )
    return _answer(await request.container.store.execute(command, request.context))


def _list_query(request: Call) -> tuple[IncidentFilter, Wanted]:
    read = Parameters(parameters(request.scope["query_string"]))
    app = read.text("app")
    only = IncidentFilter(
        status=cast("Status | None", read.one_of("status", STATUSES)),
        severity=cast("Severity | None", read.one_of("severity", SEVERITIES)),
        assigned_to=read.uuid("assigned_to"),
    )
    wanted = wanted_page(read)
    read.check()
    return msgspec.structs.replace(only, app=for_reading(request.auth, app)), wanted


async def _page(request: Call, only: IncidentFilter, wanted: Wanted) -> ListPage[ListedIncident]:
    try:
        return await request.container.incidents.list(only, wanted)
    except ValueError:
        raise BadRequest.field("cursor", "is not one that this list has given") from None


def _wish(form: Form) -> IncidentWish:
    return IncidentWish(
        title=form.text("title"),
        severity=form.text("severity"),
        status=form.text("status"),
        description=form.text_or_null("description"),
        assigned_to=form.uuid_or_null("assigned_to", "a member's id"),
    )


async def _unknown_assignee(request: Call, wish: IncidentWish) -> list[Invalid]:
    """A flaw where nobody in the team has this id. The read model holds active and invited
    members; one that was invited just now is waited for."""
    if not isinstance(wish.assigned_to, UUID):
        return []
    members = request.container.members
    if await members.one(wish.assigned_to) is None:
        await caught_up(request, MEMBERS)
        if await members.one(wish.assigned_to) is None:
            return [Invalid("assigned_to", "is not a member of the team")]
    return []


def _answer(committed: Committed, *, status: int = 200) -> Answer:
    state = cast("Incident", committed.state)
    assert state.incident_id and state.facts and state.opened_at and state.updated_at
    incident = ListedIncident(
        id=state.incident_id,
        app=state.app,
        facts=state.facts,
        version=state.version,
        created_at=state.opened_at,
        updated_at=state.updated_at,
        rule_id=state.rule_id,
    )
    body = encode_json(IncidentBody(**_fields(incident)))
    return success(body, status=status, position=committed.position, version=incident.version)


def _fields(incident: ListedIncident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "app": incident.app,
        "rule_id": incident.rule_id,
        "version": incident.version,
        "created_at": incident.created_at,
        "updated_at": incident.updated_at,
        **msgspec.structs.asdict(incident.facts),
    }
