"""`?as_of=`: the answer that would have been given at a moment.

The guard looks for it on every route. On one that says what it reads (`Operation.as_of`) the call
then has a container of that moment in place of the live one, so that routes are the same for both;
any other refuses it, lest the present be taken for the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from api.answers import Answer, Headers, PlainSuccess, encode_json, of_second_document, success
from api.call import Call, LookingBack
from api.failures import RETRY_AFTER, BadRequest
from api.operations import AsOf
from api.past_ports import Building, Moment, Past
from api.query import Parameters, parameters
from api.reading import min_position
from domain.failures import Unavailable

AS_OF = b"as_of="
RETRY_SECONDS = 2


class BuildingBody(msgspec.Struct, frozen=True, kw_only=True):
    """The answer is not ready yet: of the `target` events that it needs, `position` are folded."""

    position: int
    target: int


class PlainBuildingBody(PlainSuccess, kw_only=True):
    """The same in the second document's words."""

    position: int
    target: int


async def look_back(call: Call, reads: AsOf | None) -> Answer | None:
    """Give a call the container of the moment that it names, if it names one. Returns the 202 that
    says how far that container has come, None when all is ready. `reads` None: the route has no
    past.

    Raises BadRequest for what is no moment or has no past, Unavailable, RedisError."""
    query_string = call.scope["query_string"]
    if AS_OF not in query_string:
        return None
    named = parameters(query_string)
    if reads is None:
        if "as_of" in named:
            raise BadRequest.field("as_of", "is not for this path")
        return None
    asked = _asked(named)
    if asked is None:
        return None
    past = past_of(call)
    moment = await moment_of(past, "as_of", asked)
    if min_position(call) > moment.position:
        raise BadRequest.field("as_of", "must not lie before X-Min-Position")
    stream = None if reads.stream is None else call.path_id(reads.stream)
    found = await past.container(call.parts.container, moment, reads.read_models, stream)
    if isinstance(found, Building):
        return still_building(call, found)
    call.scope["state"]["past"] = LookingBack(found, moment)
    return None


def past_of(call: Call) -> Past:
    """The past, as this process can read it. Raises Unavailable where it cannot."""
    past = call.parts.container.past
    if past is None:
        raise Unavailable("projections", "this process cannot look back")
    return past


async def moment_of(past: Past, name: str, asked: int | datetime) -> Moment:
    """A moment that the parameter `name` asks for. Raises BadRequest for one yet to come."""
    try:
        return await past.moment(asked)
    except ValueError as error:
        raise BadRequest.field(name, str(error)) from None


def still_building(call: Call, building: Building) -> Answer:
    """202: how far the answer has come, and when to ask again."""
    at, target = building.position, building.target
    headers: Headers = ((RETRY_AFTER, b"%d" % RETRY_SECONDS),)
    if of_second_document(call.scope["path"]):
        return Answer(202, encode_json(PlainBuildingBody(position=at, target=target)), headers)
    answer = success(encode_json(BuildingBody(position=at, target=target)), status=202)
    answer.headers += headers
    return answer


def _asked(named: Mapping[str, str]) -> int | datetime | None:
    """The moment that the parameters name, if any. Raises BadRequest."""
    read = Parameters(named)
    asked = read.moment("as_of")
    read.check()
    return asked
