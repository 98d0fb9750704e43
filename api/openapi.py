"""The OpenAPI document, built from what the routes say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from litestar.handlers import BaseRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from api.answers import Failure, PlainFailure, of_second_document
from api.limits import rate_of
from api.operations import (
    AS_OF,
    CONTENT_ENCODING,
    IF_NONE_MATCH,
    Operation,
    Parameter,
    Reply,
)
from api.past import BuildingBody, PlainBuildingBody
from domain.vocabulary import CHANNELS

Json = dict[str, Any]

_REF = "#/components/schemas/{name}"
_PATH_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")

_DESCRIPTION = """\
Report errors, read them back, resolve them.

Answers of `/api` are envelopes: `{"data": ..., "status": "success"}`, or
`{"error": "<what and why>", "status": "error", "code": "..."}` with `fields` where a request is
wrong. Those of `/api/v1` and `/dashboard/api` have another one: `{"success": true, ...}`, or
`{"success": false, "error": "..."}` with `fields`. Those of `/health` and its probes, `/` and
`/metrics` have none. Times are UTC (RFC 3339), ids are UUIDs.

Every write answers with `X-Event-Position`; a read that sends it back as `X-Min-Position` sees
that write. Reads from read models answer with `X-Read-Position`: what they show includes
everything up to there. Every answer carries `X-Request-ID`: the one sent, or a new one.

