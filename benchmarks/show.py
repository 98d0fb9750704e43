"""Results for people (tables) and for programs (JSON files)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine
from benchmarks.result import Result, Row, figure

_FILE_WIDTH = 140
_COLUMNS = ("what", "measured", "unit")


class Saved(msgspec.Struct, frozen=True):
    """One JSON file: when and where it was measured, and what was found."""

    name: str
    measured_at: str
    quick: bool
    seconds: float
    machine: Machine
    result: Result


def wide_console() -> Console:
    """A console on which tables do not break, unless a terminal is too narrow for them."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_FILE_WIDTH)


def show_result(console: Console, name: str, result: Result, seconds: float) -> None:
    """The table of one benchmark."""
    table = _table(f"{name}: {result.title} ({seconds:.0f} s)", "goal", "note")
    for row in result.rows:
        table.add_row(*_measured(row), _goal(row), row.note)
    console.print(table)


def show_summary(console: Console, results: Mapping[str, Result]) -> None:
    """Every figure that has a goal, with the ceiling of the same run beside it."""
    table = _table("Goals", "goal", "ceiling of the same run")
    for name, result in results.items():
        for row in result.rows:
            if row.goal is not None:
                what, measured, unit = _measured(row)
                table.add_row(f"{name}: {what}", measured, unit, _goal(row), str(row.ceiling or ""))
    if table.row_count:
        console.print(table)


def save(folder: Path, saved: Saved) -> None:
    """Write one result to `<folder>/<name>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(saved), indent=2)
    (folder / f"{saved.name}.json").write_bytes(text + b"\n")


def _table(title: str, *more: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in (*_COLUMNS, *more):
        table.add_column(column, justify="right" if column == "measured" else "left")
    return table


def _measured(row: Row) -> tuple[str, str, str]:
    return (row.what, "-" if row.value is None else figure(row.value), row.unit)


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    met = row.value is not None and row.goal.met(row.value)
    return f"[green]{row.goal}[/]" if met else f"[red]{row.goal}: missed[/]"
