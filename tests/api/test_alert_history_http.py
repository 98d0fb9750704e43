"""What a rule has done, over HTTP; and integrations that show how the last message ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from api.routes.alerts_described import GET_HISTORY
from domain.alert import RecoverAlert, TriggerAlert
from domain.delivery import QueueNotification, RecordFailed, RecordSent, not_configured
from domain.notification import Message
from infra.clock import utc_now
from tests.alerts import facts
from tests.api.test_silence_http import created, get, rule_id

if TYPE_CHECKING:
    from domain.vocabulary import Channel
    from tests.api.conftest import Api


async def queue(
    api: Api, rule: UUID, channel: Channel = "webhook", sums_up: tuple[UUID, ...] = ()
) -> UUID:
    """A notification on its way."""
    notification = uuid4()
    await api.execute(
        QueueNotification(
            notification_id=notification,
            rule_id=rule,
            rule_name="Rule",
            app="default",
            channel=channel,
            at=utc_now(),
            message=Message("alert", "Rule", "6 occurrences within 5 minutes"),
            alerts=(),
            count=3,
            sums_up=sums_up,
        )
    )
    return notification


async def fail(api: Api, notification: UUID, attempt: int, reason: str, *, again: bool) -> int:
    """An attempt that failed."""
    now = utc_now()
    return await api.execute(
        RecordFailed(
            notification_id=notification,
            attempt=attempt,
            at=now,
            reason=reason,
            next_attempt_at=now if again else None,
        )
    )


async def send(api: Api, notification: UUID, attempt: int) -> int:
    """An attempt that did not."""
    return await api.execute(
        RecordSent(notification_id=notification, attempt=attempt, at=utc_now())
    )


async def test_the_history_tells_triggers_recoveries_and_messages_newest_first(api: Api) -> None:
    path = await created(api)
    rule, now = rule_id(path), utc_now()
    await api.execute(TriggerAlert(alert=facts(rule_id=rule, at=now, silenced=True)))
    notification = await queue(api, rule)
    await fail(api, notification, 1, "no answer within 10 s", again=True)
    await send(api, notification, 2)
    seen = await api.execute(RecoverAlert(rule_id=rule, app="default", at=now, reason="quiet"))
    history = (await get(api, f"{path}/history", seen))["history"]
    assert [one["kind"] for one in history] == ["recovered", "notification", "triggered"]
    recovered, message, triggered = history
    assert recovered["recovered"]["reason"] == "quiet"
    assert (triggered["triggered"]["value"], triggered["triggered"]["silenced"]) == (6, True)
    sent = message["notification"]
    assert (sent["id"], sent["status"], sent["alerts"]) == (str(notification), "sent", 3)
    reasons = [(one["attempt"], one["succeeded"], one["reason"]) for one in sent["attempts"]]
    assert reasons == [(1, False, "no answer within 10 s"), (2, True, None)]


async def test_the_documented_entries_have_the_fields_of_real_ones(api: Api) -> None:
    path = await created(api)
    await api.execute(TriggerAlert(alert=facts(rule_id=rule_id(path))))
    notification = await queue(api, rule_id(path))
    seen = await fail(api, notification, 1, "no", again=True)
    real = await get(api, f"{path}/history", seen)
    example = GET_HISTORY.replies[200].example
    assert _shape(real["history"]) == _shape(example["history"])


def _shape(value: Any) -> Any:
    """Names without values, however deep."""
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return None


@pytest.mark.parametrize(
    ("attempts", "status"),
    [("", "queued"), ("r", "retrying"), ("rg", "given_up"), ("g", "given_up"), ("rs", "sent")],
)
async def test_a_message_shows_its_fate(api: Api, attempts: str, status: str) -> None:
    path = await created(api)
    notification = await queue(api, rule_id(path))
    for number, how in enumerate(attempts, 1):
        if how == "s":
            await send(api, notification, number)
        else:
            await fail(api, notification, number, "no", again=how == "r")
    seen = await api.container.store.head()
    (entry,) = (await get(api, f"{path}/history", seen))["history"]
    assert entry["notification"]["status"] == status


async def test_a_message_shows_in_which_other_it_was_summed_up(api: Api) -> None:
    path = await created(api)
    waited = await queue(api, rule_id(path))
    summary = await queue(api, rule_id(path), sums_up=(waited,))
    seen = await api.container.store.head()
    newest, oldest = (await get(api, f"{path}/history", seen))["history"]
    told = oldest["notification"]
    assert (told["status"], told["summed_up_by"]) == ("summed_up", str(summary))
    assert newest["notification"]["summed_up_by"] is None


async def test_the_history_is_walked_page_by_page(api: Api) -> None:
    path = await created(api)
    for _ in range(5):
        await queue(api, rule_id(path))
    seen = await api.container.store.head()
    positions: list[int] = []
    cursor = ""
    while cursor is not None:
        page = await get(api, f"{path}/history?limit=2{cursor and '&cursor='}{cursor}", seen)
        positions += [one["position"] for one in page["history"]]
        cursor = page["next_cursor"]
    assert positions == sorted(positions, reverse=True)
    assert len(positions) == 5


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=no", "cursor=p"])
async def test_a_wrong_page_is_named(api: Api, query: str) -> None:
    answer = await api.get(f"{await created(api)}/history?{query}")
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == query.partition("=")[0]


async def test_a_message_on_its_way_leads_to_the_history_of_a_deleted_rule(api: Api) -> None:
    path = await created(api)
    notification = await queue(api, rule_id(path))
    await api.delete(path)
    seen = await send(api, notification, 1)
    (entry,) = (await get(api, f"{path}/history", seen))["history"]
    assert entry["notification"]["status"] == "sent"
    other = {"X-API-Key": await api.issue("read", app="test-app")}
    assert (await api.get(f"{path}/history", headers=other)).status_code == 404


async def test_a_rule_that_never_was_has_no_history(api: Api) -> None:
    assert (await api.get(f"/api/alerts/rules/{uuid4()}/history")).status_code == 404


async def test_the_last_message_tells_whether_an_integration_works(api: Api) -> None:
    def status(listed: Any) -> tuple[str, str | None]:
        (webhook,) = [one for one in listed["integrations"] if one["name"] == "webhook"]
        return webhook["status"], webhook["reason"]

    integrations = "/api/settings/integrations"
    wish = {"config": {"url": "https://hooks.example.com/x"}}
    answer = await api.put(f"{integrations}/webhook", json=wish)
    assert answer.status_code == 200, answer.text
    rule = uuid4()
    seen = await fail(api, await queue(api, rule), 1, not_configured("webhook"), again=False)
    assert status(await get(api, integrations, seen)) == ("configured", None)
    seen = await fail(api, await queue(api, rule), 1, "it answered 500", again=True)
    assert status(await get(api, integrations, seen)) == ("failing", "it answered 500")
    seen = await send(api, await queue(api, rule), 1)
    assert status(await get(api, integrations, seen)) == ("connected", None)
