"""Every route of the app itself, and how to knock at it: tests that walk all of them adapt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

from api.openapi import described

if TYPE_CHECKING:
    import httpx

    from api.access import Route
    from api.operations import Operation
    from tests.api.conftest import Api

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


LEAST: dict[str, dict[str, bool | None]] = {
    "/api/alerts/rules/{rule_id}/silence": {"until": None},
    "/api/admin/rebuilds": {"all": True},
}
"""The smallest body of what cannot do without one, by path."""


def routes_of(api: Api) -> dict[Route, Operation]:
    """(method, path template) -> what the route says of itself."""
    return {
        (method, _PARAMETER.sub(r"{\1}", path)): operation
        for path, method, operation, _ in described(api.app.routes)
    }


async def knock(api: Api, route: tuple[str, str], key: str | None, **ids: str) -> httpx.Response:
    """An answer of a route to an empty wish; for a path parameter without a value in `ids`, some
    id that nothing has."""
    method, template = route
    path = _PARAMETER.sub(lambda found: ids.get(found[1]) or _value(found[1]), template)
    body = LEAST.get(template, {}) if method in ("POST", "PUT") else None
    request = api.build_request(method, path, json=body)
    request.headers.pop("X-API-Key")
    if key is not None:
        request.headers["X-API-Key"] = key
    return await api.send(request)


def _value(parameter: str) -> str:
    return "slack" if parameter == "integration" else str(uuid4())
