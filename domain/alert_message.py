"""What people are told of an alert: what, where, how many, since when, why, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain.alert import AlertFacts, Measured
from domain.condition import Condition, amount, explain
from domain.notification import Message
from domain.rule_settings import RuleSettings, condition_of
from domain.times import rfc3339
from domain.vocabulary import ANY_APP

LISTED = 10
"""How many alerts a digest names, and how many messages one that sums up others."""

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
        f"How many: {how_many(facts)}",
        *_since(facts),
        f"Where: {where(facts)}",
        *_latest(facts),
        _why(facts.explained, facts.condition),
        f"At: {_time(facts.at)}",
    ]
    message = Message(
        kind="triggered",
        title=f"[{facts.severity}] {head}: {subject}",
        text="\n".join(text),
        link=link_to(facts.rule_id, facts.error_id),
        severity=facts.severity,
    )
    parts = [head.lower() + _of_error(facts), how_many(facts), *_services(facts), *_spot(facts)]
    return Told(message, f"{_time(facts.at)} {', '.join(parts)}")


def recovered(last: AlertFacts, since: datetime, at: datetime, triggers: int, reason: str) -> Told:
    """What a recovery says. `last` are the facts of the last trigger, `since` when it began to
    fire, and `triggers` how often it triggered meanwhile."""
    subject = _subject(last)
    text = [
        f"Recovered: {subject}",
        "",
        f"It fired for {_length(at - since)}, since {_time(since)}, and triggered"
        f" {'once' if triggers == 1 else f'{triggers} times'}.",
        f"Where: {where(last)}",
        _why(f"{reason}.", last.condition),
        f"At: {_time(at)}",
    ]
    message = Message(
        kind="recovered",
        title=f"Recovered: {subject}",
        text="\n".join(text),
        link=link_to(last.rule_id, last.error_id),
        severity=last.severity,
    )
    return Told(message, f"{_time(at)} recovered{_of_error(last)}, after {_length(at - since)}")


def digest(
    rule_id: UUID, settings: RuleSettings, lines: Sequence[str], count: int, since: datetime
) -> Message:
    """Several alerts of one rule in one message: the first of them, which was at `since`, and how
    many more. A line says of its alert what the others need not share."""
    listed = lines[:LISTED]
    rest = count - len(listed)
    condition = condition_of(settings)
    text = [
        f"{count} alerts of the rule {settings.name}",
        "",
        f"Since: {_time(since)}",
        f"Where: {_services_alone(condition) or _app(settings.app)}",
        _why(explain(condition), settings.condition),
        "",
        *listed,
    ]
    if rest > 0:
        text.append(f"and {rest} more")
    return Message(
        kind="digest",
        title=f"[{settings.severity}] {settings.name}: {count} alerts",
        text="\n".join(text),
        link=link_to(rule_id),
        severity=settings.severity,
    )


def summed_up(
    rule_id: UUID, earlier: Sequence[tuple[datetime, Message]], newest: Message, count: int
) -> Message:
    """Messages of one rule that could not be sent in time, oldest first, as one: the newest in
    full, for it says how things stand, then the titles of those before it, newest first. `count`
    is how many alerts all of them tell of."""
    many = "1 message" if len(earlier) == 1 else f"{len(earlier)} messages"
    text = [
        newest.text,
        "",
        f"Before that, since {_time(earlier[0][0])}, {many} could not be sent in time. With this"
        f" one they tell of {count} alerts:",
        "",
        *(f"{_time(at)} {message.title}" for at, message in reversed(earlier[-LISTED:])),
    ]
    rest = len(earlier) - LISTED
    if rest > 0:
        text.append(f"and {rest} more before")
    return Message(
        kind="digest",
        title=f"{newest.title} (and {many} before)",
        text="\n".join(text),
        link=link_to(rule_id),
        severity=newest.severity,
    )


def link_to(rule_id: UUID, error_id: UUID | None = None) -> str:
    """Where to look: at the error, or at what became of the rule's alerts."""
    if error_id is not None:
        return f"/api/errors/{error_id}"
    return f"/api/alerts/rules/{rule_id}/history"


def how_many(facts: AlertFacts) -> str:
    """What was counted, comparison by comparison."""
    return " and ".join(map(_measured, facts.measured))


def where(facts: AlertFacts) -> str:
    """The place in words: which services are down, or where the newest of what counted came from.
    Services belong to no application."""
    services = _services(facts)
    if facts.measured and all(one.metric == "service_down" for one in facts.measured):
        return ", ".join(services) or "no service"
    return ", ".join([*services, _app(facts.app), *_spot(facts)])


def _measured(one: Measured) -> str:
    least = "at least " if one.at_least else ""
    asked = f"({one.operator} {one.threshold})"
    return f"{least}{amount(one.metric, one.value)} within {one.window} {asked}"


def _app(app: str) -> str:
    return "all applications" if app == ANY_APP else f"application {app}"


def _services_alone(condition: Condition) -> str:
    services = all(one.metric == "service_down" for one in condition.comparisons)
    return "the services that are watched" if services else ""


def _services(facts: AlertFacts) -> list[str]:
    """The services in words, where there are any."""
    if not facts.services:
        return []
    down = max(one.value for one in facts.measured if one.metric == "service_down")
    more = f" and {down - len(facts.services)} more" if down > len(facts.services) else ""
    return [f"service{'' if down == 1 else 's'} {', '.join(facts.services)}{more}"]


def _spot(facts: AlertFacts) -> list[str]:
    """The place within an application, as much of it as is known."""
    named = (("environment", facts.environment), ("source", facts.source))
    known = [f"{name} {value}" for name, value in named if value is not None]
    return [*known, "and others"] if facts.elsewhere else known


def _since(facts: AlertFacts) -> list[str]:
    """A reminder's window may hold little of what made it fire, so it tells both times."""
    if facts.reminder and facts.firing_since is not None:
        times = (("Firing since", facts.firing_since), ("Counted since", facts.since))
        return [f"{name}: {_time(at)}" for name, at in times]
    return [f"Since: {_time(facts.since)}"]


def _latest(facts: AlertFacts) -> list[str]:
    if facts.latest_error_id is None:
        return []
    message = "" if facts.latest_message is None else f"{_short(facts.latest_message)} "
    return [f"Latest: {message}({link_to(facts.rule_id, facts.latest_error_id)})"]


def _why(explained: str, condition: str) -> str:
    return f"Why: {explained} The condition is: {condition}"


def _subject(facts: AlertFacts) -> str:
    return f"{facts.rule_name}{_of_error(facts)}"


def _of_error(facts: AlertFacts) -> str:
    return "" if facts.error_message is None else f": {_short(facts.error_message)}"


def _short(message: str) -> str:
    words = " ".join(message.split())
    return words if len(words) <= _SHORT else words[: _SHORT - 1] + "…"


def _time(moment: datetime) -> str:
    return rfc3339(moment.replace(microsecond=0))


def _length(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    parts = [(seconds // 86_400, "d"), (seconds // 3_600 % 24, "h"), (seconds // 60 % 60, "m")]
    shown = [f"{amount}{unit}" for amount, unit in parts if amount]
    return " ".join(shown) or f"{seconds}s"
