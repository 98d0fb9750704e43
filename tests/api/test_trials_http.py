"""Rules explained, and tried on the past: over HTTP, with what alerting itself has triggered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from domain.alert import AlertTriggered, RecoverAlert, TriggerAlert
from domain.error_group import ErrorReported
from domain.message import Recorded
from domain.times import rfc3339
from errata import trials
from infra.event_store.codec import from_row
from infra.event_store.reader import read_page
from infra.settings import Settings
from tests.alerts import facts
from tests.api.conftest import Api
from tests.errata.alert_tools import alerting
from tests.waiting import PATIENCE

RULES = "/api/alerts/rules"
RULE = {"name": "Many", "condition": "error_count >= 3 in 10m"}


@pytest.fixture
def watching(settings: Settings, api_alone: Api, tmp_path: Path) -> Iterator[None]:
    """Alerting, as the scheduler runs it."""
    with alerting(msgspec.structs.replace(settings, data_dir=tmp_path)):
        yield


async def created(api: Api, **changes: Any) -> dict[str, Any]:
    answer = await api.post(RULES, json={**RULE, **changes})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def preview(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.post(f"{RULES}/preview", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


async def explain(api: Api, rule_id: str, **parameters: Any) -> dict[str, Any]:
    answer = await api.get(f"{RULES}/{rule_id}/explain", params=parameters)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def log_of(settings: Settings) -> list[Recorded[Any]]:
    with psycopg.connect(settings.database_url_or_fail()) as connection:
        return [from_row(row) for row in read_page(connection, after=0, limit=10_000)]


async def triggered(settings: Settings, count: int) -> list[AlertTriggered]:
    """What was triggered live, once so many were."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = [one.event for one in log_of(settings) if one.name == "AlertTriggered"]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


def problem(answer: Any) -> tuple[int, str]:
    """A refusal: its status and the field it names."""
    return answer.status_code, answer.json()["fields"][0]["field"]


async def test_a_preview_is_what_was_triggered_live(
    api_alone: Api, settings: Settings, watching: None
) -> None:
    condition = "error_count >= 3 in 10m per error"
    rule = await created(api_alone, condition=condition, open_incident=True)
    for message in ("disk full", "no route", "disk full", "no route", "disk full", "bad day"):
        await api_alone.report(message=message)
    for _ in range(2):
        await api_alone.report(message="no route")
    live = await triggered(settings, 2)
    tried = await preview(api_alone, condition=condition, since=rule["created_at"])
    steps = [one for one in tried["preview"]["steps"] if one["kind"] == "triggered"]
    facts = [one.facts for one in live]
    assert [one["error_id"] for one in steps] == [str(one.error_id) for one in facts]
    assert [datetime.fromisoformat(one["at"]) for one in steps] == [one.at for one in facts]
    shown = [(one["triggered"]["first_position"], one["triggered"]["value"]) for one in steps]
    assert shown == [(one.first_position, one.value) for one in facts]
    assert tried["preview"]["totals"]["incidents"] == 0  # it was not asked for in the body


async def test_a_stored_rule_is_tried_beside_the_wish(api_alone: Api) -> None:
    rule = await created(api_alone, notifications=["email"])
    for _ in range(4):
        await api_alone.report()
    tried = await preview(api_alone, id=rule["id"], condition="error_count > 3 in 10m")
    assert tried["preview"]["name"] == "Many"
    assert tried["preview"]["totals"]["triggers"] == tried["stored"]["totals"]["triggers"] == 1
    first = [
        next(one["position"] for one in tried[which]["steps"] if one["kind"] == "triggered")
        for which in ("stored", "preview")
    ]
    assert first[1] == first[0] + 1
    (message,) = [one for one in tried["preview"]["steps"] if one["kind"] == "notification"]
    assert message["notification"]["channel"] == "email"
    assert message["error_id"] is None
    assert set(tried["difference"].values()) == {0}


async def test_a_message_about_one_error_names_it(api_alone: Api) -> None:
    await api_alone.report()
    tried = await preview(
        api_alone, condition="error_count > 0 in 10m per error", notifications=["email"]
    )
    steps = tried["preview"]["steps"]
    assert [one["kind"] for one in steps] == ["triggered", "notification"]
    assert steps[1]["error_id"] == steps[0]["error_id"] is not None


async def test_a_preview_stores_nothing(api_alone: Api, settings: Settings) -> None:
    for _ in range(4):
        await api_alone.report()
    before = len(log_of(settings))
    tried = await preview(api_alone, condition="error_count >= 3 in 10m", open_incident=True)
    assert tried["preview"]["totals"]["incidents"] == 1
    assert len(log_of(settings)) == before
    assert max(one["value"] or 0 for one in tried["preview"]["series"]) >= 3


async def test_a_wrong_preview_names_the_field(api_alone: Api, monkeypatch: Any) -> None:
    now = datetime.now(UTC)
    wrong: dict[str, dict[str, Any]] = {
        "condition": {},
        "since": {**RULE, "since": (now - timedelta(days=40)).isoformat()},
        "id": {**RULE, "id": "seven"},
    }
    for field, body in wrong.items():
        answer = await api_alone.post(f"{RULES}/preview", json=body)
        assert problem(answer) == (400, field)
    monkeypatch.setattr(trials, "MOST_EVENTS", 1)
    answer = await api_alone.post(f"{RULES}/preview", json=RULE)
    assert problem(answer) == (400, "since")
    answer = await api_alone.post(f"{RULES}/preview", json={"id": str(uuid4())})
    assert answer.status_code == 404


