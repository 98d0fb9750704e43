"""What the log needs from time to time: room for the next events, and a cut between months."""

from __future__ import annotations

import structlog

from infra.scheduler import Job, Session

log = structlog.get_logger("errata.upkeep")

ROOM_SECONDS = 30
MONTH_SECONDS = 60

# The month of its first event, not of its making: partitions are made long before they are filled.
_MONTH_IS_OVER = """
SELECT 1
  FROM log_head
  JOIN log_partitions p ON p.first_position <= log_head.position
                       AND log_head.position < p.end_position - 1
  JOIN events first ON first.position = p.first_position
 WHERE date_trunc('month', first.recorded_at, 'UTC') < date_trunc('month', now(), 'UTC')
"""


def keep_room(session: Session, partition_events: int) -> None:
    """Make the partitions that the next events will need."""
    row = session.execute("SELECT log_keep_room(%s)", (partition_events,)).fetchone()
    if row and row[0]:
        log.info("made room in the log", partitions=row[0])


def close_month(session: Session, partition_events: int) -> None:
    """Close the partition that is being filled when its month (UTC) is over."""
    if session.execute(_MONTH_IS_OVER).fetchone() is None:
        return
    row = session.execute("SELECT log_close_partition(%s)", (partition_events,)).fetchone()
    if row and row[0]:
        log.info("closed a month of the log", partition=row[0])


def upkeep(partition_events: int) -> tuple[Job, ...]:
    """The jobs of the log. `partition_events`: how many events a new partition may hold."""
    return (
        Job("room in the log", ROOM_SECONDS, lambda session: keep_room(session, partition_events)),
        Job("month's end", MONTH_SECONDS, lambda session: close_month(session, partition_events)),
    )
