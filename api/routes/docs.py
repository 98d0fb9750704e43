"""/docs: the API described, for people and for programs, without anything from the internet."""

from __future__ import annotations

from litestar import get

from api.answers import Answer, encode_json
from api.call import Call
from api.documentation import documentation
from api.openapi import build_document
from api.operations import Operation, Reply
from api.page import html_answer

GET_DOCS = Operation(
    summary="This document for people",
    tag="health",
    replies={200: Reply("A page.", media_type="text/html")},
)
GET_OPENAPI = Operation(
    summary="This document for programs",
    tag="health",
    replies={200: Reply("The OpenAPI document.", dict, enveloped=False)},
)


@get("/docs", opt={"operation": GET_DOCS})
async def docs(request: Call) -> Answer:
    """The document as a page."""
    document = build_document(request.app.routes, request.container.version)
    return html_answer("Errata API", documentation(document))


@get("/docs/openapi.json", opt={"operation": GET_OPENAPI})
async def openapi(request: Call) -> Answer:
    """The document itself."""
    document = build_document(request.app.routes, request.container.version)
    return Answer(200, encode_json(document))
