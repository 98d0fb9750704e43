"""Who has just written reads it, without saying so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.api.conftest import REPORT

if TYPE_CHECKING:
    from tests.api.conftest import Api


async def test_a_report_is_in_the_list_that_its_key_asks_for_next(api: Api) -> None:
    for number in range(1, 11):
        await api.post("/api/errors", json={**REPORT, "fingerprint": f"error {number}"})
        answer = await api.get("/api/errors?limit=1")
        assert answer.json()["data"]["total"] == number


async def test_a_change_is_everywhere_once_it_is_answered(api: Api) -> None:
    for _ in range(10):
        made = (await api.post("/api/errors", json=REPORT)).json()["data"]
        path = f"/api/errors/{made['id']}"
        await api.put(f"{path}/resolve")
        assert (await api.get(path)).json()["data"]["resolved"]
        assert (await api.get("/api/errors?resolved=true")).json()["data"]["total"] == 1
        await api.delete(path)
        assert (await api.get(path)).status_code == 404
        assert (await api.get("/api/errors")).json()["data"]["total"] == 0
