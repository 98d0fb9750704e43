"""Integrations over HTTP: configured, masked, really tried, never in plain in the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.api.conftest import running
from tests.api.settings_tools import events_by, head_of
from tests.infra.receivers import http_receiver, smtp_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from infra.settings import Settings
    from tests.api.conftest import Api

PATH = "/api/settings/integrations"
SLACK = {"webhook_url": "https://hooks.slack.com/services/T0/B0/verysecret", "channel": "#alerts"}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return msgspec.structs.replace(settings, data_dir=tmp_path, allow_private_targets=True)


async def configure(api: Api, name: str, config: Any) -> dict[str, Any]:
    answer = await api.put(f"{PATH}/{name}", json={"config": config})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


async def tried(api: Api, name: str) -> dict[str, Any]:
    answer = await api.post(f"{PATH}/{name}/test")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


async def listed(api: Api) -> dict[str, Any]:
    answer = await api.get(PATH, headers={"X-Min-Position": await head_of(api)})
    return {one["name"]: one for one in answer.json()["data"]["integrations"]}


async def test_all_four_are_listed_from_the_start(api: Api) -> None:
    found = await listed(api)
    assert list(found) == ["slack", "email", "webhook", "sms"]
    assert found["sms"] == {
        "name": "sms",
        "status": "not_configured",
        "config": {},
        "last_test": None,
        "reason": None,
    }


async def test_a_configuration_is_shown_masked(api: Api) -> None:
    made = await configure(api, "slack", SLACK)
    assert made == {
        "name": "slack",
        "status": "configured",
        "config": {"webhook_url": "https://hooks.slack.com/****", "channel": "#alerts"},
        "last_test": None,
        "reason": None,
    }
    assert (await listed(api))["slack"] == made


async def test_one_is_shown_as_it_is_listed(api: Api) -> None:
    made = await configure(api, "slack", SLACK)
    answer = await api.get(f"{PATH}/slack")
    assert (answer.status_code, answer.json()["data"]) == (200, made)
    other = await api.get(f"{PATH}/sms")
    assert other.json()["data"] == (await listed(api))["sms"]


async def test_one_is_shown_as_it_was(api: Api) -> None:
    await configure(api, "slack", SLACK)
    before = await head_of(api)
    await configure(api, "slack", None)
    then = await api.get(f"{PATH}/slack", params={"as_of": before})
    now = await api.get(f"{PATH}/slack", headers={"X-Min-Position": await head_of(api)})
    shown = [one.json()["data"]["status"] for one in (then, now)]
    assert shown == ["configured", "not_configured"]


async def test_what_is_no_integration_is_404(api_alone: Api) -> None:
    answer = await api_alone.get(f"{PATH}/pigeon")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_no_secret_is_in_the_log_in_plain(api: Api) -> None:
    await configure(api, "slack", SLACK)
    store: Any = api.container.store
    store = store._store
    async with store._pool.connection() as connection:
        rows = await (await connection.execute("SELECT data FROM events")).fetchall()
        rows += await (await connection.execute("SELECT state FROM streams")).fetchall()
    assert not any(b"verysecret" in bytes(row[0]) for row in rows)


async def test_configuring_the_same_again_is_no_event(api: Api) -> None:
    await configure(api, "slack", SLACK)
    await configure(api, "slack", SLACK)
    assert await events_by(api, "key:development") == ["IntegrationConfigured"]


async def test_null_takes_the_configuration_away(api: Api) -> None:
    await configure(api, "slack", SLACK)
    assert (await configure(api, "slack", None))["status"] == "not_configured"
    assert (await listed(api))["slack"]["config"] == {}


async def test_a_test_really_sends_and_is_remembered(api: Api) -> None:
    with http_receiver() as receiver:
        await configure(api, "webhook", {"url": f"http://127.0.0.1:{receiver.port}/hook"})
        result = await tried(api, "webhook")
        assert json.loads(receiver.received[0].body)["event"] == "test"
    assert (result["status"], result["reason"]) == ("connected", None)
    assert result["last_test"] is not None
    assert (await listed(api))["webhook"] == result


async def test_a_failed_test_says_why(api: Api) -> None:
    with http_receiver() as receiver:
        receiver.status = 410
        await configure(api, "webhook", {"url": f"http://127.0.0.1:{receiver.port}/hook"})
        result = await tried(api, "webhook")
    assert (result["status"], result["reason"]) == ("failing", "the server answered 410")
    assert await events_by(api, "key:development") == [
        "IntegrationConfigured",
        "IntegrationTested",
    ]


async def test_a_test_mail_arrives(api: Api) -> None:
    with smtp_receiver() as mailbox:
        config = {
            "smtp_server": f"127.0.0.1:{mailbox.port}",
            "from_email": "alerts@example.com",
            "to": ["ann@example.com"],
            "tls": "none",
        }
        await configure(api, "email", config)
        assert (await tried(api, "email"))["status"] == "connected"
        assert mailbox.mails[0][1] == ["ann@example.com"]


async def test_private_targets_are_refused_unless_allowed(settings: Settings, api: Api) -> None:
    closed = msgspec.structs.replace(settings, allow_private_targets=False)
    with http_receiver() as receiver:
        await configure(api, "webhook", {"url": f"http://127.0.0.1:{receiver.port}/"})
        async with running(closed) as other:
            result = await tried(other, "webhook")
        assert receiver.received == []
    assert result["status"] == "failing"
    assert "loopback" in result["reason"]


async def test_what_is_not_configured_cannot_be_tested(api: Api) -> None:
    answer = await api.post(f"{PATH}/sms/test")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_another_secret_key_opens_nothing(settings: Settings, api: Api) -> None:
    await configure(api, "slack", SLACK)
    other_key = msgspec.structs.replace(settings, secret_key="another key" * 4)
    async with running(other_key) as other:
        answer = await other.post(f"{PATH}/slack/test")
    assert (answer.status_code, "configure it again" in answer.json()["error"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["config"]),
        ({"config": "x"}, ["config"]),
        ({"config": {}}, ["config.webhook_url"]),
        ({"config": {"webhook_url": 1, "channel": []}}, ["config.channel", "config.webhook_url"]),
    ],
)
async def test_a_bad_configuration_is_400_with_every_field(
    api_alone: Api, body: dict[str, Any], fields: list[str]
) -> None:
    answer = await api_alone.put(f"{PATH}/slack", json=body)
    assert answer.status_code == 400
    assert sorted(one["field"] for one in answer.json()["fields"]) == fields


async def test_an_unknown_integration_is_404(api_alone: Api) -> None:
    assert (await api_alone.put(f"{PATH}/pigeon", json={"config": None})).status_code == 404
    assert (await api_alone.post(f"{PATH}/pigeon/test")).status_code == 404


async def test_only_admins_of_all_applications_may(api_alone: Api) -> None:
    await api_alone.register("shop")
    for key in (await api_alone.issue("read", "write"), await api_alone.issue("admin", app="shop")):
        headers = {"X-API-Key": key}
        assert (await api_alone.get(PATH, headers=headers)).status_code == 403
        answer = await api_alone.put(f"{PATH}/slack", json={"config": None}, headers=headers)
        assert answer.status_code == 403
        assert (await api_alone.post(f"{PATH}/slack/test", headers=headers)).status_code == 403
