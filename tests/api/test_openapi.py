"""The OpenAPI document: valid, complete, and usable without the internet."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

import msgspec
import pytest
from litestar.routes import HTTPRoute
from openapi_spec_validator import validate

from api import app as application
from api.intake import Sender, read_report, to_command
from api.openapi import described, operation_of
from domain.scrubbing import Scrubber

NOW = datetime(2026, 1, 1, tzinfo=UTC)

if TYPE_CHECKING:
    from typing import Any

    from tests.api.conftest import Api


@pytest.fixture
async def document(api_alone: Api) -> dict[str, Any]:
    return dict((await api_alone.get("/docs/openapi.json")).json())


async def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


async def test_every_route_is_described(api_alone: Api) -> None:
    app = api_alone.app
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            assert method == "OPTIONS" or operation_of(handler) is not None


def test_every_guarded_route_needs_a_permission() -> None:
    for handler in application.GUARDED_ROUTES:
        operation = operation_of(handler)
        assert operation is not None
        assert operation.permission is not None


async def test_the_examples_of_reports_are_reports(document: dict[str, Any]) -> None:
    content = document["paths"]["/api/errors"]["post"]["requestBody"]["content"]
    for example in content["application/json"]["examples"].values():
        report = read_report(msgspec.json.encode(example["value"]))
        assert to_command(report, "default", Sender(), Scrubber(), report.timestamp or NOW)


async def test_the_page_shows_every_operation_and_asks_nobody_else(api_alone: Api) -> None:
    answer = await api_alone.get("/docs")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script" not in answer.text
    assert "//cdn" not in answer.text
    for _, _, operation, name in described(api_alone.app.routes):
        assert f'id="{name}"' in answer.text
        assert escape(operation.summary) in answer.text
