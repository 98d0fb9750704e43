"""What counts for a comparison, as one would ask it of each event of the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.condition import Comparison
from domain.error_group import ErrorRegressed, ErrorReported, ErrorResolved, group_id
from domain.message import Recorded


def counts(
    one: Recorded[Any], log: Sequence[Recorded[Any]], comparison: Comparison, app: str
) -> bool:
    """Whether an entry counts for a comparison of a rule on `app`."""
    event = one.event
    wanted = {
        "new_errors": ErrorReported,
        "regressions": ErrorRegressed,
        "resolved_count": ErrorResolved,
    }.get(comparison.metric, ErrorReported)
    if not isinstance(event, wanted) or getattr(event, "muted", False):
        return False
    if comparison.metric == "new_errors" and event.count != 1:
        return False
    said = report_of(one, log)
    level = {"critical_count": "error", "warning_count": "warning"}.get(comparison.metric)
    if level is not None and said.level != level:
        return False
    if app not in ("*", event.app):
        return False
    for asked in comparison.where:
        if asked.field == "message":
            passes = all(text in said.message for text in asked.values)
        elif asked.field == "fingerprint":
            passes = one.stream_id in {group_id(event.app, text) for text in asked.values}
        elif asked.field == "app":
            passes = event.app in asked.values
        else:
            passes = getattr(said, asked.field) in asked.values
        if not passes:
            return False
    return True


def report_of(one: Recorded[Any], log: Sequence[Recorded[Any]]) -> Any:
    """The occurrence that an event is about: its own, or the error's last one before it."""
    if isinstance(one.event, ErrorReported):
        return one.event.occurrence
    reports = [
        other.event.occurrence
        for other in log
        if other.stream_id == one.stream_id
        and other.position < one.position
        and isinstance(other.event, ErrorReported)
    ]
    return reports[-1]


def matters(one: Recorded[Any]) -> bool:
    return isinstance(one.event, ErrorReported | ErrorRegressed | ErrorResolved)
