"""`errata history`: what has happened to one thing."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from errata.commands.audit import opened_log, output_option, write
from errata.commands.common import (
    data_dir_option,
    json_option,
    print_blocks,
    print_json,
    terminal_width,
)
from errata.commands.entries import as_object, history_blocks

_WORDS = ("error", "rule", "incident", "key", "member", "integration", "app", "check")
_KINDS = ("error_group", "alert_rule", "api_key", "team")
"""What some of them are called in the audit trail."""


@click.command()
@click.argument("kind", metavar="KIND", type=click.Choice((*_WORDS, *_KINDS)))
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

    KIND is error, rule, incident, key, member, integration, app or check; deleted ones too. Ids of
    who did it and of the request are shortened: --json and files hold them whole.

    \b
    Examples:
      errata history error 550e8400-e29b-41d4-a716-446655440000
      errata history integration slack --json
      errata history app shop --format csv --output shop.csv
    """
    from domain.failures import NotFound
    from domain.history import subject_of
    from infra.history import history_export, history_page

    subject = subject_of(kind, identity)
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
        print_blocks(history_blocks(entries, terminal_width()))
