"""Who is told, when, and of how much at once; silence and incidents, one fact each."""

from __future__ import annotations

from datetime import datetime

import pytest

from domain.alert import RecoverAlert, TriggerAlert
from domain.delivery import QueueNotification
from domain.error_group import group_id
from domain.incident import ChangeIncident, IncidentWish, OpenIncident
from projections.alerting import Alerting
from tests.projections.alerting.logs import Log, at
from tests.projections.alerting.test_meaning import acted


def told(log: Log, until: float = 10_000) -> list[QueueNotification]:
    return [c for one in acted(log, until) if isinstance(c := one.command, QueueNotification)]


def _line(queued: QueueNotification, name: str) -> str:
    """What a message says behind a name."""
    [line] = [one for one in queued.message.text.splitlines() if one.startswith(f"{name}: ")]
    return line.removeprefix(f"{name}: ")


def when(log: Log, until: float = 10_000) -> list[tuple[float, int]]:
    """When people were told, in seconds after the start, and of how many alerts."""
    return [((one.at - at(0)).total_seconds(), one.count) for one in told(log, until)]


def test_a_trigger_is_told_at_once_by_each_channel() -> None:
    log = Log()
    log.create("error_count > 0 in 1h", notifications=("email", "slack"))
    log.after(5).report()
    assert [(one.channel, one.at) for one in told(log, 10)] == [("email", at(5)), ("slack", at(5))]


def test_a_message_says_what_where_how_many_since_when_and_why() -> None:
    log = Log()
    rule_id = log.create(
        "error_count > 2 in 5m", name="Checkout fails", notifications=("email",), severity="high"
    )
    for _ in range(3):
        log.after(1).report()
    [one] = told(log, 10)
    assert one.message.title == "[high] Alert: Checkout fails"
    assert one.message.text.splitlines() == [
        "Alert: Checkout fails",
        "",
        "How many: 3 occurrences within 5m (> 2)",
        "Since: 2026-03-01T12:00:01Z",
        "Where: application default, environment production, source web",
        f"Latest: message of a (/api/errors/{group_id('default', 'a')})",
        "Why: More than 2 occurrences within 5 minutes. The condition is: error_count > 2 in 5m",
        "At: 2026-03-01T12:00:03Z",
    ]
    assert one.message.link == f"/api/alerts/rules/{rule_id}/history"
    assert (one.message.kind, one.message.severity) == ("triggered", "high")


def test_a_message_of_an_error_names_it_and_leads_to_it() -> None:
    log = Log()
    log.create("error_count > 0 in 5m per error", notifications=("email",))
    log.report(message="Payment  failed\nfor good")
    [one] = told(log, 10)
    assert one.message.title == "[medium] Alert: rule: Payment failed for good"
    assert one.message.link == f"/api/errors/{one.alerts[0].error_id}"


def test_each_comparison_is_told_with_its_own_window_and_threshold() -> None:
    log = Log()
    log.create(
        "error_rate > 2.5 in 2m and affected_users > 3 in 1h",
        cooldown="1h",
        notifications=("email",),
    )
    for user in range(7):
        log.after(1).report(user_id=f"user {user % 4}")
    [one] = told(log, 10)
    assert _line(one, "How many") == (
        "3 occurrences a minute within 2m (> 2.5) and 4 affected users within 1h (> 3)"
    )


def test_a_service_that_is_down_is_named_and_no_application() -> None:
    log = Log()
    log.create("service_down > 0 in 1m", notifications=("email",), open_incident=True)
    log.service("shop", up=False)
    [one] = told(log, 10)
    assert _line(one, "How many") == "1 service down within 1m (> 0)"
    assert _line(one, "Where") == "service shop"
    [(_, opened)] = _incidents(log, 10)
    assert isinstance(opened, OpenIncident)
    assert (
        opened.wish.description == "More than 0 services down within 1 minute. Where: service shop."
    )


