"""The command line: `errata`. One file per command in errata/commands.

Nothing heavy is imported before a command runs, so that `errata --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import rich_click as click

from errata.commands.alerts import alerts
from errata.commands.app import app
from errata.commands.audit import audit
from errata.commands.common import REFUSED, USAGE, explain, say
from errata.commands.history import history
from errata.commands.import_ import import_lines
from errata.commands.key import key
from errata.commands.migrate import migrate
from errata.commands.past import as_of, diff
from errata.commands.rebuild import rebuild
from errata.commands.retention import retention
from errata.commands.settings import settings
from errata.commands.status import status
from errata.commands.up import api, scheduler, up, worker
from errata.commands.verify import verify

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="errata", prog_name="errata")
def cli() -> None:
    """Errata: an error tracker whose only truth is an append-only log.

    Without DATABASE_URL and REDIS_URL it runs a PostgreSQL and a Redis of its own in a data
    folder. Other commands on the same folder use those that run, or start them for their time.

    \b
    Examples:
      errata up
      errata status
      errata app register shop "Web shop"

    \b
    Exit codes:
      0  done
      1  refused or failed; the reason is on stderr
      2  wrong usage, or a setting that cannot be used
      3  PostgreSQL or Redis is away
      4  the port or the data folder is in use

    ERRATA_DEBUG=1 shows the traceback of a failure.
    """


for _command in (
    *(up, api, worker, scheduler, status, settings, app, key, migrate),
    *(import_lines, retention, history, audit),
    *(as_of, diff, verify, rebuild, alerts),
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Failures are one line on stderr."""
    try:
        code = cli.main(arguments, prog_name="errata", standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "errata"
        text = error.format_message()
        stop = "" if text.endswith((".", "?", "!")) else "."
        say(f"errata: {text}{stop} See {path} --help.")
        return USAGE
    except click.ClickException as error:
        say(f"errata: {error.format_message()}")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("errata: interrupted")
        return _INTERRUPTED
    except Exception as error:
        if os.environ.get("ERRATA_DEBUG"):
            raise
        return _failed(error)
    return code if isinstance(code, int) else 0


def _failed(error: Exception) -> int:
    failure = explain(error)
    if failure is not None:
        say(f"errata: {failure.line}")
        return failure.code
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    say(f"errata: this should not happen: {reason} (ERRATA_DEBUG=1 shows where)")
    return REFUSED
