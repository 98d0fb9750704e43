"""Measure Errata: `python -m benchmarks [NAME ...] [--quick] [--json FOLDER] [--list]`.

Each benchmark starts what it needs on a throw-away folder and stops it. Figures of a shared
machine are noisy: compare those of one run, and look at the ceilings beside them.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Protocol, cast

from rich.console import Console

from benchmarks import machine
from benchmarks.result import Options, Result
from benchmarks.show import Saved, save, show_result, show_summary, wide_console

NAMES = (
    "startup",
    "commit",
    "reports",
    "ingest",
    "visible",
    "lists",
    "dashboard",
    "rebuild",
    "refill",
    "export",
    "alerting",
)
RESULTS = Path(__file__).parent / "results"


class Benchmark(Protocol):
    """What a module of a benchmark offers."""

    def run(self, options: Options) -> Result:
        """Measure, and clean up."""
        ...


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all benchmarks, or those named, and show what they found."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    unknown = sorted({*asked.names} - {*NAMES})
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    signal.signal(signal.SIGTERM, _end)
    console = wide_console()
    if asked.list:
        _list(console)
        return
    options = Options(quick=asked.quick, data=asked.data)
    measured_on = machine.look(options)
    console.print(str(measured_on))
    results: dict[str, Result] = {}
    for name in asked.names or NAMES:
        begun = time.monotonic()
        results[name] = _benchmark(name).run(options)
        seconds = time.monotonic() - begun
        show_result(console, name, results[name], seconds)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        saved = Saved(name, now, asked.quick, seconds, measured_on, results[name])
        save(asked.json, saved)
    show_summary(console, results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="a fraction of the load and time")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument(
        "--json", type=Path, default=RESULTS, metavar="FOLDER", help=f"default: {RESULTS.name}"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where throw-away data goes; needs a real disk"
    )
    return parser


def _end(number: int, frame: FrameType | None) -> None:
    # An exception, so that what was started is stopped, and throw-away folders go.
    sys.exit(128 + number)


def _list(console: Console) -> None:
    for name in NAMES:
        first_line = (_module(name).__doc__ or "").partition("\n")[0]
        console.print(f"{name:9} {first_line}")
    console.print(
        "\nBy themselves: python -m benchmarks.grouping, python -m benchmarks.read_models"
    )


def _module(name: str) -> object:
    return import_module(f"benchmarks.{name}")


def _benchmark(name: str) -> Benchmark:
    return cast("Benchmark", _module(name))
