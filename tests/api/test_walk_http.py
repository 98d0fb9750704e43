"""A newcomer walks every row of the document's endpoint table, on a system just started.

Each answer has all fields of the document's example, of the same types. What may be null is named.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.api import document as doc
from tests.e2e.instance import Instance
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

"""Seconds within which each service has been probed and the host sampled."""

FREE_FORM = ("context", "details", "config")
"""Objects whose fields depend on what is in them."""


def differences(expected: object, found: object, nulls: tuple[str, ...], where: str) -> list[str]:
    """Where an answer lacks a field of the document's, or has another type in it. Fields named in
    `nulls` may be null."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return [f"{where}: {found!r} is no object"]
        if where.rpartition(".")[2] in FREE_FORM:
            return []
        return [
            problem
            for name, value in expected.items()
            if not (name in nulls and name in found and found[name] is None)
            for problem in differences(value, found.get(name), nulls, f"{where}.{name}")
        ]
    if isinstance(expected, list):
        if not isinstance(found, list) or not found:
            return [f"{where}: {found!r} is no list with something in it"]
        return [
            problem
            for number, one in enumerate(found)
            for problem in differences(expected[0], one, nulls, f"{where}[{number}]")
        ]
    same = _kind(expected) == _kind(found)
    return [] if same else [f"{where}: {found!r} is no {_kind(expected)}"]


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "time" if _is_time(value) else "text"
    return type(value).__name__


def _is_time(text: str) -> bool:
    """Whether a text is a time in UTC, RFC 3339, with Z."""
    if not (text.endswith("Z") and text[10:11] == "T"):
        return False
    return datetime.fromisoformat(text).tzinfo is not None


