"""Silencing rules and muting errors over HTTP, and what rules show of themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from domain.alert import RecoverAlert, TriggerAlert
from domain.incident import IncidentWish, OpenIncident
from infra.clock import utc_now
from tests.alerts import facts

if TYPE_CHECKING:
    from tests.api.conftest import Api

RULE = {"name": "Rule", "condition": "error_count > 5 in 5m", "notifications": ["webhook"]}
FAR = "2099-01-01T00:00:00Z"
MUTE_FIELDS = ("muted", "muted_until", "muted_count_left")


async def created(api: Api) -> str:
    """The path of a new rule."""
    answer = await api.post("/api/alerts/rules", json=RULE)
    assert answer.status_code == 201, answer.text
    return f"/api/alerts/rules/{answer.json()['data']['id']}"


async def get(api: Api, path: str, seen: int | str) -> dict[str, Any]:
    """What a path shows once it has seen a position."""
    answer = await api.get(path, headers={"X-Min-Position": str(seen)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def rule_id(path: str) -> UUID:
    return UUID(path.rpartition("/")[2])


async def test_a_silenced_rule_says_until_when(api: Api) -> None:
    path = await created(api)
    answer = await api.put(f"{path}/silence", json={"until": "2099-01-01T01:00:00+01:00"})
    assert (answer.status_code, answer.json()["data"]["silenced_until"]) == (200, FAR)
    assert answer.json()["data"]["version"] == 1
    shown = await get(api, path, answer.headers["X-Event-Position"])
    assert shown == answer.json()["data"]
    ended = await api.put(f"{path}/silence", json={"until": None})
    assert ended.json()["data"]["silenced_until"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"until": 5},
        {"until": "tomorrow"},
        {"until": "2099-01-01T00:00:00"},
        {"until": "2020-01-01T00:00:00Z"},
        {"until": "0001-01-01T00:00:00+14:00"},
    ],
    ids=str,
)
async def test_a_wrong_end_of_a_silence_is_named(api: Api, body: dict[str, Any]) -> None:
    answer = await api.put(f"{await created(api)}/silence", json=body)
    assert answer.status_code == 400, answer.text
    assert [one["field"] for one in answer.json()["fields"]] == ["until"]


async def test_an_unknown_rule_can_neither_be_silenced_nor_tell_its_history(api: Api) -> None:
    path = f"/api/alerts/rules/{uuid4()}"
    assert (await api.put(f"{path}/silence", json={"until": FAR})).status_code == 404
    assert (await api.get(f"{path}/history")).status_code == 404


async def test_a_rule_shows_when_it_last_triggered_and_how_many_alerts_fire(api: Api) -> None:
    path = await created(api)
    at = utc_now()
    for error in (UUID(int=8), UUID(int=9)):
        seen = await api.execute(
            TriggerAlert(alert=facts(rule_id=rule_id(path), at=at, error_id=error))
        )
    shown = await get(api, path, seen)
    assert (shown["last_triggered"], shown["firing"]) == (at.isoformat()[:-6] + "Z", 2)
    (listed,) = (await get(api, "/api/alerts/rules", seen))["rules"]
    assert listed == shown
    recovery = RecoverAlert(
        rule_id=rule_id(path), error_id=UUID(int=8), app="default", at=at, reason="quiet"
    )
    assert (await get(api, path, await api.execute(recovery)))["firing"] == 1
    changed = await api.put(path, json={"name": "Other"})
    assert changed.json()["data"]["last_triggered"] == shown["last_triggered"]


async def test_a_trigger_is_a_change_for_who_asks_by_etag_and_none_for_if_match(api: Api) -> None:
    path = await created(api)
    tag = (await api.get(path)).headers["ETag"]
    assert tag == '"1"'
    seen = await api.execute(TriggerAlert(alert=facts(rule_id=rule_id(path))))
    headers = {"X-Min-Position": str(seen), "If-None-Match": tag}
    answer = await api.get(path, headers=headers)
    assert (answer.status_code, answer.headers["ETag"][:3]) == (200, '"1-')
    headers["If-None-Match"] = answer.headers["ETag"]
    assert (await api.get(path, headers=headers)).status_code == 304
    match = {"If-Match": answer.headers["ETag"]}
    assert (await api.put(path, json={"name": "New"}, headers=match)).status_code == 200
    assert (await api.put(path, json={"name": "Newer"}, headers=match)).status_code == 409


async def test_an_error_is_muted_for_a_number_of_occurrences(api: Api) -> None:
    error = await api.report()
    path = f"/api/errors/{error['id']}"
    answer = await api.post(f"{path}/mute", json={"count": 3.0})
    assert (answer.status_code, answer.json()["data"]["muted_count_left"]) == (200, 3)
    shown = await get(api, path, answer.headers["X-Event-Position"])
    assert [shown[field] for field in MUTE_FIELDS] == [True, None, 3]
    left = [(await api.report())["muted_count_left"] for _ in range(3)]
    assert left == [2, 1, None]
    assert (await api.report())["muted"] is False


@pytest.mark.parametrize("body", [b"", b"{}", b'{"until": null}'])
async def test_an_error_is_muted_until_it_is_unmuted(api: Api, body: bytes) -> None:
    path = f"/api/errors/{(await api.report())['id']}"
    headers = {"Content-Type": "application/json"}
    answer = await api.post(f"{path}/mute", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert [answer.json()["data"][field] for field in MUTE_FIELDS] == [True, None, None]
    assert (await api.report())["muted"] is True
    answer = await api.post(f"{path}/unmute")
    assert answer.json()["data"]["muted"] is False
    assert (await get(api, path, answer.headers["X-Event-Position"]))["muted"] is False


async def test_a_report_after_the_time_wakes_the_error(api: Api) -> None:
    path = f"/api/errors/{(await api.report())['id']}"
    soon = utc_now() + timedelta(seconds=0.5)
    assert (await api.post(f"{path}/mute", json={"until": soon.isoformat()})).status_code == 200
    while utc_now() < soon:
        assert (await api.report())["muted"] or utc_now() >= soon
    assert (await api.report())["muted"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"count": 0}, "count"),
        ({"count": 1.5}, "count"),
        ({"count": "many"}, "count"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"until": FAR, "count": 2}, "count"),
    ],
    ids=str,
)
async def test_a_wrong_mute_is_named(api: Api, body: dict[str, Any], field: str) -> None:
    path = f"/api/errors/{(await api.report())['id']}"
    answer = await api.post(f"{path}/mute", json=body)
    assert answer.status_code == 400, answer.text
    assert [one["field"] for one in answer.json()["fields"]] == [field]


async def test_an_unknown_error_can_neither_be_muted_nor_unmuted(api: Api) -> None:
    for action in ("mute", "unmute"):
        assert (await api.post(f"/api/errors/{uuid4()}/{action}", json={})).status_code == 404
        assert (await api.post(f"/api/errors/none/{action}", json={})).status_code == 400


async def test_an_incident_shows_the_rule_that_opened_it(api: Api) -> None:
    incident, rule = uuid4(), uuid4()
    command = OpenIncident(incident_id=incident, wish=IncidentWish(title="Slow"), rule_id=rule)
    seen = await api.execute(command)
    path = f"/api/alerts/incidents/{incident}"
    assert (await get(api, path, seen))["rule_id"] == str(rule)
    changed = (await api.put(path, json={"status": "investigating"})).json()["data"]
    assert changed["rule_id"] == str(rule)
