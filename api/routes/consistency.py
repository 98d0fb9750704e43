"""/api/admin/consistency: whether what is answered is what the log says."""

from __future__ import annotations

from uuid import UUID

from litestar import get

from api.answers import Answer, Headers, encode_json, success
from api.call import Call
from api.consistency_ports import Comparison, Consistency
from api.consistency_schemas import ComparedBody, ConsistencyBody
from api.query import Parameters, parameters
from api.routes.consistency_described import GET_CONSISTENCY
from domain.failures import NotFound, Unavailable

_SOON: Headers = ((b"retry-after", b"1"),)


@get("/admin/consistency", opt={"operation": GET_CONSISTENCY})
async def get_consistency(request: Call) -> Answer:
    """One error, or everything, compared with the log."""
    request.auth.require_all_apps()
    read = Parameters(parameters(request.scope["query_string"]))
    error_id = read.uuid("error_id")
    read.check()
    consistency = request.container.consistency
    if consistency is None:
        raise Unavailable("projections", "this process cannot compare")
    found = (
        await consistency.of_all()
        if error_id is None
        else await _of_error(request, consistency, error_id)
    )
    body = encode_json(_body(error_id, found))
    if found.state != "running":
        return success(body)
    answer = success(body, status=202)
    answer.headers += _SOON
    return answer


async def _of_error(request: Call, consistency: Consistency, error_id: UUID) -> Comparison:
    clock = request.container.clock
    started = clock()
    verdicts = await consistency.of_error(error_id)
    if not verdicts:
        raise NotFound("no such error")
    reached = min(verdict.position for verdict in verdicts)
    return Comparison(
        state="done",
        started_at=started,
        finished_at=clock(),
        position=reached,
        target=reached,
        verdicts=verdicts,
    )


def _body(error_id: UUID | None, found: Comparison) -> ConsistencyBody:
    done = found.state == "done"
    return ConsistencyBody(
        error_id=error_id,
        status=found.state,
        consistent=all(verdict.equal for verdict in found.verdicts) if done else None,
        started_at=found.started_at,
        finished_at=found.finished_at,
        position=found.position,
        target=found.target,
        comparing=found.comparing,
        reason=found.reason,
        read_models=[
            ComparedBody(
                read_model=verdict.read_model,
                version=verdict.version,
                position=verdict.position,
                consistent=verdict.equal,
                keys=verdict.keys,
                different=verdict.different,
                complete=verdict.complete,
                findings=verdict.findings,
            )
            for verdict in found.verdicts
        ],
    )
