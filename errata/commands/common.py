"""What the commands share: settings from options, services to work on, answers and failures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
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
    """Rows for people, on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    width = None if sys.stdout.isatty() else 200  # not a terminal: do not fold at 80
    Console(width=width).print(table)


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
