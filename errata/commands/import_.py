"""`errata import`: reports and events from a file of JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import rich_click as click

from errata.commands.common import (
    REFUSED,
    data_dir_option,
    json_option,
    print_json,
    say,
    services,
)

if TYPE_CHECKING:
    from errata.importing import BadLine
    from errata.importing import Progress as Done
    from infra.settings import Settings


@click.command(name="import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--app",
    "app_id",
    help="The application of all lines. [default: the one each line names, or default]",
)
@data_dir_option
@json_option
def import_lines(file: IO[bytes], app_id: str | None, data_dir: Path | None, as_json: bool) -> int:
    """Import JSON lines: bodies of POST /api/errors, or events of POST /api/v1/ingest; or a whole
    log that errata audit export --verbatim has written, into an empty one.

    FILE may be - for stdin. Safe to break off and to repeat: what was stored is known by its id,
    and a line without one by its text and its number. Bad lines are named on stderr and left out;
    the exit code is 1 when there was any.

    \b
    Examples:
      errata import errors.jsonl
      errata import log.ndjson
      errata import --app shop errors.jsonl
      zcat errors.jsonl.gz | errata import -
    """
    import asyncio

    from infra.restoring import is_export

    if is_export(_beginning(file)):
        return _restore(file, app_id, data_dir, as_json)
    with services(data_dir) as settings:
        done = asyncio.run(_import(settings, file, app_id))
    if as_json:
        print_json({"stored": done.stored, "known": done.known, "bad": done.bad})
    else:
        say(f"Stored {done.stored:,}, known before {done.known:,}, bad lines {done.bad:,}.")
    return REFUSED if done.bad else 0


def _beginning(file: IO[bytes]) -> bytes:
    """The first bytes, which stay to be read."""
    import io

    return file.peek(100) if isinstance(file, io.BufferedReader) else b""


def _restore(file: IO[bytes], app_id: str | None, data_dir: Path | None, as_json: bool) -> int:
    from infra.audit_check import check
    from infra.restoring import restore

    if app_id is not None:
        raise click.BadParameter("--app cannot change the events of an exported log.")
    if _size_of(file) is not None:
        check(file)  # first, so that nothing is stored of one that is not whole
        file.seek(0)
    with services(data_dir) as settings:
        done = restore(
            settings.database_url_or_fail(), file, partition_events=settings.partition_events
        )
    if as_json:
        print_json({"stored": done.stored, "known": done.known, "bad": 0})
    else:
        say(f"Stored {done.stored:,} events of the log, known before {done.known:,}.")
    return 0


async def _import(settings: Settings, file: IO[bytes], app_id: str | None) -> Done:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    from domain.failures import NotFound
    from domain.scrubbing import Scrubber
    from errata.bootstrap import open_store
    from errata.importing import Import, Reading, lines_of, registered_apps
    from infra.clock import utc_now

    columns = (
        *(TextColumn("{task.description}"), BarColumn(), DownloadColumn()),
        *(TextColumn("{task.fields[stored]:,} reports"), TimeRemainingColumn()),
    )
    async with open_store(settings) as store:
        apps = await registered_apps(store)
        if app_id is not None and app_id not in apps:
            raise NotFound(f"no application {app_id!r}; errata app list shows those there are")
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("Importing", total=_size_of(file), stored=0)

            def bad(line: BadLine) -> None:
                bar.console.print(Text(f"line {line.number}: {line.reason}"), soft_wrap=True)

            def moved(done: Done) -> None:
                bar.update(task, completed=done.size, stored=done.stored + done.known)

            reading = Reading(app_id, apps, Scrubber(settings.scrub_keys), utc_now)
            return await Import(store, reading, bad, moved).run(lines_of(file))


def _size_of(file: IO[bytes]) -> int | None:
    """Bytes of a file, None for what has no size, such as a pipe."""
    import os
    import stat

    found = os.fstat(file.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None