def test_of_many_services_five_are_named_those_that_are_still_down_first() -> None:
    log = Log()
    log.create("service_down > 6 in 5m", notifications=("email",))
    for name in "abcdefg":
        log.after(1).service(name, up=False)
        if name == "a":
            log.after(1).service(name, up=True)
    [one] = told(log, 20)
    assert _line(one, "Where") == "services b, c, d, e, f and 2 more"


def test_a_reminder_tells_since_when_it_fires() -> None:
    log = Log()
    log.create("error_count > 0 in 5m", cooldown="2m", notifications=("email",))
    log.report()
    log.after(100).report()
    log.after(290).report()
    last = told(log, 500)[3]
    assert (last.at, _line(last, "Firing since")) == (at(360), "2026-03-01T12:00:00Z")
    assert _line(last, "Counted since") == "2026-03-01T12:01:40Z"


@pytest.mark.parametrize("back", [False, True])
def test_what_came_from_several_places_is_not_told_as_from_one(back: bool) -> None:
    log = Log()
    log.create("error_count > 1 in 5m", notifications=("email",))
    log.report(source="s1")
    if back:  # what has left the window counts for nothing
        log.after(400).report(source="s2")
    log.after(1).report(source="s2")
    [one, *_] = told(log, 500)
    others = "" if back else ", and others"
    assert _line(one, "Where") == (
        f"application default, environment production, source s2{others}"
    )


def test_what_comes_within_the_cooldown_is_one_message_at_its_end() -> None:
    log = Log()
    log.create("error_count > 0 in 1h per error", cooldown="10m", notifications=("email",))
    for name in "abcd":
        log.after(10).report(name)
    assert when(log, 615) == [(10, 1), (610, 4)]  # b, c, d, and the reminder of a


def test_a_digest_lists_ten_and_says_how_many_more() -> None:
    log = Log()
    log.create("error_count > 0 in 1h per error", cooldown="10m", notifications=("email",))
    log.report("first")
    log.after(10)
    for number in range(150):
        log.report(f"error {number}")
    [_, digest] = told(log, 600)
    assert digest.count == 151
    assert len(digest.alerts) == 100
    lines = digest.message.text.splitlines()
    assert lines[:7] == [
        "151 alerts of the rule rule",
        "",
        "Since: 2026-03-01T12:00:10Z",
        "Where: application default",
        "Why: More than 0 occurrences within 1 hour, counted for each error on its own."
        " The condition is: error_count > 0 in 1h per error",
        "",
        "2026-03-01T12:00:10Z alert: message of error 0, 1 occurrence within 1h (> 0),"
        " environment production, source web",
    ]
    assert len(lines) == 17
    assert lines[-1] == "and 141 more"


def test_a_recovery_within_the_cooldown_waits_too() -> None:
    log = Log()
    log.create("error_count > 0 in 1m", cooldown="5m", notifications=("email",))
    log.report()
    [first, second] = told(log)
    assert [one.kind for one in second.alerts] == ["recovered"]
    assert (first.at, second.at) == (at(0), at(300))
    assert second.message.title == "Recovered: rule"
    assert "It fired for 2m, since 2026-03-01T12:00:00Z, and triggered once." in second.message.text


def test_a_hundred_more_errors_bring_no_second_message_within_the_cooldown() -> None:
    log = Log()
    log.create("error_count > 5 in 5m", notifications=("email",))
    log.report(times=6)
    log.after(1).report(times=100)
    assert when(log, 299) == [(0, 1)]


def test_changing_a_condition_does_not_bring_a_second_message_within_the_cooldown() -> None:
    log = Log()
    log.create("error_count > 0 in 5m", notifications=("email",))
    log.report()
    log.after(10).change(condition="error_count > 1 in 5m")
    log.report(times=2)
    assert when(log, 300) == [(0, 1), (300, 1)]


