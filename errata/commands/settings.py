"""`errata settings`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from errata.commands.common import data_dir_option, json_option, load, print_json, print_table


@click.command()
@data_dir_option
@json_option
def settings(data_dir: Path | None, as_json: bool) -> None:
    """Show every setting: its value (passwords masked), where it came from, what it means.

    \b
    Examples:
      errata settings
      RETENTION_DAYS=30 errata settings --json
    """
    from infra.settings import describe

    rows = describe(load(data_dir=data_dir))
    if as_json:
        print_json([row._asdict() for row in rows])
    else:
        print_table(("Setting", "Value", "From", "Meaning"), rows)
