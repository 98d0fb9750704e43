"""`errata app`: the applications that own errors."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from errata.commands.common import (
    data_dir_option,
    json_option,
    print_json,
    print_table,
    say,
    services,
)


@click.group()
def app() -> None:
    """Applications: register one, list them.

    \b
    Example:
      errata app register shop "Web shop"
    """


@app.command()
@click.argument("app_id", metavar="ID")
@click.argument("name")
@data_dir_option
def register(app_id: str, name: str, data_dir: Path | None) -> None:
    """Register an application and print its ingest key, once.

    ID is part of requests and cannot change. Registering it again changes nothing.

    \b
    Example:
      errata app register shop "Web shop"
    """
    import asyncio

    from errata.administration import register_app

    with services(data_dir) as settings:
        key = asyncio.run(register_app(settings, app_id, name))
    if key is None:
        say(f"Application {app_id} was registered before; nothing has changed.")
        return
    say(f"Registered {app_id}. Its ingest key, shown this once:")
    click.echo(key)


@app.command(name="list")
@data_dir_option
@json_option
def list_apps(data_dir: Path | None, as_json: bool) -> None:
    """List the applications, oldest first.

    \b
    Examples:
      errata app list
      errata app list --json
    """
    import asyncio

    from errata.administration import listed_apps

    with services(data_dir) as settings:
        found = asyncio.run(listed_apps(settings))
    if as_json:
        print_json(found)
    else:
        rows = [(one.id, one.name, f"{one.created_at:%Y-%m-%d %H:%M}") for one in found]
        print_table(("Id", "Name", "Registered (UTC)"), rows)
