"""The stacks of occurrences as they are shown: with their original places, where maps tell."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from api.call import Call
from api.reading import SOURCE_MAPS, up_to_date
from domain.error_group import ErrorReported
from domain.message import Recorded
from domain.resolved_stack import stack_of


async def shown_stacks(
    request: Call, occurrences: Sequence[Recorded[ErrorReported]]
) -> list[msgspec.Raw]:
    """The stack of each occurrence as JSON, null for one without frames.

    Maps are looked for only where an occurrence names its version, and only then is Redis needed.
    Raises Unavailable while the read model of maps is behind what the request asks for."""
    stacks = [stack_of(one.event.app, one.event.occurrence) for one in occurrences]
    if any(stack.app_version for stack in stacks):
        await up_to_date(request, SOURCE_MAPS)
    return await request.container.source_maps.resolve_all(stacks)