def test_what_waits_is_not_told_of_a_rule_that_is_gone() -> None:
    log = Log()
    log.create("error_count > 0 in 1h per error", cooldown="10m", notifications=("email",))
    log.report("a")
    log.after(10).report("b")
    log.after(10).delete()
    assert when(log) == [(0, 1)]


# -- silence -------------------------------------------------------------------------------------


def test_a_silent_rule_triggers_and_recovers_and_nobody_is_told() -> None:
    log = Log()
    log.create("error_count > 0 in 1m", notifications=("email",), open_incident=True)
    log.silence(3_600)
    log.after(1).report()
    found = [one.command for one in acted(log, 1_000)]
    assert [type(one) for one in found] == [TriggerAlert, RecoverAlert]
    assert [_silenced(one) for one in found] == [True, True]


def test_people_are_reminded_of_what_still_fires_when_the_silence_is_over() -> None:
    log = Log()
    log.create("error_count > 0 in 1h", cooldown="10m", notifications=("email",))
    log.silence(900)
    log.report()
    assert when(log, 1_300) == [(1_200, 1)]


def test_nobody_is_told_of_the_end_of_what_nobody_was_told_of() -> None:
    log = Log()
    log.create("error_count > 0 in 1m", notifications=("email",))
    log.silence(30)
    log.report()
    assert when(log) == []


def test_what_waits_when_silence_begins_is_told_when_it_ends() -> None:
    log = Log()
    log.create("error_count > 0 in 3h per error", cooldown="1h", notifications=("email",))
    log.report("a")
    log.after(10).report("b")
    log.after(10).silence(5_000)
    assert when(log, 5_100) == [(0, 1), (5_020, 1)]


def test_lifting_a_silence_tells_at_once_what_has_waited_long_enough() -> None:
    log = Log()
    log.create("error_count > 0 in 3h per error", cooldown="1h", notifications=("email",))
    log.report("a")
    log.after(10).report("b")
    log.after(10).silence(50_000)
    log.after(4_000).silence(None)
    assert when(log, 4_100) == [(0, 1), (4_020, 1)]


def _silenced(command: object) -> bool:
    if isinstance(command, TriggerAlert):
        return command.alert.silenced
    assert isinstance(command, RecoverAlert)
    return command.silenced


# -- incidents -----------------------------------------------------------------------------------


def _incidents(log: Log, until: float = 10_000) -> list[tuple[datetime, object]]:
    return [
        (one.at, one.command)
        for one in acted(log, until)
        if isinstance(one.command, OpenIncident | ChangeIncident)
    ]


def test_an_incident_opens_with_the_trigger_and_is_resolved_with_the_recovery() -> None:
    log = Log()
    rule_id = log.create("error_count > 0 in 1m", open_incident=True, severity="critical")
    log.report()
    log.after(59).report()  # reminded at 60: the same incident
    [(opened_at, opened), (resolved_at, resolved)] = _incidents(log)
    assert (opened_at, resolved_at) == (at(0), at(59 + 120))
    assert isinstance(opened, OpenIncident)
    assert isinstance(resolved, ChangeIncident)
    assert (opened.rule_id, resolved.incident_id) == (rule_id, opened.incident_id)
    assert resolved.wish.status == "resolved"
    assert (opened.wish.title, opened.wish.severity, opened.app) == ("rule", "critical", "default")


def test_each_firing_has_an_incident_of_its_own() -> None:
    log = Log()
    log.create("error_count > 0 in 1m", open_incident=True)
    log.report()
    log.after(1_000).report()
    ids = {command.incident_id for _, command in _incidents(log)}  # type: ignore[attr-defined]
    assert len(ids) == 2


