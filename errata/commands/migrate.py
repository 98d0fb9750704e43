"""`errata migrate`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from errata.commands.common import data_dir_option, say, services


@click.command()
@data_dir_option
def migrate(data_dir: Path | None) -> None:
    """Bring the database up to date, and put in what is there from the start.

    Safe at any time and from several hosts at once; `errata up` does it by itself. The first time
    in production it prints the owner's key on stdout, which cannot be shown again.

    \b
    Example:
      DATABASE_URL=postgresql://db/errata errata migrate
    """
    import asyncio

    from errata.bootstrap import prepare

    with services(data_dir) as settings:
        owner_key = asyncio.run(prepare(settings))
    say("The database is up to date.")
    if owner_key:
        say("The owner's key, shown this once:")
        click.echo(owner_key)
