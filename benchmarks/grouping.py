"""How well and how fast messages are grouped: ``python -m benchmarks.grouping FOLDER``.

FOLDER holds one CSV a system, with the columns ``template`` (the true group) and ``message``.

Grouping accuracy is that of Loghub (Zhu et al., "Tools and Benchmarks for Automated Log Parsing",
ICSE-SEIP 2019): the share of messages whose predicted group holds exactly the messages of their
template. Times are microseconds a message: "warm" as a running server sees it, "cold" with
every remembered word forgotten before each message.
"""

import argparse
import csv
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from domain import fingerprint, normalise, stack_trace

PASSES = 5
TRACE = "\n".join(
    [
        "TypeError: Cannot read properties of undefined (reading 'total')",
        *(f"    at Basket.step{n} (/srv/shop/src/basket{n}.js:{n + 10}:7)" for n in range(10)),
    ]
)


class Line(msgspec.Struct, frozen=True):
    """A message and the template a person gave it."""

    template: str
    message: str


class Result(msgspec.Struct, frozen=True):
    """What was measured on one system."""

    system: str
    lines: int
    accuracy: float
    warm_us: float
    cold_us: float


def main() -> None:
    """Measure every system of the folder and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grouping", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of CSV files: template,message")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--explain", metavar="SYSTEM", help="print the templates not found")
    asked = parser.parse_args()
    files = sorted(asked.folder.glob("*.csv"))
    if not files:
        sys.exit(f"No CSV files to measure in {asked.folder}: no such folder, or it is empty.")
    systems = {file.stem: read_lines(file) for file in files}
    if asked.explain:
        if asked.explain not in systems:
            sys.exit(f"No system {asked.explain}; there are {', '.join(systems)}.")
        explain(systems[asked.explain])
        return
    results = [measure(system, lines) for system, lines in systems.items()]
    report = report_microseconds()
    show(results, report)
    if asked.json:
        asked.json.write_text(json.dumps(as_json(results, report), indent=2) + "\n")


def read_lines(file: Path) -> list[Line]:
    """The labelled messages of one system; ends the program where a column is missing."""
    with file.open(newline="", encoding="utf-8") as source:
        try:
            return [Line(row["template"], row["message"]) for row in csv.DictReader(source)]
        except KeyError as missing:
            sys.exit(f"{file.name} has no column {missing}.")


def accuracy(lines: list[Line]) -> float:
    """Share of lines whose predicted group holds exactly the lines of their template."""
    true: defaultdict[str, set[int]] = defaultdict(set)
    predicted: defaultdict[str, set[int]] = defaultdict(set)
    for number, line in enumerate(lines):
        true[line.template].add(number)
        predicted[normalise.normalise(line.message)].add(number)
    groups = {frozenset(group) for group in predicted.values()}
    return sum(len(group) for group in true.values() if frozenset(group) in groups) / len(lines)


def measure(system: str, lines: list[Line]) -> Result:
    """Accuracy of one system, and the median times of several passes over it."""
    messages = [line.message for line in lines]
    return Result(
        system=system,
        lines=len(lines),
        accuracy=accuracy(lines),
        warm_us=statistics.median(warm_pass(messages) for _ in range(PASSES)),
        cold_us=statistics.median(cold_pass(messages) for _ in range(PASSES)),
    )


def warm_pass(messages: list[str]) -> float:
    """Microseconds a message, words remembered from message to message."""
    begin = time.perf_counter()
    for message in messages:
        normalise.normalise(message)
    return (time.perf_counter() - begin) / len(messages) * 1e6


def cold_pass(messages: list[str]) -> float:
    """Microseconds a message when no word was ever seen before."""
    taken = 0.0
    for message in messages:
        normalise.forget()
        begin = time.perf_counter()
        normalise.normalise(message)
        taken += time.perf_counter() - begin
    return taken / len(messages) * 1e6


def report_microseconds() -> dict[str, float]:
    """Microseconds for all of ``group_report``, a message and a stack trace of ten frames."""
    return {
        "warm": statistics.median(one_report(number) for number in range(3_000)),
        "cold": statistics.median(one_report(number, cold=True) for number in range(1_000)),
    }


def one_report(number: int, cold: bool = False) -> float:
    """Microseconds for a report whose numbers were never seen before; cold: nothing was."""
    if cold:
        for module in (fingerprint, stack_trace, normalise):
            module.forget()
    message = f"Order {number} of customer {number * 7} has no total after {number}ms"
    begin = time.perf_counter()
    fingerprint.group_report(message, TRACE)
    return (time.perf_counter() - begin) * 1e6


def show(results: list[Result], report: dict[str, float]) -> None:
    """Print the figures as a table."""
    table = Table(title="Grouping accuracy, and microseconds a message")
    table.add_column("system")
    for heading in ("lines", "accuracy", "warm us", "cold us"):
        table.add_column(heading, justify="right")
    for one in [*results, mean(results)]:
        if one.system == "mean":
            table.add_section()
        figures = (f"{one.accuracy:.4f}", f"{one.warm_us:.1f}", f"{one.cold_us:.1f}")
        table.add_row(one.system, str(one.lines), *figures)
    console = Console()
    console.print(table)
    console.print(
        f"A whole report, 10 frames: {report['warm']:.1f} us warm, {report['cold']:.1f} us cold."
    )


def mean(results: list[Result]) -> Result:
    """The mean over systems, each counting the same."""
    return Result(
        system="mean",
        lines=sum(one.lines for one in results),
        accuracy=statistics.mean(one.accuracy for one in results),
        warm_us=statistics.mean(one.warm_us for one in results),
        cold_us=statistics.mean(one.cold_us for one in results),
    )


def as_json(results: list[Result], report: dict[str, float]) -> dict[str, object]:
    """The figures for a machine."""
    return {
        "grouping_version": fingerprint.GROUPING_VERSION,
        "systems": [msgspec.to_builtins(one) for one in results],
        "mean": msgspec.to_builtins(mean(results)),
        "report_us": report,
    }


def explain(lines: list[Line]) -> None:
    """Print the templates that are not one group, the largest first, and what they became."""
    texts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    templates: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        text = normalise.normalise(line.message)
        texts[line.template][text] += 1
        templates[text][line.template] += 1
    for template, became in sorted(texts.items(), key=lambda item: -item[1].total()):
        others = {other for text in became for other in templates[text]} - {template}
        if len(became) == 1 and not others:
            continue
        shared = f", shared with {', '.join(sorted(others))}" if others else ""
        print(f"{template}: {became.total()} lines in {len(became)} groups{shared}")
        for text, count in became.most_common(5):
            print(f"  {count:5}  {text[:160]}")


if __name__ == "__main__":
    main()