class Walk:
    """The rows walked so far. Every read waits for the write before it."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.rows: dict[str, list[str]] = {}
        self._seen = "0"

    def ask(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        """The data of one answer."""
        answer = self._answer(method, path, status, **request)
        self._seen = answer.headers.get("X-Event-Position", self._seen)
        if status == 204:
            assert answer.content == b""
            return None
        assert answer.headers["Content-Type"] == "application/json"
        assert set(answer.json()) == {"data", "status"}
        assert answer.json()["status"] == "success"
        return answer.json()["data"]

    def refused(self, method: str, path: str, status: int) -> None:
        """An answer that says why not."""
        body = self._answer(method, path, status).json()
        assert body["status"] == "error"
        assert isinstance(body["error"], str)

    def _answer(self, method: str, path: str, status: int, **request: Any) -> httpx.Response:
        headers = {"X-Min-Position": self._seen} if method == "GET" else {}
        answer = self.client.request(method, path, headers=headers, **request)
        assert answer.status_code == status, (method, path, answer.text)
        return answer

    def row(
        self,
        method: str,
        template: str,
        status: int = 200,
        *,
        shows: dict[str, Any] | None = None,
        nulls: tuple[str, ...] = (),
        id: str = "",  # noqa: A002 - the document's word
        **request: Any,
    ) -> Any:
        """One row of the table: its answer, which shows what the document shows."""
        data = self.ask(method, template.replace("{id}", id), status, **request)
        if shows is not None:
            assert differences(shows, data, nulls, template) == []
        row = template if (template, method) in doc.TABLE else template.removesuffix("/{id}")
        self.rows.setdefault(row, []).append(method)
        return data


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    running = Instance(tmp_path_factory.mktemp("walk") / "data").wait()
    yield running
    running.stop()


def test_every_row_answers_as_the_document_shows(instance: Instance) -> None:
    walk = Walk(instance.client)
    walk_health(walk)
    walk_errors(walk)
    walk_analytics(walk)
    walk_monitoring(walk)
    walk_alerts(walk)
    walk_settings(walk)
    walked = [(row, set(methods)) for row, methods in walk.rows.items()]
    assert walked == rows_of_the_document()


def rows_of_the_document() -> list[tuple[str, set[str]]]:
    """The table with one entry for each path, in its order."""
    rows: dict[str, set[str]] = {}
    for path, methods in doc.TABLE:
        rows.setdefault(path, set()).update(methods.split("/"))
    return list(rows.items())


def walk_health(walk: Walk) -> None:
    answer = walk.client.get("/health", headers={"X-API-Key": ""})
    assert answer.status_code == 200
    assert differences(doc.HEALTH, answer.json(), (), "/health") == []
    assert answer.json()["status"] == "ok"
    walk.rows["/health"] = ["GET"]


def walk_errors(walk: Walk) -> None:
    made = walk.row("POST", "/api/errors", 201, json=doc.REPORT, shows=doc.ERROR)
    assert {name: made[name] for name in doc.REPORT} == doc.REPORT
    assert (made["count"], made["resolved"]) == (1, False)
    listed = walk.row("GET", "/api/errors", shows=doc.ERRORS)
    assert (listed["errors"], listed["total"]) == ([made], 1)
    assert (listed["page"], listed["limit"]) == (1, 50)
    assert walk.row("GET", "/api/errors/{id}", id=made["id"], shows=doc.ERROR) == made
    resolved = walk.row("PUT", "/api/errors/{id}/resolve", id=made["id"], shows=doc.RESOLVED)
    assert resolved == doc.RESOLVED
    other = walk.ask("POST", "/api/errors", 201, json={"message": "other", "source": "api"})
    assert (other["level"], other["environment"]) == ("error", "production")
    walk.row("DELETE", "/api/errors/{id}", 204, id=other["id"])
    for wrong, status in ((other["id"], 404), ("550e8400", 400)):
        for method, end in (("GET", ""), ("PUT", "/resolve"), ("DELETE", "")):
            walk.refused(method, f"/api/errors/{wrong}{end}", status)


def walk_analytics(walk: Walk) -> None:
    stats = walk.row("GET", "/api/stats", shows=doc.STATS)
    assert (stats["total_errors"], stats["errors_today"]) == (1, 1)
    query = {"period": "week", "group_by": "day"}
    trends = walk.row("GET", "/api/analytics/trends", params=query, shows=doc.TRENDS)
    assert trends["period"] == "week"
    assert sum(point["error_count"] for point in trends["data_points"]) == 1
    shown = eventually_known(walk, "/api/analytics/performance", "avg_response_time")
    assert differences(doc.PERFORMANCE, shown, (), "performance") == []
    walk.row("GET", "/api/analytics/performance", shows=doc.PERFORMANCE)


def walk_monitoring(walk: Walk) -> None:
    # A service that no probe has reached yet is unknown, and its numbers are null.
    deadline = time.monotonic() + PATIENCE
    while walk.ask("GET", "/api/monitoring/services")["overall_health"] == "unknown":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    shown = walk.row("GET", "/api/monitoring/services", shows=doc.SERVICES)
    assert shown["overall_health"] == "healthy"
    services = {service["name"]: service for service in shown["services"]}
    database = doc.SERVICES["services"][0]["details"]
    assert differences(database, services["Database"]["details"], (), "Database") == []
    eventually_known(walk, "/api/monitoring/metrics", "cpu_usage_percent")
    walk.row("GET", "/api/monitoring/metrics", params={"timeframe": "1h"}, shows=doc.METRICS)
    # Nothing has been down yet.
    nulls = ("last_downtime",)
    uptime = walk.row("GET", "/api/monitoring/uptime", shows=doc.UPTIME, nulls=nulls)
    assert (uptime["incidents_count"], uptime["last_downtime"]) == (0, None)


def eventually_known(walk: Walk, path: str, field: str) -> Any:
    """The answer once a measured field is more than null."""
    deadline = time.monotonic() + PATIENCE
    while (data := walk.ask("GET", path))[field] is None:
        assert time.monotonic() < deadline, data
        time.sleep(0.2)
    return data


def walk_alerts(walk: Walk) -> None:
    # It has not triggered yet.
    asked, shows, nulls = doc.RULE_REQUEST, doc.RULE, ("last_triggered",)
    path = "/api/alerts/rules"
    rule = walk.row("POST", path, 201, json=asked, shows=shows, nulls=nulls)
    assert {name: rule[name] for name in asked} == asked
    assert walk.row("GET", path, shows=doc.RULES, nulls=nulls)["rules"] == [rule]
    body = {**asked, "enabled": False}
    changed = walk.row("PUT", f"{path}/{{id}}", id=rule["id"], json=body, shows=shows, nulls=nulls)
    assert (changed["id"], changed["enabled"]) == (rule["id"], False)
    walk.row("DELETE", f"{path}/{{id}}", 204, id=rule["id"])
    assert walk.ask("GET", path)["rules"] == []

    # Ids are UUIDs: the document's "user-123" is a member here.
    invited = {"email": "john@company.com", "role": "developer"}
    member = walk.ask("POST", "/api/settings/team/invite", 201, json=invited)["id"]
    asked, shows = {**doc.INCIDENT_REQUEST, "assigned_to": member}, doc.INCIDENT
    path = "/api/alerts/incidents"
    incident = walk.row("POST", path, 201, json=asked, shows=shows)
    assert {name: incident[name] for name in asked} == asked
    assert walk.row("GET", path, shows=doc.INCIDENTS)["incidents"] == [incident]
    body = {**asked, "status": "investigating"}
    changed = walk.row("PUT", f"{path}/{{id}}", id=incident["id"], json=body, shows=shows)
    assert (changed["id"], changed["status"]) == (incident["id"], "investigating")


def walk_settings(walk: Walk) -> None:
    path = "/api/settings/api-keys"
    asked = {**doc.KEY_REQUEST, "expires_at": "2035-12-31T23:59:59Z"}
    key = walk.row("POST", path, 201, json=asked, shows=doc.NEW_KEY)
    assert {name: key[name] for name in asked} == asked
    assert key["api_key"].startswith("sk_live_")
    # It was not used yet.
    listed = walk.row("GET", path, shows=doc.KEYS, nulls=("last_used",))["api_keys"]
    assert [one["id"] for one in listed] == [key["id"]]
    assert key["api_key"] not in str(listed)
    walk.row("DELETE", f"{path}/{{id}}", 204, id=key["id"])

    # Who was invited has no name and was never active.
    nulls = ("name", "last_active")
    members = walk.row("GET", "/api/settings/team", shows=doc.MEMBERS, nulls=nulls)["members"]
    assert [one["email"] for one in members] == ["john@company.com"]
    invite, asked = "/api/settings/team/invite", doc.INVITE_REQUEST
    member = walk.row("POST", invite, 201, json=asked, shows=doc.MEMBER, nulls=nulls)
    assert {name: member[name] for name in asked} == asked
    assert member["status"] == "invited"

    # Nothing was tested yet.
    path = "/api/settings/integrations"
    found = walk.row("GET", path, shows=doc.INTEGRATIONS, nulls=("last_test",))["integrations"]
    assert [one["name"] for one in found] == ["slack", "email", "webhook", "sms"]
