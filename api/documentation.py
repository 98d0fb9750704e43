"""The OpenAPI document as one page for people: contents, operations by tag, failures, shapes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

Json = dict[str, Any]

_METHODS = ("get", "post", "put", "delete")


def documentation(document: Json) -> str:
    """The document as HTML."""
    info, schemas = document["info"], document["components"]["schemas"]
    operations = [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in sorted(item.items(), key=lambda one: _METHODS.index(one[0]))
    ]
    chapters = [
        (tag, [one for one in operations if tag["name"] in one[2]["tags"]])
        for tag in document["tags"]
    ]
    return "".join(
        [
            f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
            *(f"<p>{_prose(part)}</p>" for part in info["description"].split("\n\n")),
            '<p>For programs: <a href="/docs/openapi.json">/docs/openapi.json</a></p>',
            _contents(chapters),
            *(_chapter(tag, within) for tag, within in chapters),
            _failures(operation for _, _, operation in operations),
            '<h2 id="shapes">Shapes</h2>',
            *(_shape(name, schema) for name, schema in schemas.items()),
        ]
    )


# -- chapters ------------------------------------------------------------------------------------


def _contents(chapters: Iterable[tuple[Json, list[tuple[str, str, Json]]]]) -> str:
    parts = []
    for tag, operations in chapters:
        lines = "".join(
            f'<li>{_badge(method)} <a href="#{escape(operation["operationId"])}">'
            f"<code>{escape(path)}</code></a></li>"
            for path, method, operation in operations
        )
        name = escape(tag["name"])
        parts.append(f'<h3><a href="#{name}">{name}</a></h3><ul>{lines}</ul>')
    return f"<nav>{''.join(parts)}</nav>"


def _chapter(tag: Json, operations: Iterable[tuple[str, str, Json]]) -> str:
    name = escape(tag["name"])
    sections = "".join(_operation(*one) for one in operations)
    return f'<h2 id="{name}">{name.capitalize()}</h2><p>{_prose(tag["description"])}</p>{sections}'


def _operation(path: str, method: str, operation: Json) -> str:
    permission = operation.get("x-permission", "no key")
    answers = operation["responses"].items()
    good = [(status, answer) for status, answer in answers if not _is_failure(answer)]
    bad = [
        f'<a href="#failure-{status}">{status}</a>' for status, one in answers if _is_failure(one)
    ]
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f'<h3>{_badge(method)} <code>{escape(path)}</code> <span class="needs">'
        f"{escape(permission)}</span></h3>",
        f"<p><strong>{escape(operation['summary'])}.</strong> "
        f"{_prose(operation['description'])}</p>",
        _parameters(operation["parameters"]),
        _request(operation.get("requestBody")),
        *(_answer(status, answer) for status, answer in good),
        f"<p>Fails with {', '.join(bad)}.</p>" if bad else "",
        "</section>",
    ]
    return "".join(parts)


def _is_failure(answer: Json) -> bool:
    media = answer.get("content", {}).get("application/json", {})
    return bool(media.get("schema") == {"$ref": "#/components/schemas/Failure"})


def _parameters(parameters: list[Json]) -> str:
    return _table(
        (one["name"], one["in"], _type(one["schema"]), one["description"]) for one in parameters
    )


def _request(body: Json | None) -> str:
    if body is None:
        return ""
    media = body["content"]["application/json"]
    examples = "".join(
        f"<details><summary>Example: {escape(name)}</summary>{_json(one['value'])}</details>"
        for name, one in media["examples"].items()
    )
    return f"<p>Body: {_type(media['schema'])}</p>{examples}"


def _answer(status: str, answer: Json) -> str:
    line = f"<b>{escape(status)}</b> {_prose(answer['description'])}"
    for media in answer.get("content", {}).values():
        shape = media["schema"].get("properties", {}).get("data", media["schema"])
        line += f' <span class="type">{_type(shape)}</span>'
        if "example" in media:
            return f"<details><summary>{line}</summary>{_json(media['example'])}</details>"
    return f"<p>{line}</p>"


def _failures(operations: Iterable[Json]) -> str:
    """Each kind of failure once: they are the same for every operation."""
    found = {
        status: answer
        for operation in operations
        for status, answer in operation["responses"].items()
        if _is_failure(answer)
    }
    rows = "".join(
        f'<tr id="failure-{status}"><th>{status}</th><td>{_prose(answer["description"])}'
        f"<details><summary>Example</summary>"
        f"{_json(answer['content']['application/json']['example'])}</details></td></tr>"
        for status, answer in sorted(found.items())
    )
    return f'<h2 id="failures">Failures</h2><table>{rows}</table>'


# -- shapes --------------------------------------------------------------------------------------


def _shape(name: str, schema: Json) -> str:
    required = schema.get("required", ())
    rows = (
        (field, "required" if field in required else "", _type(one), one.get("description", ""))
        for field, one in schema.get("properties", {}).items()
    )
    about = f"<p>{_prose(schema.get('description', ''))}</p>"
    return f'<section id="shape-{name}"><h3>{name}</h3>{about}{_table(rows)}</section>'


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return escape(" | ".join(json.dumps(one).strip('"') for one in schema["enum"]))
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items') or {})}"
    return escape(f"{schema.get('format', kind)}{_limits(schema)}")


def _limits(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    text = ""
    if least is not None and most is not None:
        text = f" {least} to {most}"
    elif least is not None:
        text = f" from {least}"
    elif "maxLength" in schema:
        text = f" of up to {schema['maxLength']}"
    return text + (f", default {schema['default']}" if schema.get("default") is not None else "")


# -- pieces --------------------------------------------------------------------------------------


def _table(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Rows of a name, a note, a type (HTML) and a description."""
    lines = "".join(
        f"<tr><th><code>{escape(name)}</code></th><td>{escape(note)}</td>"
        f'<td class="type">{kind}</td><td>{_prose(description)}</td></tr>'
        for name, note, kind, description in rows
    )
    return f"<table>{lines}</table>" if lines else ""


def _badge(method: str) -> str:
    return f'<b class="method {escape(method)}">{escape(method.upper())}</b>'


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _prose(text: str) -> str:
    """Text with `code` between backticks."""
    pieces = escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces)
    )
