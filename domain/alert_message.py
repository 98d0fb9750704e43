"""What people are told of an alert: what, where, how many, since when, why, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain.alert import AlertFacts
from domain.notification import Message
from domain.times import rfc3339
from domain.vocabulary import ANY_APP, Severity

LISTED = 10
"""How many alerts a digest names."""

_SHORT = 120
"""Characters of an error's message in a title or a line."""


class Told(msgspec.Struct, frozen=True):
    """An alert in full, and in one line of a digest."""

    message: Message
    line: str


def triggered(facts: AlertFacts) -> Told:
    """What a trigger says."""
    subject = _subject(facts)
    head = "Still firing" if facts.reminder else "Alert"
    text = [
        f"{head}: {subject}",
        "",
        f"How many: {_how_many(facts)}",
        f"Since: {_time(facts.since)}",
        f"Where: {where(facts.app, facts.environment, facts.source)}",
        f"Why: {facts.explained} The condition is: {facts.condition}",
        f"At: {_time(facts.at)}",
    ]
    message = Message(
        kind="triggered",
        title=f"[{facts.severity}] {head}: {subject}",
        text="\n".join(text),
        link=link_to(facts.rule_id, facts.error_id),
        severity=facts.severity,
    )
    return Told(message, f"{_time(facts.at)} {head.lower()}: {subject}, {_how_many(facts)}")


def recovered(last: AlertFacts, since: datetime, at: datetime, triggers: int, reason: str) -> Told:
    """What a recovery says. `last` are the facts of the last trigger, `since` when it began to
    fire, and `triggers` how often it triggered meanwhile."""
    subject = _subject(last)
    text = [
        f"Recovered: {subject}",
        "",
        f"It fired for {_length(at - since)}, since {_time(since)}, and triggered"
        f" {'once' if triggers == 1 else f'{triggers} times'}.",
        f"Where: {where(last.app, last.environment, last.source)}",
        f"Why: {reason}. The condition is: {last.condition}",
        f"At: {_time(at)}",
    ]
    message = Message(
        kind="recovered",
        title=f"Recovered: {subject}",
        text="\n".join(text),
        link=link_to(last.rule_id, last.error_id),
        severity=last.severity,
    )
    return Told(message, f"{_time(at)} recovered: {subject}, after {_length(at - since)}")


def digest(
    rule_name: str, lines: Sequence[str], count: int, link: str, severity: Severity
) -> Message:
    """Several alerts of one rule in one message: the first of them, and how many more."""
    listed = lines[:LISTED]
    rest = count - len(listed)
    text = [f"{count} alerts of the rule {rule_name} since its last message:", "", *listed]
    if rest > 0:
        text.append(f"and {rest} more")
    title = f"[{severity}] {rule_name}: {count} alerts"
    return Message(kind="digest", title=title, text="\n".join(text), link=link, severity=severity)


def link_to(rule_id: UUID, error_id: UUID | None = None) -> str:
    """Where to look: at the error, or at what became of the rule's alerts."""
    if error_id is not None:
        return f"/api/errors/{error_id}"
    return f"/api/alerts/rules/{rule_id}/history"


def where(app: str, environment: str | None, source: str | None) -> str:
    """The place in words."""
    parts = ["all applications" if app == ANY_APP else f"application {app}"]
    if environment is not None:
        parts.append(f"environment {environment}")
    if source is not None:
        parts.append(f"source {source}")
    return ", ".join(parts)


def _subject(facts: AlertFacts) -> str:
    if facts.error_message is None:
        return facts.rule_name
    words = " ".join(facts.error_message.split())
    return f"{facts.rule_name}: {words if len(words) <= _SHORT else words[: _SHORT - 1] + '…'}"


def _how_many(facts: AlertFacts) -> str:
    least = "at least " if facts.at_least else ""
    values = " and ".join(str(value) for value in facts.values)
    return f"{least}{values} within {facts.window} (threshold {facts.threshold})"


def _time(moment: datetime) -> str:
    return rfc3339(moment.replace(microsecond=0))


def _length(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    parts = [(seconds // 86_400, "d"), (seconds // 3_600 % 24, "h"), (seconds // 60 % 60, "m")]
    shown = [f"{amount}{unit}" for amount, unit in parts if amount]
    return " ".join(shown) or f"{seconds}s"
