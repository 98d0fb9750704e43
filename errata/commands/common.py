"""What the commands share: settings from options, services to work on, answers and failures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

if TYPE_CHECKING:
    from infra.settings import Settings

REFUSED = 1
USAGE = 2
AWAY = 3
TAKEN = 4

_WIDE = 200
_WHOLE = ("Id", "Error")
"""Columns of ids."""

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the embedded PostgreSQL and Redis. [default: .errata]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


class Failure(NamedTuple):
    """What a person is told, in one line, and the exit code for programs."""

    line: str
    code: int


def load(**options: object) -> Settings:
    """The settings, options before environment, in the environment of our children too.

    Raises SettingsError."""
    from infra.setting_values import as_text
    from infra.settings import SETTINGS, load_settings

    settings = load_settings(None, **options)
    for setting in SETTINGS:
        if options.get(setting.field) is not None:
            os.environ[setting.name] = as_text(options[setting.field])
    return settings


def start_logging(settings: Settings) -> None:
    """For commands that run servers: all lines of the level asked for."""
    from infra.logs import configure_logging

    configure_logging(settings)


@contextmanager
def services(data_dir: Path | None = None, *, quiet: bool = True) -> Iterator[Settings]:
    """Settings whose PostgreSQL and Redis exist: by their URLs, those that run on the data
    folder already, or ones of our own for the life of the block. Our own PostgreSQL is migrated.

    `quiet` leaves log lines out, unless ERRATA_DEBUG is set: a command has one answer.
    """
    import msgspec

    from infra.embedded import embedded_servers
    from infra.event_store.migrations import migrate

    settings = load(data_dir=data_dir)
    hushed = quiet and not os.environ.get("ERRATA_DEBUG")
    start_logging(msgspec.structs.replace(settings, log_level="critical") if hushed else settings)
    postgres, redis = settings.database_url is None, settings.redis_url is None
    if not (postgres or redis):
        yield settings
        return
    with embedded_servers(settings.data_dir, postgres=postgres, redis=redis) as found:
        if postgres:
            settings = msgspec.structs.replace(settings, database_url=found.database_url)
            os.environ["DATABASE_URL"] = found.database_url
            migrate(found.database_url, partition_events=settings.partition_events)
        if redis:
            settings = msgspec.structs.replace(settings, redis_url=found.redis_url)
            os.environ["REDIS_URL"] = found.redis_url
        yield settings


def say(text: str) -> None:
    """A line for people, on stderr: stdout holds only what programs want."""
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    """`value` as indented JSON on stdout."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows for people, on stdout. Ids stay whole, to be copied: where the terminal is too narrow
    for a table that has them, each row becomes a block, all that follows its id below that."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    width = sum(max(map(len, column)) + 2 for column in zip(columns, *texts, strict=True)) - 2
    named = next((n for n, column in enumerate(columns, 1) if column in _WHOLE), 0)
    if named and width > terminal_width():
        print_blocks(_as_block(columns, row, named) for row in texts)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in texts:
        table.add_row(*map(Text, row))
    Console(width=terminal_width()).print(table)


def _as_block(columns: Sequence[str], row: Sequence[str], named: int) -> tuple[str, list[str]]:
    """The first `named` cells of a row, and the rest with its titles."""
    told = [f"{title}: {cell}" for title, cell in zip(columns, row, strict=True) if cell]
    return "  ".join(row[:named]), [", ".join(told[named:])]


def print_blocks(blocks: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Things for people, on stdout: of each a line, and its details indented below. Words stay
    whole where they can; ids do."""
    from textwrap import wrap

    for line, details in blocks:
        click.echo(line)
        for detail in details:
            folded = wrap(detail, terminal_width() - 4, break_on_hyphens=False)
            click.echo("\n".join(f"    {one}" for one in folded))


def terminal_width() -> int:
    """Columns of the terminal; of a file, so many that hardly anything is folded."""
    from shutil import get_terminal_size

    return get_terminal_size().columns if sys.stdout.isatty() else _WIDE


def explain(error: Exception) -> Failure | None:
    """What an error means to a person; None for one that is a bug."""
    import psycopg
    from redis.exceptions import RedisError

    from domain.failures import DomainError, Unavailable
    from errata.folding import FolderEnded
    from errata.http_server import CannotListen
    from errata.instance import StartFailed
    from errata.verification import CannotVerify
    from infra.audit_check import NotProved
    from infra.embedded import EmbeddedError, FolderInUseError
    from infra.event_store.archive import ArchiveDamaged
    from infra.event_store.migrations import SchemaTooNew
    from infra.retention import RetentionBusy
    from infra.settings import SettingsError
    from projections.verification import MovedBack

    codes: Mapping[type[Exception], int] = {
        SettingsError: USAGE,
        FolderInUseError: TAKEN,
        EmbeddedError: AWAY,
        DomainError: REFUSED,
        Unavailable: AWAY,
        SchemaTooNew: REFUSED,
        ArchiveDamaged: REFUSED,
        NotProved: REFUSED,
        RetentionBusy: REFUSED,
        StartFailed: REFUSED,
        CannotVerify: REFUSED,
        MovedBack: REFUSED,
        FolderEnded: AWAY,
        psycopg.OperationalError: AWAY,
        psycopg.Error: REFUSED,
        RedisError: AWAY,
        OSError: REFUSED,
    }
    line = " ".join(str(error).split())
    if isinstance(error, CannotListen):
        return Failure(line, TAKEN if error.taken else REFUSED)
    if isinstance(error, psycopg.errors.UndefinedTable):
        return Failure("the database holds no Errata yet: run errata migrate", AWAY)
    for kind, code in codes.items():
        if isinstance(error, kind):
            return Failure(line, code)
    return None
