"""`errata as-of` and `errata diff`: what was, and what has changed since."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from errata.commands.common import (
    data_dir_option,
    json_option,
    print_json,
    print_table,
    say,
    services,
)
from errata.commands.moments import MOMENT

if TYPE_CHECKING:
    from api.past_ports import Building, Moment
    from projections.differences import Differences

_WHAT = ("stats", "errors", "trends", "codes", "rules", "incidents", "keys", "team", "uptime")
_CHANGES = ("new", "gone", "resolved", "regressed", "reopened", "more")
_MESSAGE = 100
_NESTED = "."
"""Between the names of a field and of a field in it."""


@click.command(name="as-of")
@click.argument("moment", metavar="TIME", type=MOMENT)
@click.argument("what", type=click.Choice(_WHAT))
@click.option("--app", help="Only this application's; of codes, default unless another is named.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, help="How many of a list.")
@data_dir_option
@json_option
def as_of(
    moment: int | datetime,
    what: str,
    app: str | None,
    limit: int,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Show what would have been shown at a time.

    TIME is a time in UTC, how long ago (30m, 24h, 7d), or a position of the log. Trends are of the
    seven days until then, uptime is that of Errata.

    \b
    Examples:
      errata as-of 24h stats
      errata as-of 2025-08-29T12:00:00Z errors --limit 5
      errata as-of 120000 rules --json
    """
    import asyncio

    from errata.looking_back import VIEWS
    from errata.looking_back import as_of as look_back

    with services(data_dir) as settings, _Progress() as progress:
        asking = look_back(settings, moment, VIEWS[what], app, limit, progress)
        at, found = asyncio.run(asking)
    if as_json:
        print_json({**_told(at), what: _plain(found)})
        return
    say(f"{what} as of {_spoken(at)}")
    _show(what, _plain(found))


@click.command()
@click.argument("first", metavar="FROM", type=MOMENT)
@click.argument("second", metavar="[TO]", type=MOMENT, default="now")
@click.option("--limit", type=click.IntRange(1, 100), default=10, help="Errors of each change.")
@data_dir_option
@json_option
def diff(
    first: int | datetime,
    second: int | datetime,
    limit: int,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Show what changed between two times: errors new, gone, resolved, regressed, and counts.

    FROM and TO are times in UTC, how long ago (30m, 24h, 7d), or positions of the log; TO is now
    unless it is given. What came and was undone in between is no change.

    \b
    Examples:
      errata diff 24h
      errata diff 2025-08-29 2025-08-30
      errata diff 120000 180000 --json
    """
    import asyncio

    from errata.looking_back import difference

    with services(data_dir) as settings, _Progress() as progress:
        start, end, found = asyncio.run(difference(settings, first, second, progress))
    if as_json:
        print_json({"from": _told(start), "to": _told(end), "changes": found})
        return
    say(f"from {_spoken(start)}\nto   {_spoken(end)}")
    _show_differences(found, limit)


class _Progress:
    """A line on stderr that tells how far something has come, where that is a terminal."""

    def __init__(self) -> None:
        self._said = False

    def __enter__(self) -> Callable[[Building], None]:
        return self._tell

    def __exit__(self, *args: object) -> None:
        if self._said:
            click.echo("\r\033[K", err=True, nl=False)

    def _tell(self, building: Building) -> None:
        if sys.stderr.isatty():
            text = f"\r\033[K{building.position:,} of {building.target:,} events"
            click.echo(text, err=True, nl=False)
            self._said = True


def _plain(value: Any) -> Any:
    """Structs as objects with all their fields, those that have their defaults too."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _show(what: str, plain: Any) -> None:
    from errata.looking_back import columns_of

    if isinstance(plain, dict):
        rows = [(name, _cell(value)) for name, value in plain.items()]
        print_table(("Name", "Value"), rows)
        return
    columns = columns_of(what)
    titles = [column.rpartition(_NESTED)[2].replace("_", " ").capitalize() for column in columns]
    print_table(titles, [[_cell(_field(one, column)) for column in columns] for one in plain])
    if not plain:
        say("None.")


def _show_differences(found: Differences, limit: int) -> None:
    totals = (
        ("errors", found.errors),
        ("resolved errors", found.resolved_errors),
        ("occurrences", found.occurrences),
    )
    changes = [(kind, getattr(found, kind)) for kind in _CHANGES]
    counted = [(f"{kind} errors", change.count) for kind, change in changes]
    print_table(
        ("Change", "Count"),
        [*counted, *((f"{name} in all", f"{by:+,}") for name, by in totals)],
    )
    rows = [
        (kind, one.id, one.app, one.occurrences_before, one.occurrences_after, _cell(one.message))
        for kind, change in changes
        for one in change.errors[:limit]
    ]
    if rows:
        click.echo()
        print_table(("Change", "Error", "App", "Before", "After", "Message"), rows)
    for kind, change in changes:
        if (left := change.count - len(change.errors[:limit])) > 0:
            click.echo(f"{kind}: and {left:,} more")


def _field(entry: Any, path: str) -> Any:
    for name in path.split(_NESTED):
        entry = entry.get(name)
    return entry


def _cell(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_cell, value))
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = "" if value is None else str(value)
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE - 3]}..."


def _told(moment: Moment) -> dict[str, Any]:
    return {"position": moment.position, "time": moment.at}


def _spoken(moment: Moment) -> str:
    return f"{moment.at:%Y-%m-%d %H:%M:%S} UTC, position {moment.position:,}"
