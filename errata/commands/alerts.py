"""`errata alerts`: rules tried on the past, and explained."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import rich_click as click

from errata.commands.common import (
    data_dir_option,
    json_option,
    print_json,
    print_table,
    say,
    services,
)
from errata.commands.moments import MOMENT

if TYPE_CHECKING:
    from api.alert_schemas import MeasuredBody
    from api.trial_schemas import ExplanationBody, OutcomeBody, PreviewBody, StepBody
    from infra.settings import Settings

_KINDS = {
    "triggered": "triggered",
    "recovered": "recovered",
    "incident_opened": "incident opened",
    "incident_resolved": "incident resolved",
    "notification": "message",
}
_SHOWN = 40
_TEXT = 90


@click.group()
def alerts() -> None:
    """See what alert rules would have done, and why they did what they did.

    \b
    Examples:
      errata alerts preview "error_count > 50 in 5 minutes" --since 7d
      errata alerts explain 0c5a4d5e-6a0f-4b7e-9d57-3f6f1f9b7c21
    """


@alerts.command()
@click.argument("condition", required=False)
@click.option("--rule", "rule_id", type=click.UUID, help="A stored rule to try beside it.")
@click.option("--threshold", type=float, help="What `threshold` in the condition stands for.")
@click.option("--window", "time_window", help="What `time_window` stands for, such as 5m.")
@click.option("--cooldown", help="How long to stay silent after an alert. [default: the window]")
@click.option("--notify", multiple=True, metavar="CHANNEL", help="Whom it would tell; repeatable.")
@click.option("--app", help="The application; * for all. [default: default]")
@click.option("--since", type=MOMENT, default="24h", show_default=True, help="A time, or 7d ago.")
@click.option("--until", type=MOMENT, default="now", show_default=True, help="A time.")
@data_dir_option
@json_option
def preview(
    condition: str | None,
    rule_id: UUID | None,
    since: int | datetime,
    until: int | datetime,
    data_dir: Path | None,
    as_json: bool,
    **wished: Any,
) -> None:
    """Show what a rule would have done over a period of the log.

    The engine that decides live goes through the log: cooldown, digests and recoveries are as they
    would have been. Nothing is sent and nothing is stored.

    \b
    Examples:
      errata alerts preview "error_count > 50 in 5 minutes"
      errata alerts preview "new_errors > 0 in 1h where environment = production" --since 7d
      errata alerts preview --rule 0c5a4d5e-6a0f-4b7e-9d57-3f6f1f9b7c21 --threshold 20
    """
    if condition is None and rule_id is None:
        raise click.UsageError("Give a condition, or --rule with a stored rule.")
    for name, moment in (("--since", since), ("--until", until)):
        if not isinstance(moment, datetime):
            raise click.UsageError(f"{name} takes a time, or how long ago.")
    fields = _fields(condition, **wished)
    with services(data_dir) as settings:
        found = _previewed(settings, fields, rule_id, (since, until))
    if as_json:
        print_json(found)
        return
    _show_preview(found, changed=bool(fields))


@alerts.command()
@click.argument("rule_id", metavar="RULE", type=click.UUID)
@click.option("--at", type=MOMENT, help="A time, how long ago, or a position. [default: now]")
@click.option("--error", "error_id", type=click.UUID, help="The error, for a rule on each.")
@data_dir_option
@json_option
def explain(
    rule_id: UUID,
    at: int | datetime | None,
    error_id: UUID | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Say why a rule is true or false, now or at a moment.

    \b
    Examples:
      errata alerts explain 0c5a4d5e-6a0f-4b7e-9d57-3f6f1f9b7c21
      errata alerts explain 0c5a4d5e-6a0f-4b7e-9d57-3f6f1f9b7c21 --at 2h --json
    """
    from api.routes.trials import explanation_body
    from errata.trials import Trials

    with services(data_dir) as settings:
        trials = Trials(settings)
        found = explanation_body(
            trials.blocking(lambda past: trials.explain_in(past, rule_id, at, error_id))
        )
    if as_json:
        print_json(found)
        return
    _show_explanation(found)


def _fields(condition: str | None, notify: tuple[str, ...], **wished: Any) -> dict[str, Any]:
    """What was given of a rule, by its field."""
    fields = {"condition": condition, "notifications": notify or None, **wished}
    return {name: value for name, value in fields.items() if value is not None}


def _previewed(
    settings: Settings, fields: dict[str, Any], rule_id: UUID | None, period: tuple[Any, Any]
) -> PreviewBody:
    from api.routes.trials import preview_body
    from domain.rule_settings import RuleWish
    from errata.trials import Trials

    named = {} if rule_id else {"name": "Preview"}
    wish = RuleWish(**(named | fields))
    trials = Trials(settings)
    found = trials.blocking(lambda past: trials.preview_in(past, wish, rule_id, *period))
    return preview_body(found)


