"""Takes texts of source maps away that no version of any application names any more: those of
deleted versions, and those that another map took the place of."""

from __future__ import annotations

import msgspec
import structlog

from domain.source_maps import decider
from infra.scheduler import Job, Session

log = structlog.get_logger("errata.source_maps")

SWEEP_SECONDS = 3600

_STATES = "SELECT state, state_schema FROM streams WHERE kind = %s AND kind <> 'error_group'"

# The day is for uploads whose events are on their way: a text is there before its event.
_SWEEP = """
DELETE FROM source_maps_blobs
 WHERE put_at < now() - interval '1 day' AND encode(sha256, 'hex') <> ALL (%s)
"""


def sweep(session: Session) -> None:
    """Take away what is older than a day and not named. Nothing while a state is of another
    schema, for what it names cannot be told."""
    states = session.execute(_STATES, (decider.kind,)).fetchall()
    if any(schema != decider.state_schema for _, schema in states):
        return
    named = {
        sha256
        for state, _ in states
        for sha256 in msgspec.json.decode(state, type=decider.state_type).files.values()
    }
    swept = session.execute(_SWEEP, (list(named),)).rowcount
    if swept:
        log.info("took source maps away", maps=swept)


def sweeping() -> Job:
    """The job of the scheduler."""
    return Job("unnamed source maps", SWEEP_SECONDS, sweep)
