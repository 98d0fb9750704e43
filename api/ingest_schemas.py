"""The bodies of /api/v1/ingest: an event decodes into these structs, and the OpenAPI document shows
them, so what is accepted is what is documented."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from api.answers import PlainSuccess
from api.schemas import NOT_BLANK
from domain.occurrence import NULL

MAX_EVENTS = 1_000
MAX_PLATFORM = 32
MAX_SHORT = 200
MAX_ENVIRONMENT = 100

Parser = Literal["browser", "react-native", "node", "unknown"]
Short = Annotated[str, Meta(max_length=MAX_SHORT)]


class IngestFrame(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One call of a stack trace, as the client read it. `inApp`: not of a library."""

    function_name: str | None = None
    file_name: str | None = None
    line_number: int | None = None
    column_number: int | None = None
    in_app: bool
    raw: str


class IngestStack(msgspec.Struct, frozen=True, kw_only=True):
    """A stack trace that the client has taken apart."""

    frames: list[IngestFrame]
    raw: str
    parser: Parser


class IngestEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One occurrence. Unknown fields are ignored; null and "" are the same as absent where a field
    may be absent."""

    id: Annotated[UUID, Meta(description="The client's own id: stored once per application.")]
    code: Annotated[Short | None, Meta(description="Groups by it alone, where given.")] = None
    message: Annotated[str, Meta(description="What happened; never cut.")]
    stack_trace: Annotated[str | None, Meta(description="As the runtime printed it.")] = None
    parsed_stack: IngestStack | None = None
    app_id: Annotated[
        str, Meta(min_length=1, max_length=100, description="The application of the key.")
    ]
    app_version: Short | None = None
    platform: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=MAX_PLATFORM,
            pattern=NOT_BLANK,
            description="ios, android, web, or another word; the `source` of the error.",
        ),
    ]
    platform_version: Short | None = None
    user_id: Short | None = None
    timestamp: Annotated[
        datetime,
        Meta(
            tz=True,
            description="When it happened; more than 5 minutes ahead: the server's time.",
        ),
    ]
    metadata: Annotated[
        msgspec.Raw,
        Meta(
            description="Anything; kept whole, without its secrets.",
            extra_json_schema={"type": ["object", "null"]},
        ),
        # A factory, since a schema cannot show a default that is Raw.
    ] = msgspec.field(default_factory=lambda: NULL)
    tags: Annotated[
        dict[str, str] | None,
        Meta(
            description="Strings by name. `severity` or `level` gives the error's level (fatal, "
            "error, warning, info, debug; any other word: error), `environment` its environment "
            "(at most 100 characters)."
        ),
    ] = None


class IngestRequest(msgspec.Struct):
    """A batch: stored together, or not at all."""

    events: Annotated[list[IngestEvent], Meta(min_length=1, max_length=MAX_EVENTS)]


class AcceptedBody(PlainSuccess, kw_only=True):
    """How many events are stored now, those that were before included."""

    accepted: int


class IngestTestBody(PlainSuccess, kw_only=True, rename="camel"):
    """The application that a key reports for."""

    app_id: str
    app_name: str


EXAMPLE: dict[str, Any] = {
    "events": [
        {
            "id": "550e8400-e29b-41d4-a716-446655440000",
            "code": "network/request-failed",
            "message": "Failed to fetch user data",
            "stackTrace": "Error: Failed to fetch\n    at load (https://app.example.com/a.js:1:99)",
            "parsedStack": {
                "frames": [
                    {
                        "functionName": "load",
                        "fileName": "https://app.example.com/a.js",
                        "lineNumber": 1,
                        "columnNumber": 99,
                        "inApp": True,
                        "raw": "    at load (https://app.example.com/a.js:1:99)",
                    }
                ],
                "raw": "Error: Failed to fetch",
                "parser": "browser",
            },
            "appId": "test-app",
            "appVersion": "1.0.0",
            "platform": "ios",
            "platformVersion": "17.0",
            "userId": "user-123",
            "timestamp": "2024-01-15T10:30:00.000Z",
            "metadata": {"endpoint": "/api/users", "statusCode": 500},
            "tags": {"severity": "high"},
        }
    ]
}
