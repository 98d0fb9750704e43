"""The examples of the OpenAPI document, each written once."""

from __future__ import annotations

from typing import Any

ERROR_ID = "550e8400-e29b-41d4-a716-446655440000"
_NOON = "2025-08-29T12:00:00Z"

REPORT: dict[str, Any] = {
    "level": "error",
    "message": "Database connection failed",
    "stack_trace": "Error: Connection timeout\n at Database.connect(db.js:45)\n at main(app.js:12)",
    "context": {"user_id": "12345", "session_id": "abc-def-ghi", "request_id": "req-789"},
    "source": "backend",
    "environment": "production",
    "url": "https://api.example.com/users",
}

SMALL_REPORT: dict[str, Any] = {"message": "Payment 4711 failed", "source": "api"}

FULL_REPORT: dict[str, Any] = {
    **REPORT,
    "event_id": "7f3b1b0e-2a53-4b8e-9d53-0c1c5f0f7a11",
    "timestamp": _NOON,
    "app": "default",
    "release": "2.4.1",
    "tags": {"region": "eu-west-1"},
    "user": {"id": "12345"},
    "fingerprint": ["database", "connection"],
}

ERROR: dict[str, Any] = {
    "id": ERROR_ID,
    "app": "default",
    "type": "Error",
    "message": REPORT["message"],
    "level": "error",
    "fatal": False,
    "source": "backend",
    "environment": "production",
    "release": None,
    "stack_trace": REPORT["stack_trace"],
    "context": REPORT["context"],
    "tags": None,
    "user": None,
    "url": REPORT["url"],
    "user_agent": "curl/8.14.1",
    "ip_address": "192.168.1.100",
    "fingerprint": "9f0b5d9c1e5a4d0e8a7d3f1c2b4a6e80",
    "grouping": {
        "version": 1,
        "parts": ["version 1", "Error", "Database connection failed", "db.connect", "app.main"],
        "reasons": ["Grouping version 1."],
    },
    "event_id": "0b7e7dc8-67f1-4f0e-a8b8-7a5a1f4f9a44",
    "timestamp": _NOON,
    "count": 1,
    "first_seen": _NOON,
    "last_seen": _NOON,
    "created_at": _NOON,
    "resolved": False,
    "resolved_at": None,
    "updated_at": _NOON,
    "muted": False,
    "muted_until": None,
    "muted_count_left": None,
}

MUTED: dict[str, Any] = {
    "id": ERROR_ID,
    "app": "default",
    "status": "open",
    "count": 42,
    "first_seen": _NOON,
    "last_seen": _NOON,
    "muted": True,
    "muted_until": None,
    "muted_count_left": 100,
}

ERROR_LIST: dict[str, Any] = {
    "errors": [ERROR],
    "total": 150,
    "page": 1,
    "limit": 50,
    "offset": 0,
    "next_cursor": "eyJhZnRlciI6IDUwfQ",
}

_TAKEN_OVER = (
    "message level fatal source environment release stack_trace context tags user url"
    " user_agent ip_address"
).split()

PARSED_STACK: dict[str, Any] = {
    "frames": [
        {
            "functionName": "h",
            "fileName": "https://cdn.example.com/app.min.js",
            "lineNumber": 1,
            "columnNumber": 592,
            "inApp": True,
            "raw": "at h (https://cdn.example.com/app.min.js:1:592)",
            "resolved": True,
            "originalFileName": "src/shop.ts",
            "originalLineNumber": 10,
            "originalColumnNumber": 11,
            "originalFunctionName": "priceOf",
        }
    ],
    "raw": "RangeError: a discount over 100 %\n    at h (https://cdn.example.com/app.min.js:1:592)",
    "parser": "browser",
}

OCCURRENCE_LIST: dict[str, Any] = {
    "occurrences": [
        {
            "id": ERROR["event_id"],
            "error_id": ERROR_ID,
            "number": 1,
            "event_id": ERROR["event_id"],
            "timestamp": _NOON,
            "recorded_at": _NOON,
            **{name: ERROR[name] for name in _TAKEN_OVER},
            "parsed_stack": PARSED_STACK,
            "filtered": 0,
        }
    ],
    "limit": 50,
    "next_cursor": None,
}

BULK: dict[str, Any] = {"action": "resolve", "ids": [ERROR_ID]}

BULK_ANSWER: dict[str, Any] = {
    "action": "resolve",
    "results": [{"id": ERROR_ID, "status": "resolved"}],
    "done": 1,
    "not_found": 0,
}

HEALTH: dict[str, Any] = {
    "status": "ok",
    "timestamp": _NOON,
    "services": {"postgres": "up", "redis": "up", "projections": "up"},
    "version": "0.1.0",
    "reasons": [],
}
