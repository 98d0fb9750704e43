"""Rebuilds the index of occurrences in PostgreSQL while it is read, in this process alone.

A lease keeps a second rebuild out, and all is written over its session, so that whoever has lost it
can write no more. Where this process is killed, the live tables are as they were; the next rebuild
clears away what was left.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import NamedTuple

import psycopg
import structlog

from domain.failures import Conflict
from infra.clock import utc_now
from infra.event_store.archive import Archive
from infra.event_store.codec import UnknownEvent
from infra.event_store.past import PastLog
from infra.event_store.reader import HoleInLog
from infra.leases import take_lease
from infra.settings import Settings
from projections.occurrence_rebuild import IndexRebuild, Progress
from projections.projection import Indigestible

log = structlog.get_logger("errata.rebuilds")

LEASE = "errata:rebuild:occurrences"


class IndexRebuilt(NamedTuple):
    """The position at which the new tables took the old ones' place, and the seconds it took."""

    position: int
    seconds: float


def rebuild_index(
    settings: Settings, progress: Progress = lambda position, target: None
) -> IndexRebuilt:
    """Build the index of occurrences anew from the log, and exchange it for the live one.

    Raises Conflict where that cannot be: another rebuild is at it, the log cannot be folded, or
    there is nothing live; ArchiveDamaged, psycopg.Error. The live index is then as it was."""
    database_url, started = settings.database_url_or_fail(), monotonic()
    with (
        psycopg.connect(
            database_url, autocommit=True, application_name="errata rebuild"
        ) as connection,
        PastLog(database_url, Archive(settings.archive)) as source,
    ):
        if not take_lease(connection, LEASE):
            raise Conflict("occurrences is being rebuilt already")
        rebuild = IndexRebuild(connection, source.pages, progress)
        try:
            rebuild.run(utc_now() - timedelta(days=settings.retention_days))
        except (Indigestible, UnknownEvent, HoleInLog) as error:
            raise Conflict(f"the log cannot be folded: {error}") from error
        finally:
            with suppress(psycopg.Error):  # else the next rebuild clears it away
                rebuild.clear()
    done = IndexRebuilt(rebuild.position, round(monotonic() - started, 1))
    log.info("index rebuilt", position=done.position, seconds=done.seconds)
    return done