Answers to GET have an `ETag`; sent back as `If-None-Match`, it makes the answer 304 while nothing
has changed. Where `RATE_LIMITS` is on, each key has a budget a minute for each class of requests
(`x-rate-limit`), which comes back evenly; `RateLimit-*` headers say what is left of it.
"""

_FAILURES: Mapping[int, tuple[str, str, str]] = {
    400: ("The request is wrong; `fields` name what.", "bad_request", "message: is required"),
    401: (
        "No key, or one that is unknown, expired or revoked.",
        "unauthorized",
        "the X-API-Key header is missing",
    ),
    403: (
        "The key lacks the permission, or belongs to another application.",
        "forbidden",
        "this needs the permission 'write'; the key holds: read",
    ),
    404: ("There is no such thing, or no more.", "not_found", "no such error"),
    405: ("The path knows other methods: see `Allow`.", "method_not_allowed", "PATCH is not ..."),
    409: ("The current state forbids it.", "conflict", "the error has been deleted since"),
    413: (
        "The body is over 1 MiB, as sent or opened; of a batch, over 16 MiB.",
        "too_large",
        "the body is larger than 1048576 bytes",
    ),
    415: (
        "The body is not declared as JSON, or compressed in a way that nobody here opens.",
        "unsupported_media_type",
        "the body is declared as text/plain, and this route reads JSON",
    ),
    429: (
        "The key has used up its requests of this class; try again after `Retry-After` seconds.",
        "rate_limited",
        "this key has made more requests of the class 'general' than the 500 a minute that it may",
    ),
    503: (
        "A part that is needed is away or behind; try again after `Retry-After` seconds.",
        "redis_unavailable",
        "Redis, which holds the read models, is away",
    ),
}

_BUDGET: Mapping[str, str] = {
    "RateLimit-Limit": "Requests a minute of this class.",
    "RateLimit-Remaining": "Requests that could be made at once.",
    "RateLimit-Reset": "Seconds until the whole budget is there again.",
}

_PATH_VALUES: Mapping[str, list[str]] = {"integration": list(CHANNELS)}
"""Path parameters that are one of a few words."""

_PATH_TEXTS: Mapping[str, str] = {
    "app_version": "The version of the application.",
    "app_id": "The application's id.",
}
"""Path parameters that are any text; all others are UUIDs."""

_TAGS: list[Json] = [
    {"name": "errors", "description": "Report, read and change errors."},
    {"name": "ingest", "description": "Batches of events from applications."},
    {"name": "source maps", "description": "Original places for compiled code."},
    {"name": "alerts", "description": "Alert rules and incidents."},
    {"name": "analytics", "description": "Statistics and trends."},
    {"name": "monitoring", "description": "Services, host, uptime, custom checks."},
    {"name": "dashboard", "description": "Occurrences, codes, trends."},
    {"name": "settings", "description": "Keys, team, integrations, applications."},
    {"name": "audit", "description": "Everything that has happened."},
    {"name": "rebuilds", "description": "Read models built anew from the log."},
    {"name": "health", "description": "Health, metrics, entry points."},
]


def build_document(routes: Iterable[BaseRoute], version: str) -> Json:
    """The document of all routes whose handlers carry an Operation."""
    paths: Json = {}
    structs: set[type] = {Failure, PlainFailure}
    for path, method, operation, name in described(routes):
        structs |= _structs_of(operation)
        item = paths.setdefault(_PATH_PARAMETER.sub(r"{\1}", path), {})
        document = _operation(operation, name, _PATH_PARAMETER.findall(path))
        if operation.permission and method == "GET":
            _make_conditional(document)
        if operation.as_of:
            structs |= {BuildingBody, PlainBuildingBody}
            _let_look_back(document, path)
        if of_second_document(path):
            _say_plainly(document)
        item[method.lower()] = document
    schemas = msgspec.json.schema_components(
        sorted(structs, key=lambda struct: struct.__name__), ref_template=_REF
    )[1]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Errata",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": _TAGS,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "headers": _headers(),
        },
    }


def described(routes: Iterable[BaseRoute]) -> Iterable[tuple[str, str, Operation, str]]:
    """(path, method, operation, handler's name) of every route that describes itself."""
    for route in routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                operation = operation_of(handler)
                if operation is not None:
                    yield route.path, method, operation, handler.handler_name


def operation_of(handler: BaseRouteHandler) -> Operation | None:
    """What a handler says of itself."""
    found = handler.opt.get("operation")
    return found if isinstance(found, Operation) else None


def _structs_of(operation: Operation) -> set[type]:
    bodies = {reply.body for reply in operation.replies.values()}
    structs = {body for body in bodies if body not in (None, dict)}
    return structs | ({operation.body.struct} if operation.body else set())


def _operation(operation: Operation, name: str, path_parameters: list[str]) -> Json:
    permission = operation.permission
    needs = f"Needs the permission `{permission}`." if permission else "Needs no key."
    if operation.without_key:
        needs += " Outside production, `test-app` is shown without a key."
    document: Json = {
        "operationId": name,
        "summary": operation.summary,
        "description": " ".join(filter(None, [operation.description, needs])),
        "tags": [operation.tag],
        "parameters": [
            *map(_path_parameter, path_parameters),
            *map(_parameter, operation.parameters),
        ],
        "responses": _responses(operation),
        "security": [{"apiKey": []}, {"bearer": []}] if permission else [],
    }
    if permission:
        document["x-permission"] = str(permission)
        document["x-rate-limit"] = str(rate_of(operation))
    if operation.body is not None:
        document["parameters"].append(_parameter(CONTENT_ENCODING))
        document["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _ref(operation.body.struct),
                    "examples": {n: {"value": v} for n, v in operation.body.examples.items()},
                }
            },
        }
    return document


def _make_conditional(document: Json) -> None:
    """What every GET of the API does besides: see api.conditional."""
    document["parameters"].append(_parameter(IF_NONE_MATCH))
    names = ("X-Request-ID", "ETag", "Cache-Control", "X-Read-Position")
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    document["responses"]["200"]["headers"] |= headers
    nothing_new = {"description": "What the client has still holds.", "headers": headers}
    document["responses"]["304"] = nothing_new


def _let_look_back(document: Json, path: str) -> None:
    """What a route says besides that can answer as of a moment."""
    document["parameters"].append(_parameter(AS_OF))
    plainly = of_second_document(path)
    progress = {"position": 120_000, "target": 250_000}
    schema = _ref(PlainBuildingBody) if plainly else _envelope(_ref(BuildingBody))
    said: Json = {"data": progress, "status": "success"}
    example = {"success": True, **progress} if plainly else said
    names = ("X-Request-ID", "Retry-After")
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    document["responses"]["202"] = {
        "description": "The moment of `as_of` is being prepared: so far it has come.",
        "headers": headers,
        "content": {"application/json": {"schema": schema, "example": example}},
    }
    document["responses"].setdefault("400", _failure(400))


