"""Small pages of HTML, whole in themselves: no script, no asset from anywhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from api.answers import Answer

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.85em/1.5 ui-monospace, monospace; }
pre { background: #8881; padding: 0.75rem 1rem; overflow-x: auto; border-radius: 6px; }
section { border-top: 1px solid #8884; padding: 0.75rem 0; }
h2 { font-size: 1.1rem; margin: 0.5rem 0; }
h2 b { display: inline-block; min-width: 4.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.75rem 0.2rem 0; }
th { font-weight: 600; white-space: nowrap; }
.tag { color: #777; font-size: 0.85em; }
"""

_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

Json = dict[str, Any]


def html_answer(title: str, body: str) -> Answer:
    """A page with this title; `body` is HTML."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    headers = ((b"content-security-policy", _POLICY), (b"vary", b"Accept"))
    return Answer(200, page.encode(), headers, b"text/html; charset=utf-8")


def documentation(document: Json) -> str:
    """The OpenAPI document as HTML for people."""
    info = document["info"]
    sections = [
        _operation(path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    intro = "".join(f"<p>{_prose(part)}</p>" for part in info["description"].split("\n\n"))
    return (
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>{intro}"
        '<p>For programs: <a href="/docs/openapi.json">/docs/openapi.json</a></p>'
        + "".join(sections)
    )


def _operation(path: str, method: str, operation: Json) -> str:
    permission = operation.get("x-permission", "no key")
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f"<h2><b>{method.upper()}</b><code>{escape(path)}</code></h2>",
        f"<p><strong>{escape(operation['summary'])}</strong> "
        f'<span class="tag">{escape(permission)}</span></p>',
        f"<p>{_prose(operation['description'])}</p>",
        _parameters(operation["parameters"]),
        *_request(operation.get("requestBody")),
        *_answers(operation["responses"]),
        "</section>",
    ]
    return "".join(parts)


def _parameters(parameters: list[Json]) -> str:
    rows = "".join(
        f"<tr><th><code>{escape(one['name'])}</code></th><td>{escape(one['in'])}</td>"
        f"<td><code>{escape(_shape(one['schema']))}</code></td>"
        f"<td>{_prose(one['description'])}</td></tr>"
        for one in parameters
    )
    return f"<table>{rows}</table>" if rows else ""


def _shape(schema: Json) -> str:
    if "enum" in schema:
        return " | ".join(schema["enum"])
    kind = str(schema.get("format") or schema["type"])
    least, most = schema.get("minimum"), schema.get("maximum")
    bounds = f" {least} to {most}" if least is not None and most is not None else ""
    default = f", default {schema['default']}" if "default" in schema else ""
    return f"{kind}{bounds}{default}"


def _request(body: Json | None) -> list[str]:
    if body is None:
        return []
    examples = body["content"]["application/json"]["examples"]
    return [
        f"<details><summary>Body: {escape(name)}</summary>{_json(example['value'])}</details>"
        for name, example in examples.items()
    ]


def _answers(responses: Json) -> list[str]:
    parts = []
    for status, response in responses.items():
        line = f"<b>{escape(status)}</b> {_prose(response['description'])}"
        examples = [media.get("example") for media in response.get("content", {}).values()]
        shown = "".join(_json(example) for example in examples if example is not None)
        parts.append(f"<details><summary>{line}</summary>{shown}</details>")
    return parts


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _prose(text: str) -> str:
    """Text with `code` between backticks."""
    pieces = escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces)
    )
