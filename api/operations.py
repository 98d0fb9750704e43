"""What each route says of itself: permission, parameters, bodies, answers.

A handler carries its Operation in `opt`; the guard takes the permission from it and the OpenAPI
document everything else, so a route cannot be reached under other rules than it documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.permissions import Permission

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A query parameter or a request header. `example` is what the document shows."""

    name: str
    schema: Schema
    description: str
    example: Any
    where: str = "query"
    required: bool = False


@dataclass(frozen=True)
class Reply:
    """One kind of answer: its body's struct (in the envelope or bare), and examples by name; media
    types of `files` that Accept can ask for in its place."""

    description: str
    body: type | None = None
    enveloped: bool = True
    example: Any = None
    media_type: str = "application/json"
    position: bool = False
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Body:
    """A request body: its struct, and examples by name."""

    struct: type
    examples: Mapping[str, Any]


@dataclass(frozen=True)
class AsOf:
    """What a route needs to answer as of a moment: the read models that it asks, and, where it is
    about one thing alone, the path parameter with the id of that thing's stream."""

    read_models: tuple[str, ...] = ()
    stream: str | None = None


@dataclass(frozen=True)
class Operation:
    """All that is to be known of one route. `failures` are statuses beside those of every
    route; `permission` None means that nobody is asked for a key. `without_key`: outside production
    `test-app` is shown to everybody, as the second document's examples have it. `as_of`: it can be
    asked for its answer at a moment of the past."""

    summary: str
    tag: str
    replies: Mapping[int, Reply]
    description: str = ""
    permission: Permission | None = None
    without_key: bool = False
    failures: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    as_of: AsOf | None = None


MIN_POSITION = Parameter(
    "X-Min-Position",
    {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    "Answer only once the read model has seen this position of the log (X-Event-Position of a "
    "write); at most 2 s, then 503.",
    42,
    where="header",
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "Stores the report once, however often it is sent; for clients without event ids.",
    "5f2c-retry-1",
    where="header",
)
CONTENT_ENCODING = Parameter(
    "Content-Encoding",
    {"type": "string", "enum": ["gzip", "deflate", "br", "zstd", "identity"]},
    "How the body is compressed.",
    None,
    where="header",
)
IF_NONE_MATCH = Parameter(
    "If-None-Match",
    {"type": "string"},
    "The `ETag` of the answer that the client has, or a list of them, or *: 304 where it still "
    "holds.",
    '"9f86d081884c7d65"',
    where="header",
)
AS_OF = Parameter(
    "as_of",
    {
        "anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
        ]
    },
    "The answer that would have been given then: a time, or a position of the log; neither may lie "
    "in the future. 202 while it is being prepared.",
    42,
)
LIMIT = Parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}, "How many.", 20
)
CURSOR = Parameter(
    "cursor",
    {"type": "string"},
    "`next_cursor` of the page before; stays true while data arrives.",
    None,
)


def text(name: str, description: str, example: Any) -> Parameter:
    """A query parameter of 1 to 200 characters."""
    schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\S"}
    return Parameter(name, schema, description, example)


def choice(name: str, values: tuple[str, ...], description: str, example: Any) -> Parameter:
    """A query parameter that is one of a few words."""
    return Parameter(name, {"type": "string", "enum": list(values)}, description, example)


def moment(name: str, description: str) -> Parameter:
    """A query parameter that is a time."""
    schema = {"type": "string", "format": "date-time"}
    return Parameter(name, schema, description, "2025-08-29T12:00:00Z")