def _say_plainly(document: Json) -> None:
    """The failures of the second document's routes are in that document's words."""
    for status, response in document["responses"].items():
        if int(status) >= 400:
            content = response["content"]["application/json"]
            content["schema"] = _ref(PlainFailure)
            content["example"] = {"success": False, "error": content["example"]["error"]}


def _responses(operation: Operation) -> Json:
    responses = {status: _reply(reply) for status, reply in operation.replies.items()}
    failures = set(operation.failures) | ({401, 403, 429, 503} if operation.permission else set())
    for status in failures - set(responses):
        responses[status] = _failure(status)
    return {str(status): responses[status] for status in sorted(responses)}


def _reply(reply: Reply) -> Json:
    headers: Json = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}
    if reply.position:
        headers["X-Event-Position"] = {"$ref": "#/components/headers/X-Event-Position"}
    document: Json = {"description": reply.description, "headers": headers}
    if reply.body is not None:
        example = reply.example
        schema = _ref(reply.body)
        if reply.enveloped:
            example = {"data": example, "status": "success"}
            schema = _envelope(schema)
        shown = {} if reply.example is None else {"example": example}
        document["content"] = {reply.media_type: {"schema": schema, **shown}}
    elif reply.media_type != "application/json":
        document["content"] = {reply.media_type: {"schema": {"type": "string"}}}
    for media_type in reply.files:
        document["content"][media_type] = {"schema": {"type": "string"}}
    return document


def _envelope(schema: Json) -> Json:
    return {
        "type": "object",
        "properties": {"data": schema, "status": {"const": "success"}},
        "required": ["data", "status"],
    }


def _failure(status: int) -> Json:
    description, code, text = _FAILURES[status]
    headers: Json = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}
    if status == 429:
        budget = (*_BUDGET, "RateLimit-Policy")
        headers |= {name: {"$ref": f"#/components/headers/{name}"} for name in budget}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    example: Json = {"error": text, "status": "error", "code": code}
    if status == 400:
        example["fields"] = [{"field": "message", "problem": "is required"}]
    return {
        "description": description,
        "headers": headers,
        "content": {"application/json": {"schema": _ref(Failure), "example": example}},
    }


def _path_parameter(name: str) -> Json:
    thing = name.removesuffix("_id").replace("_", " ")
    schema: Json = {"type": "string", "format": "uuid"}
    description = f"The {thing}'s id."
    if name in _PATH_VALUES:
        schema, description = {"type": "string", "enum": _PATH_VALUES[name]}, f"Which {thing}."
    elif name in _PATH_TEXTS:
        schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\S"}
        description = _PATH_TEXTS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def _parameter(parameter: Parameter) -> Json:
    document: Json = {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    if parameter.example is not None:
        document["example"] = parameter.example
    return document


def _ref(struct: type) -> Json:
    if struct is dict:
        return {"type": "object"}
    return {"$ref": _REF.format(name=struct.__name__)}


def _headers() -> Json:
    return {
        "X-Request-ID": {
            "description": "The request's id: the one sent, or a new one.",
            "schema": {"type": "string"},
        },
        "X-Event-Position": {
            "description": "The position of the write in the log, for X-Min-Position.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "X-Read-Position": {
            "description": "The answer shows everything up to this position of the log, and may "
            "show what came after it. Absent where it comes from no read model.",
            "schema": {"type": "integer", "minimum": 0},
        },
        "ETag": {
            "description": "Differs when the answer does; of things with a `version`, the version.",
            "schema": {"type": "string"},
            "example": '"3"',
        },
        "Cache-Control": {
            "description": "To be kept by the client alone, and to be asked about each time.",
            "schema": {"const": "private, max-age=0, must-revalidate"},
        },
        **{
            name: {"description": about, "schema": {"type": "integer", "minimum": 0}}
            for name, about in _BUDGET.items()
        },
        "RateLimit-Policy": {
            "description": "The limit and its seconds, such as 500;w=60.",
            "schema": {"type": "string"},
        },
        "Retry-After": {
            "description": "Seconds to wait before the next attempt.",
            "schema": {"type": "integer", "minimum": 1},
        },
    }