def test_the_errors_of_a_rule_share_its_open_incident_until_the_last_recovers() -> None:
    log = Log()
    log.create("error_count > 0 in 1m per error", open_incident=True)
    for name in "abc":
        log.after(10).report(name)
    log.after(1_000).report("d")
    found = _incidents(log, 1_100)
    assert [(when, type(what)) for when, what in found] == [
        (at(10), OpenIncident),
        (at(30 + 120), ChangeIncident),
        (at(1_030), OpenIncident),
    ]
    alerts = [c.alert for one in acted(log, 100) if isinstance(c := one.command, TriggerAlert)]
    incidents = [alert.incident_id for alert in alerts if alert.at < at(1_000)]
    assert len(set(incidents)) == 1


@pytest.mark.parametrize("status", ["investigating", "resolved", "closed"])
def test_an_incident_that_somebody_is_done_with_is_not_joined(status: str) -> None:
    log = Log()
    log.create("error_count > 0 in 1m per error", open_incident=True)
    log.report("a")
    [(_, opened)] = _incidents(log, 0)
    assert isinstance(opened, OpenIncident)
    log.execute(opened)
    log.execute(ChangeIncident(incident_id=opened.incident_id, wish=IncidentWish(status=status)))
    log.after(1).report("b")
    kinds = [type(what) for _, what in _incidents(log)]
    joined = [OpenIncident, ChangeIncident]
    assert kinds == (joined if status == "investigating" else [OpenIncident, *joined, joined[1]])


def test_a_snapshot_keeps_which_incident_is_joined_and_who_belongs_to_it() -> None:
    log = Log()
    log.create("error_count > 0 in 1m per error", open_incident=True)
    for name in "ab":
        log.report(name)
    manager = Alerting()
    before = manager.fold(log.events)
    [opened] = [c for one in before if isinstance(c := one.command, OpenIncident)]
    log.execute(opened)
    closing = ChangeIncident(incident_id=opened.incident_id, wish=IncidentWish(status="closed"))
    log.execute(closing)
    manager.fold(log.events[3:])
    manager = Alerting.restored(manager.snapshot())
    log.after(1).report("c")
    after = manager.fold(log.events[5:]) + manager.advance(at(1_000))
    found = [c for one in after if isinstance(c := one.command, OpenIncident | ChangeIncident)]
    assert [type(one) for one in found] == [OpenIncident, ChangeIncident, ChangeIncident]
    assert [one.incident_id == opened.incident_id for one in found] == [False, True, False]


def test_the_title_of_an_error_s_incident_is_at_most_200_characters_long() -> None:
    log = Log()
    log.create("error_count > 0 in 1m per error", name="r" * 150, open_incident=True)
    log.report(message="m" * 5_000)
    [(_, opened), _] = _incidents(log)
    assert isinstance(opened, OpenIncident)
    title = opened.wish.title
    assert isinstance(title, str)
    assert len(title) == 200


def test_a_changed_rule_resolves_its_incident() -> None:
    log = Log()
    log.create("error_count > 0 in 1h", open_incident=True)
    log.report()
    log.after(10).change(enabled=False)
    assert [one for one, _ in _incidents(log)] == [at(0), at(10)]


def test_a_snapshot_keeps_what_waits() -> None:
    log = Log()
    log.create("error_count > 0 in 1h per error", cooldown="10m", notifications=("email",))
    log.report("a")
    log.after(1).report("b")
    manager = Alerting()
    manager.fold(log.events)
    manager = Alerting.restored(manager.snapshot())
    queued = [
        one.command
        for one in manager.advance(at(600))
        if isinstance(one.command, QueueNotification)
    ]
    assert [one.count for one in queued] == [2]


def test_a_snapshot_keeps_who_was_affected() -> None:
    log = Log()
    log.create("affected_users > 2 in 1h")
    for user in ("u1", "u2", "u2", "u3"):
        log.after(1).report(user_id=user)
    manager = Alerting()
    manager.fold(log.events[:-1])
    manager = Alerting.restored(manager.snapshot())
    assert [one.at for one in manager.fold(log.events[-1:])] == [at(4)]
