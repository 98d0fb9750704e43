"""`errata audit`: the whole log, for those who have to know what happened and to prove it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import rich_click as click

from errata.commands.common import (
    data_dir_option,
    json_option,
    print_json,
    say,
    services,
)
from errata.commands.entries import follow_lines, trail_lines
from errata.commands.moments import TIME

if TYPE_CHECKING:
    from domain.history import Wanted
    from infra.event_store.scan import LogScan
    from infra.history import Export
    from infra.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv"]),
    default="ndjson",
    show_default=True,
    help="JSON lines, or a table.",
)
output_option = click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write. [default: stdout]",
)


def filtered(command: F) -> F:
    """The options that choose events."""
    for option in (
        click.option("--position", type=click.IntRange(1), help="Only this position."),
        click.option("--before", type=click.IntRange(0), help="Only positions below this one."),
        click.option("--after", type=click.IntRange(0), help="Only positions above this one."),
        click.option("--until", type=TIME, help="Recorded at this time or earlier."),
        click.option("--since", type=TIME, help="Recorded at this time or later, or 24h ago."),
        click.option("--request", "correlation_id", help="Only what belongs to this request."),
        click.option("--app", help="Only what is about this application."),
        click.option("--actor", help="Only what this one did: member:ID, key:ID, system:PART."),
        click.option("--name", help="Only events of this name, such as ApiKeyRevoked."),
        click.option("--kind", help="Only streams of this kind, such as api_key or key."),
        click.option("--stream", type=click.UUID, help="Only this stream."),
    ):
        command = option(command)
    return command


def wanted_of(
    stream: UUID | None, kind: str | None, name: str | None, position: int | None, **rest: Any
) -> Wanted:
    """What the options choose. Raises click.BadParameter for a kind or name that there is not."""
    from domain.catalog import EVENTS
    from domain.history import KIND_WORDS, Wanted, names_wanted

    for option, value, known in (("--kind", kind, KIND_WORDS), ("--name", name, EVENTS)):
        if value is not None and value not in known:
            raise click.BadParameter(f"{option} must be one of {', '.join(sorted(known))}.")
    after = rest.pop("after") or 0
    names = names_wanted(kind, name)
    return Wanted(stream_id=stream, names=names, after=after, **rest).at(position)


@contextmanager
def opened_log(data_dir: Path | None) -> Iterator[tuple[Settings, LogScan]]:
    """The settings, and the log for the life of the block."""
    from infra.event_store.archive import Archive
    from infra.event_store.scan import LogScan

    with (
        services(data_dir) as settings,
        LogScan(settings.database_url_or_fail(), Archive(settings.archive)) as log,
    ):
        yield settings, log


@click.group()
def audit() -> None:
    """The audit trail: what happened, who did it, and the proof.

    \b
    Examples:
      errata audit tail --follow
      errata audit export --output audit.ndjson
    """


@audit.command()
@click.option("--lines", "-n", "count", type=click.IntRange(0), default=20, show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until interrupted.")
@filtered
@data_dir_option
@json_option
def tail(count: int, follow: bool, data_dir: Path | None, as_json: bool, **options: Any) -> None:
    """Show the last events, oldest first; with --json one object a line.

    \b
    Examples:
      errata audit tail
      errata audit tail --follow --kind api_key
      errata audit tail -n 5 --actor key:development --json
    """
    wanted = wanted_of(**options)
    with opened_log(data_dir) as (_, log):
        after = log.head()
        for line in trail_lines(log, wanted, count, as_json=as_json):
            click.echo(line)
        if follow:
            for line in follow_lines(log, wanted, after, as_json=as_json):
                click.echo(line)
                sys.stdout.flush()


@audit.command()
@format_option
@output_option
@click.option(
    "--verbatim",
    is_flag=True,
    help="With hashes of keys and sealed configurations, as the log holds them: what errata "
    "import makes a log of. JSON lines only.",
)
@filtered
@data_dir_option
def export(
    form: str, output: Path | None, verbatim: bool, data_dir: Path | None, **options: Any
) -> None:
    """Write all events, oldest first, to a file that can be proved whole.

    Its last line holds their number, the SHA-256 of all bytes before it, and the end of the chain
    of the events' own SHA-256: note that one down, and nobody changes the log unnoticed.

    \b
    Examples:
      errata audit export --output audit.ndjson
      errata audit export --since 2026-01-01 --kind api_key --format csv > keys.csv
      errata audit export --verbatim | gzip > log.ndjson.gz
    """
    from infra.history import events_export

    if verbatim and form != "ndjson":
        raise click.BadParameter("--verbatim needs --format ndjson.")
    wanted = wanted_of(**options)
    with opened_log(data_dir) as (_, log):
        write(events_export(log, wanted, form, verbatim=verbatim), output)  # type: ignore[arg-type]


def write(made: Export, output: Path | None) -> None:
    """Write a file, or to stdout. A file gets its name when it is whole."""
    if output is None:
        for chunk in made.chunks():
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    unfinished = output.with_name(f"{output.name}.unfinished")
    with unfinished.open("wb") as file:
        for chunk in made.chunks():
            file.write(chunk)
        size = file.tell()
    unfinished.replace(output)
    trailer = made.trailer()
    say(f"Wrote {trailer.events:,} events, {size:,} bytes, to {output}.")
    say(f"SHA-256 {trailer.sha256}")
    if trailer.chain is not None:
        say(f"Chain   {trailer.chain}")


@audit.command()
@click.argument("file", type=click.File("rb"))
@click.option("--log", "with_log", is_flag=True, help="Compare it with the log, event by event.")
@data_dir_option
@json_option
def verify(file: IO[bytes], with_log: bool, data_dir: Path | None, as_json: bool) -> None:
    """Prove that an exported file is whole; with --log, that it is what the log says.

    Exit code 1 when it is not, with the reason.

    \b
    Examples:
      errata audit verify audit.ndjson
      errata audit verify --log audit.ndjson
    """
    from infra.audit_check import check, compare_with_log

    checked = check(file)
    if with_log:
        file.seek(0)
        with opened_log(data_dir) as (_, log):
            compare_with_log(file, checked, log)
    trailer = checked.trailer
    if as_json:
        print_json({"trailer": trailer, "compared_with_log": with_log})
        return
    say(f"Whole: {trailer.events:,} events of positions {trailer.after + 1} to {trailer.until}.")
    say("Equal to the log." if with_log else "Not compared with the log (--log does that).")
    if trailer.chain is not None:
        say(f"Chain   {trailer.chain}")
