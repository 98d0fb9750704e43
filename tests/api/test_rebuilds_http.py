"""Rebuilds over HTTP: asked for, followed, cancelled, undone; and reads meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import redis

from projections.error_groups import ErrorGroups
from projections.projection import ACTIVE
from projections.registry import READ_MODELS
from projections.versions import build_of
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from infra.settings import Settings
    from tests.api.conftest import Api

GROUPS = ErrorGroups()
PATH = "/api/admin/rebuilds"


async def asked(api: Api, path: str = PATH, **body: Any) -> dict[str, Any]:
    """A rebuild that was asked for."""
    answer = await api.post(path, json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json()["data"])


async def followed(api: Api, rebuild: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """All events of a rebuild, up to its end."""
    events = []
    async with asyncio.timeout(PATIENCE):
        answer = await api.get(f"{PATH}/{rebuild['id']}/events", timeout=20)
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    for block in answer.text.split("\n\n"):
        if block.startswith("event: "):
            name, data = block.split("\n")
            document = msgspec.json.decode(data.removeprefix("data: "), type=dict[str, Any])
            events.append((name.removeprefix("event: "), document))
    return events


async def test_a_rebuild_is_followed_to_its_end_and_seen_in_the_list(api: Api) -> None:
    await api.report()
    rebuild = await asked(api, read_models=[GROUPS.name], expect_same=True)
    assert (rebuild["status"], rebuild["kind"]) == ("waiting", "rebuild")
    events = await followed(api, rebuild)
    assert [name for name, _ in events][-1] == "end"
    ended = events[-1][1]
    assert ended["status"] == "done", ended
    (part,) = ended["read_models"]
    assert (part["differences"], part["differing"]) == (0, [])
    listed = (await api.get(PATH)).json()["data"]
    assert listed["rebuilds"] == [ended]
    assert (await api.get(f"{PATH}/{rebuild['id']}")).json()["data"] == ended
    live = {one["name"]: one for one in listed["read_models"]}
    assert live.keys() == {model.name for model in READ_MODELS}
    assert live[GROUPS.name] == {
        "name": GROUPS.name,
        "version": build_of(GROUPS.version, 1),
        "kept_version": GROUPS.version,
    }


async def test_reads_go_on_over_the_swap_and_back(api: Api) -> None:
    """Written before, between and after: each read has seen the write before it."""
    made = await api.report()
    counts = []
    for path, body in ((PATH, {"all": True}), (f"{PATH}/rollback", {})):
        rebuild = await asked(api, path, **body)
        following = asyncio.create_task(followed(api, rebuild))
        while not following.done():
            written = await api.post("/api/errors", json={"message": "again", "source": "b"})
            position = written.headers["X-Event-Position"]
            read = await api.get(
                f"/api/errors/{written.json()['data']['id']}", headers={"X-Min-Position": position}
            )
            assert read.status_code == 200, read.text
            counts.append(read.json()["data"]["count"])
            listed = await api.get("/api/errors", headers={"X-Min-Position": position})
            assert listed.json()["data"]["total"] == 2
        assert (await following)[-1][1]["status"] == "done"
    assert counts == list(range(1, len(counts) + 1))
    await asyncio.sleep(0.5)
    assert api.container.positions.space(GROUPS.name) == GROUPS.keyspace()
    assert (await api.get(f"/api/errors/{made['id']}")).json()["data"]["count"] == 1


async def test_a_mended_read_model_answers_anew_at_the_same_position(
    api: Api, settings: Settings
) -> None:
    """Answers that are kept in memory belong to the version that they were made from."""
    await api.report()
    before = (await api.get("/api/stats")).json()["data"]
    with redis.Redis.from_url(settings.redis_url_or_fail()) as client:
        live = "errata:{stats.v"
        for key in client.scan_iter(match=f"{live}*"):
            if client.type(key) == b"hash":
                numbers = [one for one, value in client.hgetall(key).items() if value.isdigit()]
                client.hset(key, mapping=dict.fromkeys(numbers, 77))
    spoilt = (await api.get("/api/stats?app=default")).json()["data"]
    assert spoilt["total_errors"] == 77
    await followed(api, await asked(api, read_models=["stats"]))
    await asyncio.sleep(0.5)
    assert (await api.get("/api/stats?app=default")).json()["data"]["total_errors"] == 1
    assert (await api.get("/api/stats")).json()["data"] == before


def all_live(settings: Settings) -> None:
    """As if a worker had begun."""
    with redis.Redis.from_url(settings.redis_url_or_fail()) as client:
        client.hset(ACTIVE, mapping={model.name: model.version for model in READ_MODELS})


async def test_what_is_being_built_is_refused_until_it_is_cancelled(
    api_alone: Api, settings: Settings
) -> None:
    api = api_alone
    all_live(settings)
    first = await asked(api, read_models=[GROUPS.name])
    refused = await api.post(PATH, json={"all": True})
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        f"error_groups is being built already, by rebuild {first['id']}",
    )
    cancelled = await api.delete(f"{PATH}/{first['id']}")
    assert cancelled.status_code == 202
    assert cancelled.json()["data"]["cancelled_by"] == first["requested_by"]


async def test_nobody_rebuilds_everything_by_mistake(api_alone: Api, settings: Settings) -> None:
    """Nor with a misspelt field."""
    all_live(settings)
    both = {"read_models": ["stats"], "all": True}
    for body in ({}, {"read_model": ["stats"]}, {"read_models": None}, {"all": False}, both):
        answer = await api_alone.post(PATH, json=body)
        assert (answer.status_code, answer.json()["error"]) == (
            400,
            'read_models: must be given, or "all": true in its place',
        )
    assert len((await asked(api_alone, all=True))["read_models"]) == len(READ_MODELS)


async def test_the_index_in_postgresql_is_left_to_the_command_line(api_alone: Api) -> None:
    answer = await api_alone.post(PATH, json={"read_models": ["occurrences"]})
    assert answer.status_code == 400
    assert "; occurrences is rebuilt by the command line" in answer.text


async def test_what_cannot_be_is_said(api_alone: Api, settings: Settings) -> None:
    api = api_alone
    nothing_yet = await api.post(PATH, json={"read_models": ["stats"]})
    assert nothing_yet.status_code == 409
    all_live(settings)
    for body, problem in (
        ({"read_models": ["stast"]}, "there is no 'stast' to be rebuilt: there are error_groups"),
        ({"read_models": []}, "must name at least one, and each once"),
        ({"read_models": ["stats", "stats"]}, "must name at least one, and each once"),
        ({"read_models": "stats"}, "must be a list of strings"),
    ):
        for path in (PATH, f"{PATH}/rollback"):
            answer = await api.post(path, json=body)
            assert answer.status_code == 400
            (field,) = answer.json()["fields"]
            assert field["field"] == "read_models"
            assert field["problem"].startswith(problem)
    nothing_kept = await api.post(f"{PATH}/rollback")
    assert nothing_kept.json()["error"] == "no earlier version of any read model is kept"
    assert nothing_kept.status_code == 409
    for method, end in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        answer = await api.request(method, f"{PATH}/{uuid4()}{end}")
        assert (answer.status_code, answer.json()["error"]) == (404, "no such rebuild")


async def test_a_key_of_one_application_may_not(api_alone: Api) -> None:
    key = await api_alone.issue("admin", app="test-app")
    for method, path in (("GET", PATH), ("POST", PATH), ("POST", f"{PATH}/rollback")):
        answer = await api_alone.request(method, path, json={}, headers={"X-API-Key": key})
        assert answer.status_code == 403
