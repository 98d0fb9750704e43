"""`errata status`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from errata.commands.common import (
    AWAY,
    REFUSED,
    data_dir_option,
    json_option,
    print_json,
    print_table,
    services,
)

if TYPE_CHECKING:
    from errata.condition import Condition


@click.command()
@data_dir_option
@json_option
def status(data_dir: Path | None, as_json: bool) -> int:
    """Show the log's head, where each read model and alerting stand, the services and who is
    alive.

    Exit code 3 when PostgreSQL or Redis is away, 1 when a read model has stopped at an event.

    \b
    Examples:
      errata status
      errata status --json | jq '.read_models[] | select(.state != "up to date")'
    """
    from errata.condition import look

    with services(data_dir) as settings:
        condition = look(settings)
    if as_json:
        print_json(condition)
    else:
        _print(condition)
    if condition.away:
        return AWAY
    return REFUSED if condition.stands_still else 0


def _print(condition: Condition) -> None:
    services_line = ", ".join(f"{name} {state}" for name, state in condition.services.items())
    click.echo(f"Services   {services_line}")
    for reason in condition.reasons:
        click.echo(f"           {reason}")
    recorded = (
        f", recorded {condition.recorded_at:%Y-%m-%d %H:%M:%S}" if condition.recorded_at else ""
    )
    click.echo(f"Log head   {'unknown' if condition.head is None else condition.head}{recorded}")
    click.echo(f"Processes  {_processes(condition)}")
    click.echo(f"Alerting   {_alerting(condition)}\n")
    rows = [
        (
            *(f"{model.name}.v{model.version}", model.position, model.lag_events),
            "" if model.lag_seconds is None else f"{model.lag_seconds:.1f} s",
            model.state,
        )
        for model in condition.read_models
    ]
    print_table(("Read model", "Position", "Behind", "Lag", "State"), rows)
    for model in condition.read_models:
        if model.stopped:
            stopped = model.stopped
            click.echo(
                f"{stopped.name} stopped at position {stopped.position}"
                f" (event {stopped.event_id}): {stopped.reason}"
            )


def _alerting(condition: Condition) -> str:
    known = condition.alerting
    if known is None:
        return "unknown"
    waiting = known.notifications_waiting
    shown = (
        f"at position {known.position}, {known.lag_events} behind, "
        f"{waiting} {'notification' if waiting == 1 else 'notifications'} waiting"
    )
    return f"{shown}; stands still: {known.problem}" if known.problem else shown


def _processes(condition: Condition) -> str:
    if condition.processes is None:
        return "unknown"
    named = (f"{process.part} {process.pid} on {process.host}" for process in condition.processes)
    return ", ".join(named) or "none"
