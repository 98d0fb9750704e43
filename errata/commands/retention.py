"""`errata retention`: old partitions of the log leave for the archive."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from errata.commands.common import (
    data_dir_option,
    json_option,
    print_json,
    print_table,
    say,
    services,
)

if TYPE_CHECKING:
    from infra.retention import Partition


@click.group()
def retention() -> None:
    """Retention: move what is older than RETENTION_DAYS from the log to the archive.

    \b
    Example:
      errata retention run --dry-run
    """


@retention.command()
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
@data_dir_option
@json_option
def run(dry_run: bool, data_dir: Path | None, as_json: bool) -> None:
    """Archive and drop the partitions of the log whose every event is old enough.

    The scheduler does this once a day by itself. Stopped at any moment, it loses nothing, and the
    next run finishes.

    \b
    Examples:
      errata retention run --dry-run
      RETENTION_DAYS=30 ERRATA_ARCHIVE=s3://bucket/errata errata retention run
    """
    from datetime import timedelta

    from infra.clock import utc_now
    from infra.event_store.archive import Archive
    from infra.retention import Retention, connect

    with services(data_dir) as settings:
        before = utc_now() - timedelta(days=settings.retention_days)
        with connect(settings.database_url_or_fail()) as session:
            work = Retention(session, Archive(settings.archive))
            if dry_run:
                partitions = work.due(before)
            else:
                partitions = [archived.partition for archived in work.run(before)]
    outcome = "would be archived and dropped" if dry_run else "archived and dropped"
    if as_json:
        print_json([one._asdict() | {"rows": one.rows, "outcome": outcome} for one in partitions])
    elif partitions:
        columns = ("Partition", "Positions", "Rows", "Size", "Last recorded (UTC)", "Outcome")
        print_table(columns, [(*_cells(one), outcome) for one in partitions])
    else:
        say(f"No partition of the log is wholly older than {before:%Y-%m-%d %H:%M} (UTC).")


def _cells(partition: Partition) -> tuple[str, ...]:
    return (
        partition.name,
        f"{partition.first_position} - {partition.end_position - 1}",
        f"{partition.rows:,}",
        f"{partition.size / 1_048_576:,.1f} MiB",
        f"{partition.last_recorded_at.astimezone(UTC):%Y-%m-%d %H:%M}",
    )