async def test_no_more_than_two_rules_are_tried_at_once(api_alone: Api) -> None:
    await api_alone.report()
    asked = [api_alone.post(f"{RULES}/preview", json=RULE) for _ in range(6)]
    statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
    assert sorted(set(statuses)) == [200, 503]
    assert statuses.count(200) == 2


async def test_an_explanation_counts_what_a_plain_count_counts(
    api_alone: Api, settings: Settings
) -> None:
    rule = await created(api_alone, condition='error_count > 4 in 10m where level = "warning"')
    dice = Random("explain")
    for _ in range(25):
        await api_alone.report(level=dice.choice(["error", "warning"]))
    log = log_of(settings)
    for position in dice.sample(range(1, len(log) + 1), 12):
        if position < rule_position(log, rule["id"]):
            answer = await api_alone.get(f"{RULES}/{rule['id']}/explain?at={position}")
            assert answer.status_code == 404
            continue
        shown = await explain(api_alone, rule["id"], at=position)
        counted = [
            one.position
            for one in log[:position]
            if isinstance(one.event, ErrorReported)
            and one.event.occurrence.level == "warning"
            and one.position > rule_position(log, rule["id"])
        ]
        (comparison,) = shown["explanation"]["comparisons"]
        assert comparison["positions"] == counted[::-1]
        assert comparison["value"] == comparison["counted"] == len(counted)
        assert shown["explanation"]["verdict"] is (len(counted) > 4)


def rule_position(log: list[Recorded[Any]], rule_id: str) -> int:
    return next(one.position for one in log if str(one.stream_id) == rule_id)


async def test_an_explanation_knows_what_fires(
    api_alone: Api, settings: Settings, watching: None
) -> None:
    rule = await created(api_alone, condition="error_count >= 3 in 10m per error", cooldown="1h")
    group = await api_alone.report()
    for _ in range(2):
        await api_alone.report()
    (live,) = await triggered(settings, 1)
    shown = (await explain(api_alone, rule["id"], error_id=group["id"]))["explanation"]
    assert datetime.fromisoformat(shown["firing_since"]) == live.facts.at
    assert datetime.fromisoformat(shown["cooldown_until"]) == live.facts.at + timedelta(hours=1)
    assert shown["verdict"] is True
    # The trigger was recorded after the event, and later than it was due.
    for at in (live.facts.last_position, live.facts.at.isoformat()):
        then = (await explain(api_alone, rule["id"], at=at, error_id=group["id"]))["explanation"]
        assert (then["verdict"], then["triggers"]) == (True, 1)
        assert datetime.fromisoformat(then["firing_since"]) == live.facts.at
    whole = await explain(api_alone, rule["id"])
    assert whole["explanation"] is None
    assert whole["errors"] == [{"error_id": group["id"], "values": [3], "firing": True}]


async def test_an_explanation_goes_by_when_a_recovery_was_due(
    api_alone: Api, settings: Settings
) -> None:
    rule = await created(api_alone)
    for _ in range(2):
        await api_alone.report()
    (first, second) = [one for one in log_of(settings) if one.name == "ErrorReported"]
    rule_id = UUID(rule["id"])
    because = {"at": first.recorded_at, "last_position": first.position}
    await api_alone.execute(TriggerAlert(alert=facts(rule_id=rule_id, **because)))
    await api_alone.execute(
        RecoverAlert(rule_id=rule_id, app="default", at=second.recorded_at, reason="quiet")
    )
    fires = [
        (await explain(api_alone, rule["id"], at=at))["explanation"]["firing_since"]
        for at in (first.position, second.position)
    ]
    assert fires == [rfc3339(first.recorded_at), None]


async def test_an_explanation_of_a_position_leaves_out_what_was_behind_it(
    api_alone: Api, settings: Settings
) -> None:
    rule = await created(api_alone)
    await api_alone.report()
    (report,) = [one for one in log_of(settings) if one.name == "ErrorReported"]
    at_once = {"at": report.recorded_at, "last_position": report.position + 1}
    await api_alone.execute(TriggerAlert(alert=facts(rule_id=UUID(rule["id"]), **at_once)))
    shown = await explain(api_alone, rule["id"], at=report.position)
    assert shown["explanation"]["firing_since"] is None


async def test_an_explanation_is_of_the_version_of_its_moment(api_alone: Api) -> None:
    rule = await created(api_alone)
    answer = await api_alone.put(f"{RULES}/{rule['id']}", json={"name": "Renamed"})
    position = int(answer.headers["X-Event-Position"])
    versions = [
        (await explain(api_alone, rule["id"], at=at))["version"] for at in (position - 1, position)
    ]
    assert versions == [1, 2]


async def test_what_cannot_be_explained_is_refused(api_alone: Api) -> None:
    rule = await created(api_alone)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for field, value in (("at", tomorrow), ("at", "10000000"), ("error_id", str(uuid4()))):
        answer = await api_alone.get(f"{RULES}/{rule['id']}/explain", params={field: value})
        assert problem(answer) == (400, field)
    other = {"X-API-Key": await api_alone.issue("read", app="test-app")}
    answer = await api_alone.get(f"{RULES}/{rule['id']}/explain", headers=other)
    assert answer.status_code == 404
