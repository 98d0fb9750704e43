"""`errata history`: what has happened to one thing."""

from __future__ import annotations

import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from errata.commands.audit import opened_log, output_option, write
from errata.commands.common import (
    data_dir_option,
    json_option,
    print_json,
    print_table,
)
from errata.commands.entries import as_object, changes_text

if TYPE_CHECKING:
    from domain.history import Entry

KINDS = ("error", "rule", "incident", "key", "member", "integration", "app", "check")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("identity", metavar="ID")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
@click.option(
    "--format", "form", type=click.Choice(["ndjson", "csv"]), help="All of it, as a file."
)
@output_option
@data_dir_option
@json_option
def history(
    kind: str,
    identity: str,
    limit: int,
    form: str | None,
    output: Path | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Show what happened to a thing, newest first: when, who, from where, and what it changed.

    KIND is error, rule, incident, key, member, integration, app or check; deleted ones too.

    \b
    Examples:
      errata history error 550e8400-e29b-41d4-a716-446655440000
      errata history integration slack --json
      errata history app shop --format csv --output shop.csv
    """
    from domain.failures import NotFound
    from domain.history import SUBJECTS
    from infra.history import history_export, history_page

    subject = SUBJECTS[kind](identity)
    with opened_log(data_dir) as (_, log):
        if form is not None or output is not None:
            write(history_export(log, subject, form or "ndjson"), output)  # type: ignore[arg-type]
            return
        entries = history_page(log, subject, None, limit, folded=sys.maxsize).entries
    if not entries:
        raise NotFound(f"no {kind} {identity}")
    if as_json:
        print_json([as_object(entry) for entry in entries])
    else:
        columns = ("Position", "When (UTC)", "What", "Who", "From", "Changes")
        print_table(columns, [_cells(entry) for entry in entries])


def _cells(entry: Entry) -> tuple[object, ...]:
    one, context = entry.recorded, entry.recorded.context
    return (
        one.position,
        f"{one.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        one.name,
        context.actor,
        f"{context.correlation_id} {context.address or ''}".strip(),
        changes_text(entry),
    )