def _show_preview(found: PreviewBody, *, changed: bool) -> None:
    say(f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC, {_events(found)}")
    if found.stored is None:
        _show_outcome(found.preview, found.preview.condition)
        return
    _show_outcome(found.stored, "The stored rule")
    if changed:
        _show_outcome(found.preview, "The rule as you would have it")


def _show_outcome(outcome: OutcomeBody, title: str) -> None:
    from rich.console import Console

    from errata.commands.chart import chart, time_axis

    triggers = [one for one in outcome.steps if one.kind == "triggered"]
    starts = [bucket.at for bucket in outcome.series]
    marked = {sum(start <= one.at for start in starts) - 1 for one in triggers}
    values = [bucket.value for bucket in outcome.series]
    highest = max((one for one in values if one is not None), default=0)
    capped = any(one.at_least and one.value == highest for one in outcome.series)
    width = min(Console().width, 120)
    click.echo(f"\n{title}: {outcome.condition_explained} Cooldown {outcome.cooldown}.\n")
    lines = chart(values, float(outcome.threshold), marked, capped=capped, width=width)
    ends = [f"{at:%m-%d %H:%M}" for at in (starts[0], starts[-1])]
    click.echo("\n".join([*lines, time_axis(lines, *ends)]))
    totals = outcome.totals
    click.echo(
        f"\n▲ {_many(totals.triggers, 'trigger')} ({_many(totals.reminders, 'reminder')}),"
        f" {_many(totals.recoveries, 'recovery', 'recoveries')},"
        f" {_many(totals.incidents, 'incident')}, {_many(totals.notifications, 'message')}"
    )
    messages = {one.error_id: one.triggered.error_message for one in triggers if one.triggered}
    rows = [
        (f"{one.at:%Y-%m-%d %H:%M:%S}", _KINDS[one.kind], _told(one, messages))
        for one in outcome.steps
    ]
    if rows:
        click.echo()
        print_table(("At", "What", "Which"), rows[:_SHOWN])
    left = len(rows) - _SHOWN + outcome.more
    if left > 0:
        say(f"... and {left:,} more: --json shows them.")


def _show_explanation(found: ExplanationBody) -> None:
    say(
        f"{found.at:%Y-%m-%d %H:%M:%S} UTC, position {found.position:,},"
        f" rule version {found.version}"
    )
    click.echo(f"{found.name}: {found.condition_explained}")
    explanation = found.explanation
    if explanation is None:
        click.echo("\nIt looks at each error (--error names one). Nearest to it are:\n")
        rows = [
            (one.error_id, ", ".join(map(str, one.values)), "yes" if one.firing else "")
            for one in found.errors
        ]
        print_table(("Error", "Value", "Fires"), rows)
        return
    click.echo(f"{explanation.words}\n")
    newest = [
        (
            f"{one.metric} {one.operator} {one.threshold} in {one.window}",
            one.value,
            "true" if one.holds else "false",
            f"{one.window_start:%Y-%m-%d %H:%M:%S}",
            ", ".join(map(str, one.positions[:8])) + (" ..." if one.counted > 8 else ""),
        )
        for one in explanation.comparisons
    ]
    print_table(("Asked", "Value", "Holds", "Window from", "Counted, newest first"), newest)
    states = (
        ("fires since", explanation.firing_since),
        ("last triggered", explanation.last_triggered),
        ("cools down until", explanation.cooldown_until),
        ("false since", explanation.false_since),
        ("recovers at", explanation.recovers_at),
    )
    known = [f"{name} {at:%Y-%m-%d %H:%M:%S}" for name, at in states if at is not None]
    silence = ["silenced"] if explanation.silenced else []
    click.echo(f"\n{'; '.join([*known, *silence]) or 'It does not fire.'}")


def _told(step: StepBody, messages: Mapping[UUID | None, str | None]) -> str:
    """A step in a line. `messages` are those of the errors that have triggered."""
    if step.triggered is not None:
        facts = step.triggered
        reminder = " (reminder)" if facts.reminder else ""
        about = f" {facts.error_message}" if facts.error_message else ""
        return _cut(f"{' and '.join(map(_measured, facts.measured))}{reminder}{about}")
    if step.notification is not None:
        return _cut(f"{step.notification.channel}: {step.notification.title}")
    return _cut(messages.get(step.error_id) or str(step.error_id or ""))


def _measured(one: MeasuredBody) -> str:
    return f"{'at least ' if one.at_least else ''}{one.value} against {one.threshold}"


def _events(found: PreviewBody) -> str:
    return f"{max(0, found.last_position - found.first_position + 1):,} events"


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 3]}..."
