"""GET /api/admin/consistency: one error at once, everything in the background."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
import redis

from projections.error_groups import ErrorGroups
from projections.error_groups.layout import report_field
from projections.versions import live_spaces
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from infra.settings import Settings
    from tests.api.conftest import Api

PATH = "/api/admin/consistency"


async def checked(api: Api, error_id: str) -> dict[str, Any]:
    answer = await api.get(PATH, params={"error_id": error_id})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def spoil(settings: Settings, error_id: str) -> None:
    """Let lists say 7 of the error's reports."""
    with redis.Redis.from_url(settings.redis_url_or_fail()) as client:
        (space,) = live_spaces(client, [ErrorGroups()])
        key, field = f"{space.prefix}documents", report_field(UUID(error_id).bytes)
        found: Any = client.hget(key, field)
        document = msgspec.json.decode(found) | {"count": 7}
        client.hset(key, field, msgspec.json.encode(document))


async def test_an_error_is_what_its_events_say(api: Api) -> None:
    error = await api.report()
    await api.get("/api/errors")
    found = await checked(api, error["id"])
    assert (found["status"], found["consistent"]) == ("done", True)
    by_name = {one["read_model"]: one for one in found["read_models"]}
    assert {"error_groups", "stats", "codes", "dashboard_trends"} <= by_name.keys()
    assert all(one["consistent"] for one in by_name.values())


async def test_a_spoilt_error_is_found_with_field_and_event(api: Api, settings: Settings) -> None:
    error = await api.report()
    await api.get("/api/errors")
    spoil(settings, error["id"])
    found = await checked(api, error["id"])
    assert found["consistent"] is False
    (wrong,) = (one for one in found["read_models"] if not one["consistent"])
    assert wrong["read_model"] == "error_groups"
    (finding,) = wrong["findings"]
    assert finding["field"] == f"{error['id']} latest report: count"
    assert (finding["found"], finding["expected"]) == ("7", "1")
    assert (finding["stream_id"], finding["last_event"]) == (error["id"], found["position"])


async def test_what_a_deleted_error_left_behind_is_found(api: Api, settings: Settings) -> None:
    error = await api.report()
    await api.delete(f"/api/errors/{error['id']}")
    await api.get("/api/errors")
    with redis.Redis.from_url(settings.redis_url_or_fail()) as client:
        (space,) = live_spaces(client, [ErrorGroups()])
        client.hset(f"{space.prefix}documents", report_field(UUID(error["id"]).bytes), "{}")
    found = await checked(api, error["id"])
    (wrong,) = (one for one in found["read_models"] if not one["consistent"])
    assert wrong["findings"][0]["expected"] is None


async def test_an_unknown_error_is_404_and_no_id_is_400(api: Api) -> None:
    assert (await api.get(PATH, params={"error_id": str(uuid4())})).status_code == 404
    wrong = await api.get(PATH, params={"error_id": "7"})
    assert wrong.status_code == 400
    assert wrong.json()["fields"][0]["field"] == "error_id"


async def test_everything_is_compared_in_the_background_once_at_a_time(
    api: Api, settings: Settings
) -> None:
    error = await api.report()
    await api.get("/api/errors")
    spoil(settings, error["id"])
    checks: Any = api.container.consistency
    checks.patience = 0.0
    begun, again = await asyncio.gather(api.get(PATH), api.get(PATH))
    assert (begun.status_code, again.status_code) == (202, 202)
    assert begun.headers["retry-after"] == "1"
    deadline = monotonic() + PATIENCE
    while (answer := await api.get(PATH)).status_code == 202:
        assert monotonic() < deadline, answer.text
        await asyncio.sleep(0.05)
    found = answer.json()["data"]
    assert (found["status"], found["consistent"], found["error_id"]) == ("done", False, None)
    wrong = [one["read_model"] for one in found["read_models"] if not one["consistent"]]
    assert wrong == ["error_groups"]
    assert (await api.get(PATH)).json()["data"]["finished_at"] == found["finished_at"]
