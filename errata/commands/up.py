"""The commands that run servers: up, api, worker, scheduler."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from errata.commands.common import data_dir_option, load, services, start_logging

host_option = click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
port_option = click.option(
    "--port", type=click.IntRange(1, 65_535), help="TCP port of the API. [default: 8080]"
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="API server processes. [default: number of CPUs, at most 2]",
)


@click.command()
@port_option
@host_option
@data_dir_option
@workers_option
def up(port: int | None, host: str | None, data_dir: Path | None, workers: int | None) -> None:
    """Run a whole instance: API, worker, scheduler, and PostgreSQL and Redis where no URL is set.

    Ctrl-C or SIGTERM stops everything in order; what was accepted is kept. One instance a folder.

    \b
    Examples:
      errata up
      errata up --port 9000 --data-dir /var/lib/errata
      DATABASE_URL=postgresql://db/errata REDIS_URL=redis://cache errata up --workers 4
    """
    from errata.greeting import greet
    from errata.instance import run

    settings = load(port=port, host=host, data_dir=data_dir, api_workers=workers)
    start_logging(settings)
    run(settings, greet)


@click.command()
@port_option
@host_option
@data_dir_option
@workers_option
def api(port: int | None, host: str | None, data_dir: Path | None, workers: int | None) -> None:
    """Run only the API. Any number may run, on any number of hosts.

    \b
    Example:
      DATABASE_URL=postgresql://db/errata REDIS_URL=redis://cache errata api --host 0.0.0.0
    """
    from errata.instance import run_api

    load(port=port, host=host, api_workers=workers)
    with services(data_dir, quiet=False) as settings:
        run_api(settings)


@click.command()
@data_dir_option
def worker(data_dir: Path | None) -> None:
    """Run only a worker, which keeps the read models up to date. Standbys take over.

    \b
    Example:
      DATABASE_URL=postgresql://db/errata REDIS_URL=redis://cache errata worker
    """
    from errata.children import STOP_SIGNALS
    from errata.instance import work

    with services(data_dir, quiet=False) as settings:
        work(settings, STOP_SIGNALS)


@click.command()
@data_dir_option
def scheduler(data_dir: Path | None) -> None:
    """Run only a scheduler, which does what is due from time to time. Standbys take over.

    \b
    Example:
      DATABASE_URL=postgresql://db/errata REDIS_URL=redis://cache errata scheduler
    """
    from errata.children import STOP_SIGNALS
    from errata.instance import schedule

    with services(data_dir, quiet=False) as settings:
        schedule(settings, STOP_SIGNALS)
