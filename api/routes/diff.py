"""/api/admin/diff: what changed between two moments."""

from __future__ import annotations

from datetime import timedelta

from litestar import get

from api.answers import Answer, encode_json, success
from api.call import Call
from api.failures import BadRequest
from api.past import moment_of, past_of, still_building
from api.past_ports import Building, Moment
from api.query import Parameters, parameters
from api.routes.diff_described import GET_DIFF, DiffBody, MomentBody

WINDOW = timedelta(hours=24)


@get("/admin/diff", opt={"operation": GET_DIFF})
async def get_diff(request: Call) -> Answer:
    """Two moments, compared."""
    request.auth.require_all_apps()
    read = Parameters(parameters(request.scope["query_string"]))
    first, second = read.moment("from"), read.moment("to")
    read.check()
    past = past_of(request)
    end = await moment_of(past, "to", second or request.container.clock())
    start = await moment_of(past, "from", first or end.at - WINDOW)
    if start.position > end.position:
        raise BadRequest.field("from", "must not lie after to")
    found = await past.difference(start, end)
    if isinstance(found, Building):
        return still_building(request, found)
    return success(encode_json(DiffBody(start=_body(start), end=_body(end), changes=found)))


def _body(moment: Moment) -> MomentBody:
    return MomentBody(position=moment.position, time=moment.at)
