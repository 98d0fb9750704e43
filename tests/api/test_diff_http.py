"""GET /api/admin/diff: what changed between two moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Api

PATH = "/api/admin/diff"


async def changes(api: Api, **moments: Any) -> Any:
    """The changes between two moments."""
    answer = await api.get(PATH, params=moments)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["changes"]


async def test_it_names_what_is_new_gone_resolved_and_back(api: Api) -> None:
    gone, solved, back = [await api.report(message=word) for word in ("gone", "solved", "back")]
    await api.put(f"/api/errors/{back['id']}/resolve")
    start = await api.container.store.head()
    await api.delete(f"/api/errors/{gone['id']}")
    await api.put(f"/api/errors/{solved['id']}/resolve")
    await api.report(message="back")
    new = await api.report(message="new")
    found = await changes(api, **{"from": start})
    kinds = {"new": new, "gone": gone, "resolved": solved, "regressed": back}
    for kind, error in kinds.items():
        (one,) = found[kind]["errors"]
        assert (one["id"], one["message"]) == (error["id"], error["message"])
    assert (found["reopened"]["count"], found["more"]["count"]) == (0, 0)
    assert (found["errors"], found["resolved_errors"], found["occurrences"]) == (0, 0, 1)


async def test_by_default_it_is_of_the_last_day(api: Api) -> None:
    await api.report()
    assert (await changes(api))["new"]["count"] == 1


async def test_a_moment_and_itself_do_not_differ(api: Api) -> None:
    await api.report()
    found = await changes(api, **{"from": 2, "to": 2})
    assert found["occurrences"] == 0


@pytest.mark.parametrize(
    ("moments", "field"),
    [
        ({"from": "2", "to": "1"}, "from"),
        ({"from": "then"}, "from"),
        ({"to": "2999-01-01T00:00:00Z"}, "to"),
    ],
)
async def test_what_cannot_be_compared_is_refused(
    api: Api, moments: dict[str, str], field: str
) -> None:
    answer = await api.get(PATH, params=moments)
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == field


async def test_a_key_of_one_application_may_not_compare(api: Api) -> None:
    key = await api.issue("admin", "read", app="default")
    answer = await api.get(PATH, headers={"X-API-Key": key})
    assert answer.status_code == 403
