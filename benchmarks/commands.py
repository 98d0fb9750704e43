"""Reports as commands, for what goes into the log without the API: of a running number, too."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from api.intake import Sender, read_report, to_command
from benchmarks.traffic import (
    COMMON_WORDS,
    ENVIRONMENTS,
    GROUPS,
    KNOWN_WORDS,
    LEVELS,
    PARTS,
    SOURCES,
    report_body,
    trace,
    word,
)
from domain.error_group import ReportError
from domain.message import Context
from domain.occurrence import GroupingRecord, Occurrence
from domain.scrubbing import Scrubber
from infra.clock import utc_now

CALLER = Context("key:benchmark", "request", "command")


def report_command(number: int) -> ReportError:
    """What the API makes of `report_body(number)`; its context is that of the group's first."""
    command = _first_of(number % GROUPS)
    message = f"{command.occurrence.message}, asked for {number}"
    occurrence = msgspec.structs.replace(command.occurrence, message=message, timestamp=utc_now())
    return msgspec.structs.replace(command, occurrence=occurrence)


@lru_cache(maxsize=GROUPS)
def _first_of(group: int) -> ReportError:
    report = read_report(report_body(group))
    return to_command(report, "default", Sender(), Scrubber(), utc_now())


def group_command(number: int) -> ReportError:
    """The only report of error `number` of very many, with what lists filter and words find.

    Not by way of a body: a hundred thousand messages that differ in more than numbers are made
    up faster than they are grouped.
    """
    fingerprint = f"{number:032x}"
    words = (
        *("database", "connection", "failed", word("step", number, KNOWN_WORDS)),
        *(word("word", number * 7 + n, COMMON_WORDS) for n in range(8)),
    )
    parts = ("1", "TimeoutError", fingerprint)
    return ReportError(
        app="default",
        fingerprint=fingerprint,
        grouping=GroupingRecord(1, parts, ("a type", "a message"), "TimeoutError", words),
        occurrence=Occurrence(
            message=f"Database connection {words[3]} failed after {number} ms",
            level=LEVELS[number % len(LEVELS)],
            source=SOURCES[number // 7 % len(SOURCES)],
            environment=ENVIRONMENTS[number // 42 % len(ENVIRONMENTS)],
            timestamp=utc_now(),
            stack_trace=trace(PARTS[number % len(PARTS)]),
            context=msgspec.Raw(b'{"user_id":"12345","request_id":"req-789","retries":3}'),
            url="https://shop.example.com/orders",
            user_agent="Mozilla/5.0 (X11; Linux x86_64)",
            ip_address="192.0.2.7",
        ),
    )
