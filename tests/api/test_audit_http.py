"""What people change is in the log, under the name of who changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from infra.event_store.codec import from_row
from infra.event_store.reader import read_page
from tests.api.settings_tools import works

if TYPE_CHECKING:
    from domain.message import Recorded
    from tests.api.conftest import Api

CHECK = {"name": "Shop", "target": "https://shop.example.com/"}
RULE = {"name": "Many", "condition": "error_count > 5 in 5m"}
WEBHOOK = {"config": {"url": "https://example.com/hook", "secret": "a shared secret"}}


class Somebody:
    """A member who works with the API, and what they have caused so far."""

    def __init__(self, api: Api, database_url: str, member: dict[str, Any]) -> None:
        self._api = api
        self._database_url = database_url
        self._key = member["api_key"]
        self._head = 0
        self.actor = f"member:{member['id']}"

    async def does(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The data of an answer."""
        headers = {"X-API-Key": self._key}
        answer = await self._api.request(method, f"/api/{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return dict(answer.json()["data"]) if answer.content else {}

    def has_caused(self) -> list[str]:
        """The names of the events since the last time; all of them are this member's."""
        events = self._new_events()
        assert {event.context.actor for event in events} <= {self.actor}
        return [event.name for event in events]

    def forget(self) -> None:
        """Begin here."""
        self._new_events()

    def _new_events(self) -> list[Recorded[Any]]:
        with psycopg.connect(self._database_url) as connection:
            rows = read_page(connection, after=self._head, limit=1_000)
        self._head += len(rows)
        return [from_row(row) for row in rows]


async def joined(api: Api, database_url: str) -> Somebody:
    """An owner who has just joined."""
    path = "/api/settings/team"
    invite = {"email": "ann@example.com", "role": "owner"}
    token = (await api.post(f"{path}/invite", json=invite)).json()["data"]["invite_token"]
    answer = await api.post(f"{path}/accept", json={"token": token, "name": "Ann"})
    member = answer.json()["data"]
    assert await works(api, member["api_key"])
    ann = Somebody(api, database_url, member)
    ann.forget()
    return ann


async def test_keys_and_applications(api: Api, database_url: str) -> None:
    ann = await joined(api, database_url)
    key = await ann.does("POST", "settings/api-keys", {"name": "CI"})
    assert ann.has_caused() == ["ApiKeyIssued"]
    await ann.does("DELETE", f"settings/api-keys/{key['id']}")
    assert ann.has_caused() == ["ApiKeyRevoked"]
    await ann.does("POST", "settings/apps", {"id": "shop", "name": "The Shop"})
    assert sorted(ann.has_caused()) == ["ApiKeyIssued", "AppRegistered"]


async def test_invites_roles_and_removals(api: Api, database_url: str) -> None:
    ann = await joined(api, database_url)
    invite = {"email": "bob@example.com", "role": "viewer"}
    bob = await ann.does("POST", "settings/team/invite", invite)
    assert ann.has_caused() == ["MemberInvited"]
    accept = {"token": bob["invite_token"], "name": "Bob"}
    bobs = Somebody(api, database_url, {**bob, "api_key": ""})
    bobs.forget()
    await bobs.does("POST", "settings/team/accept", accept)
    assert bobs.has_caused() == ["MemberJoined", "ApiKeyIssued"]
    ann.forget()
    await ann.does("PUT", f"settings/team/{bob['id']}", {"role": "developer"})
    assert ann.has_caused() == ["MemberRoleChanged", "ApiKeyRoleChanged"]
    await ann.does("DELETE", f"settings/team/{bob['id']}")
    assert ann.has_caused() == ["MemberRemoved", "ApiKeyRevoked"]


async def test_integrations(api: Api, database_url: str) -> None:
    ann = await joined(api, database_url)
    path = "settings/integrations/webhook"
    await ann.does("PUT", path, WEBHOOK)
    assert ann.has_caused() == ["IntegrationConfigured"]
    await ann.does("PUT", path, {"config": None})
    assert ann.has_caused() == ["IntegrationCleared"]


async def test_rules_and_incidents(api: Api, database_url: str) -> None:
    ann = await joined(api, database_url)
    rule = await ann.does("POST", "alerts/rules", RULE)
    assert ann.has_caused() == ["AlertRuleCreated"]
    await ann.does("PUT", f"alerts/rules/{rule['id']}", {"enabled": False})
    assert ann.has_caused() == ["AlertRuleChanged"]
    await ann.does("DELETE", f"alerts/rules/{rule['id']}")
    assert ann.has_caused() == ["AlertRuleDeleted"]
    incident = await ann.does("POST", "alerts/incidents", {"title": "Down"})
    assert ann.has_caused() == ["IncidentOpened"]
    await ann.does("PUT", f"alerts/incidents/{incident['id']}", {"status": "investigating"})
    assert ann.has_caused() == ["IncidentChanged"]


async def test_checks(api: Api, database_url: str) -> None:
    ann = await joined(api, database_url)
    check = await ann.does("POST", "monitoring/checks", CHECK)
    assert ann.has_caused() == ["CheckCreated"]
    await ann.does("PUT", f"monitoring/checks/{check['id']}", {"enabled": False})
    assert ann.has_caused() == ["CheckChanged"]
    await ann.does("DELETE", f"monitoring/checks/{check['id']}")
    assert ann.has_caused() == ["CheckDeleted"]


async def test_no_key_and_no_secret_is_in_the_log(api: Api, database_url: str) -> None:
    ann = await joined(api, database_url)
    key = await ann.does("POST", "settings/api-keys", {"name": "CI"})
    invite = {"email": "bob@example.com", "role": "viewer"}
    token = (await ann.does("POST", "settings/team/invite", invite))["invite_token"]
    await ann.does("PUT", "settings/integrations/webhook", WEBHOOK)
    with psycopg.connect(database_url) as connection:
        rows = read_page(connection, after=0, limit=1_000)
    log = b"".join(row.data + row.metadata for row in rows).decode()
    for secret in (key["api_key"], token, "a shared secret"):
        assert secret not in log
