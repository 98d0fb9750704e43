"""`errata key`: the keys that programs show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import rich_click as click

from errata.commands.common import (
    data_dir_option,
    json_option,
    print_json,
    print_table,
    say,
    services,
)

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class Expiry(click.ParamType[datetime]):
    """ "30d", "12h", "2w", or a date and time (UTC unless it says otherwise)."""

    name = "when"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The moment meant by the text; fails the command for text that means none."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        if text[:-1].isdigit() and text[-1] in _UNITS and len(text) < 6:
            return datetime.now(UTC) + timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail("expected 30d, 12h, 2w or a date such as 2030-01-31", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group()
def key() -> None:
    """API keys: issue, revoke and list them.

    \b
    Example:
      errata key issue "CI" --permission write
    """


@key.command()
@click.argument("name")
@click.option(
    "--app", "app_id", default="*", help="The one application it may act on. [default: all]"
)
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=click.Choice(["ingest", "read", "write", "admin"]),
    help="What it allows; may be repeated. [default: read]",
)
@click.option("--expires", type=Expiry(), help="When it ends: 30d, 12h, 2w or a date.")
@data_dir_option
def issue(
    name: str,
    app_id: str,
    permissions: tuple[str, ...],
    expires: datetime | None,
    data_dir: Path | None,
) -> None:
    """Issue a key and print it, once: only its hash is kept.

    \b
    Examples:
      errata key issue "Grafana"
      errata key issue "CI" --app shop --permission read --permission write --expires 90d
      KEY=$(errata key issue "Shop" --app shop --permission ingest)
    """
    import asyncio

    from errata.administration import issue_key

    with services(data_dir) as settings:
        key_id, text = asyncio.run(issue_key(settings, name, app_id, permissions, expires))
    say(f"Issued the key {key_id}, shown this once:")
    click.echo(text)


@key.command()
@click.argument("key_id", metavar="ID", type=click.UUID)
@data_dir_option
def revoke(key_id: UUID, data_dir: Path | None) -> None:
    """Take a key back, for good; it stops working within a second.

    \b
    Example:
      errata key revoke 0d9f3c1e-6a0b-4d0e-8f5a-3f1f7c2b9a10
    """
    import asyncio

    from errata.administration import revoke_key

    with services(data_dir) as settings:
        changed = asyncio.run(revoke_key(settings, key_id))
    say(f"Revoked the key {key_id}." if changed else f"The key {key_id} was revoked before.")


@key.command(name="list")
@data_dir_option
@json_option
def list_keys(data_dir: Path | None, as_json: bool) -> None:
    """List the keys that are not revoked, oldest first.

    \b
    Examples:
      errata key list
      errata key list --json
    """
    import asyncio

    from errata.administration import listed_keys

    with services(data_dir) as settings:
        found = asyncio.run(listed_keys(settings))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            *(one.id, one.name, one.key_preview, one.app, ", ".join(one.permissions)),
            f"{one.expires_at:%Y-%m-%d %H:%M}" if one.expires_at else "never",
        )
        for one in found
    ]
    print_table(("Id", "Name", "Key", "App", "Permissions", "Expires (UTC)"), rows)
