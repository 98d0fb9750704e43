"""Events as clients of the second document send them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

KEY = {"X-API-Key": "ei_test_key_12345"}
"""The document's key, which belongs to test-app."""


def event(**changes: Any) -> dict[str, Any]:
    """An event of the document, with an id of its own; `...` as a value leaves a field out."""
    whole = {
        "id": str(uuid4()),
        "code": "network/request-failed",
        "message": "Failed to fetch user data",
        "stackTrace": "Error: Failed to fetch\n    at load (https://app.example.com/a.js:1:99)",
        "appId": "test-app",
        "appVersion": "1.0.0",
        "platform": "ios",
        "platformVersion": "17.0",
        "userId": "user-123",
        "timestamp": "2024-01-15T10:30:00.000Z",
        "metadata": {"endpoint": "/api/users", "statusCode": 500},
        "tags": {"severity": "high"},
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def batch(*events: dict[str, Any]) -> dict[str, Any]:
    """The body for these events."""
    return {"events": list(events)}


FRAME = {
    "functionName": "load",
    "fileName": "https://app.example.com/a.js",
    "lineNumber": 1,
    "columnNumber": 99,
    "inApp": True,
    "raw": "    at load (https://app.example.com/a.js:1:99)",
}


def stack(*frames: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A parsed stack of these frames."""
    return {"frames": list(frames), "raw": "Error", "parser": "browser", **changes}
