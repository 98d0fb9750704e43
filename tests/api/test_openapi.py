"""The OpenAPI document: valid, complete, and usable without the internet."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

import msgspec
import pytest
from jsonschema_rs import Draft202012Validator
from litestar.routes import HTTPRoute
from openapi_spec_validator import validate

from api import app as application
from api.access import ACCESS
from api.intake import Sender, read_report, to_command
from api.openapi import described, operation_of
from domain.scrubbing import Scrubber

NOW = datetime(2026, 1, 1, tzinfo=UTC)

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    assert not re.search(r'(src|href)="(\w+:)?//', answer.text)
    for _, _, operation, name in described(api_alone.app.routes):
        assert f'id="{name}"' in answer.text
        assert escape(operation.summary) in answer.text


async def test_the_introduction_tells_the_envelopes_apart(document: dict[str, Any]) -> None:
    """What it says is what the schemas say: one envelope, the other, or none."""
    said = document["info"]["description"]
    for name, operation in operations(document):
        if "404" not in operation["responses"]:
            continue
        path = name.split(" ")[1]
        failure = operation["responses"]["404"]["content"]["application/json"]["example"]
        assert ("success" in failure) is path.startswith(("/api/v1/", "/dashboard/api/"))
    assert "Every answer is an envelope" not in said
    for words in ("`/api/v1`", "`/dashboard/api`", '`{"success": true, ...}`', "`/health`"):
        assert words in said


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """("GET /path", operation) of all there are."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def examples(content: dict[str, Any]) -> Iterator[Any]:
    """All examples of a body."""
    for media in content.values():
        if "example" in media:
            yield media["example"]
        yield from (named["value"] for named in media.get("examples", {}).values())


async def test_every_operation_has_a_summary_and_a_tag_that_is_explained(
    document: dict[str, Any],
) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    used = set()
    for name, operation in operations(document):
        assert operation["summary"], name
        (tag,) = operation["tags"]
        used.add(tag)
    assert used == tags


async def test_every_operation_says_which_permission_it_needs(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        method, path = name.split(" ")
        needed = ACCESS[method, path]
        says = f"Needs the permission `{needed}`." if needed else "Needs no key."
        assert says in operation["description"], name
        assert bool(operation["security"]) is (needed is not None), name


async def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    lacking = []
    for name, operation in operations(document):
        bodies = {"request": operation.get("requestBody"), **operation["responses"]}
        for what, body in bodies.items():
            content = (body or {}).get("content", {})
            if "application/json" in content and not list(examples(content)):
                lacking.append((name, what))
    # Its example is itself.
    assert lacking == [("GET /docs/openapi.json", "200")]


async def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    wrong = []
    for name, operation in operations(document):
        for body in (operation.get("requestBody"), *operation["responses"].values()):
            for media in (body or {}).get("content", {}).values():
                schema = {**media["schema"], "components": document["components"]}
                validator = Draft202012Validator(schema)
                for example in examples({"": media}):
                    wrong += [(name, error.message) for error in validator.iter_errors(example)]
    assert wrong == []


async def test_every_parameter_has_a_description_and_one_name(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        parameters = operation["parameters"]
        assert all(parameter["description"] for parameter in parameters), name
        names = [(parameter["in"], parameter["name"]) for parameter in parameters]
        assert len(set(names)) == len(names), name


def is_id(schema: dict[str, Any]) -> bool:
    """Whether a path parameter names a thing that may not be there."""
    return schema.get("format") == "uuid"


async def test_every_operation_tells_how_it_fails(document: dict[str, Any]) -> None:
    lacking = []
    for name, operation in operations(document):
        places = {parameter["in"] for parameter in operation["parameters"]}
        expected: set[str] = set()
        if operation["security"]:
            expected |= {"401", "403", "503"}
        if places & {"query", "header"}:
            expected |= {"400"}
        if any(one["in"] == "path" and is_id(one["schema"]) for one in operation["parameters"]):
            expected |= {"400", "404"}
        if "requestBody" in operation:
            expected |= {"400", "413", "415"}
        lacking += [(name, status) for status in sorted(expected - set(operation["responses"]))]
    assert lacking == []
