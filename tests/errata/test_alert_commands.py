"""What `errata alerts preview` shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.routes.trials import preview_body
from api.trial_ports import Outcome, Preview
from errata.commands.alerts import _show_preview
from errata.trials import _steps_of
from projections.alerting.replay import GivenRule, Replay
from tests.projections.alerting.logs import START, Log, at


def shown(
    capsys: Any, condition: str, *, stored: bool = False, changed: bool = True, **wish: Any
) -> str:
    """What is shown of a rule over a time in which 40 reports came of one error, after a while."""
    log = Log()
    rule = GivenRule(rule_id=log.create(condition, **wish), settings=log.events[0].event.settings)
    log.after(100).report(times=40, message="no route to db")
    replay = Replay([rule], START, at(900), every=timedelta(minutes=1))
    replay.take(log.events)
    replayed = replay.finish()
    steps = _steps_of(rule.rule_id, replayed.actions)
    outcome = Outcome(settings=rule.settings, steps=steps, series=replayed.series[rule.rule_id])
    found = Preview(
        since=START,
        until=at(900),
        first=1,
        last=len(log.events),
        wished=outcome,
        stored=outcome if stored else None,
    )
    _show_preview(preview_body(found), changed=changed)
    return str(capsys.readouterr().out)


def test_a_recovery_is_told_with_the_error_s_message(capsys: Any) -> None:
    lines = shown(capsys, "error_count > 30 in 1m per error").splitlines()
    [line] = [one for one in lines if "recovered " in one]
    assert line.rstrip().endswith("no route to db")


def test_a_value_that_was_capped_is_at_least_so_much(capsys: Any) -> None:
    text = shown(capsys, "error_count > 10 in 5m per error", cooldown="1m")
    assert "≥20 │" in text
    assert "at least 20 against 10 (reminder) no route to db" in text


@pytest.mark.parametrize("changed", [True, False])
def test_a_stored_rule_that_is_tried_as_it_is_is_shown_once(capsys: Any, changed: bool) -> None:
    text = shown(capsys, "error_count > 30 in 1m", stored=True, changed=changed)
    assert text.count("Cooldown 1m") == (2 if changed else 1)
