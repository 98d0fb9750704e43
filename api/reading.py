"""Reading what was written: read models are never shown half built, nor older than asked for."""

from __future__ import annotations

import re

from api.call import Call
from api.failures import BadRequest
from domain.failures import Unavailable

ERROR_GROUPS = "error_groups"
APPS = "apps"
STATS = "stats"
OCCURRENCES = "occurrences"
CODES = "codes"
DASHBOARD_TRENDS = "dashboard_trends"
SOURCE_MAPS = "source_maps"

PATIENCE = 2.0
"""Seconds that a read waits for its read model."""

_POSITION = re.compile(r"[0-9]{1,19}")
_MAX_POSITION = 2**63 - 1


async def up_to_date(call: Call, read_model: str) -> None:
    """Wait until a read model has reached X-Min-Position.

    Raises BadRequest for a bad header, Unavailable where the read model is being rebuilt or does
    not get there in time."""
    least = min_position(call)
    whole(call, read_model)
    if least:
        await reached(call, read_model, least)
    else:
        await call.parts.own_writes.seen_by(call.auth.actor, read_model)
    _note(call, read_model)


async def caught_up(call: Call, read_model: str) -> None:
    """Wait until a read model has seen all that is in the log at this moment. For a look that
    found nothing: what was written just before is found then, and a read model that lost its data
    is noticed. Raises Unavailable."""
    positions = call.container.positions
    head = await call.container.store.head()
    await positions.look()
    whole(call, read_model)
    await reached(call, read_model, head)
    _note(call, read_model)


async def reached(call: Call, read_model: str, position: int) -> None:
    """Wait for a position. Raises Unavailable after two seconds."""
    positions = call.container.positions
    if not await positions.wait(read_model, position, PATIENCE):
        whole(call, read_model)
        at = positions.position(read_model)
        reason = f"the read model {read_model} is at {at:,} and has not reached {position:,} yet"
        raise Unavailable("projections", reason)


def whole(call: Call, read_model: str) -> None:
    """Raises Unavailable while a read model is being rebuilt."""
    rebuild = call.container.positions.rebuilding(read_model)
    if rebuild is not None:
        progress = f"{rebuild.position:,} of {rebuild.target:,} events"
        reason = f"the read model {read_model} is being rebuilt ({progress})"
        raise Unavailable("projections", reason, retry_after=2)


def _note(call: Call, read_model: str) -> None:
    """Remember where the read model is, for X-Read-Position: what is read next is no older."""
    call.envelope.reads[read_model] = call.container.positions.position(read_model)


def min_position(call: Call) -> int:
    """What X-Min-Position asks for; 0 without it. Raises BadRequest."""
    text = call.header(b"x-min-position")
    if text is None:
        return 0
    if not _POSITION.fullmatch(text) or int(text) > _MAX_POSITION:
        raise BadRequest.field("X-Min-Position", "must be a position of the log: a whole number")
    return int(text)
