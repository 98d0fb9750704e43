"""The answers of /dashboard/api: the second document's names, and times with milliseconds."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from api.answers import PlainSuccess
from domain.error_group import ErrorReported
from domain.message import Recorded
from domain.times import milliseconds
from projections.codes import CodeCount
from projections.dashboard_trends import DashboardBucket
from projections.directory.apps import Application

Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""UTC, such as 2024-01-15T10:30:00.000Z."""

AnyObject = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": ["object", "null"]})]
"""JSON as it was sent; null where there was none."""


class DashboardEvent(msgspec.Struct, kw_only=True, rename="camel"):
    """One occurrence, without its secrets. `id` is the client's own, or the log's where it gave
    none; `errorId` is the error that it belongs to. What is unknown is null."""

    id: str
    error_id: UUID
    code: str | None
    message: str
    stack_trace: str | None
    parsed_stack: AnyObject
    app_id: str
    app_version: str | None
    platform: str | None
    platform_version: str | None
    user_id: str | None
    timestamp: Milliseconds
    metadata: AnyObject
    tags: dict[str, str] | None


class Pagination(msgspec.Struct, kw_only=True, rename="camel"):
    """Which page this is. `nextCursor` continues it, null at the end."""

    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None


class DashboardErrorsBody(PlainSuccess, kw_only=True):
    """A page of occurrences, newest first."""

    errors: list[DashboardEvent]
    pagination: Pagination


class DashboardErrorBody(PlainSuccess, kw_only=True):
    """One occurrence."""

    error: DashboardEvent


class DashboardTrend(msgspec.Struct, kw_only=True, rename="camel"):
    """One bucket, by the time at which it begins."""

    time: Milliseconds
    count: Count
    unique_codes: Count
    affected_users: Count


class DashboardTrendsBody(PlainSuccess, kw_only=True):
    """Buckets without a gap, oldest first."""

    trends: list[DashboardTrend]


class DashboardCode(msgspec.Struct, kw_only=True):
    """A code and how often it was reported."""

    code: str
    count: Annotated[int, Meta(ge=1)]


class DashboardCodesBody(PlainSuccess, kw_only=True):
    """All codes of an application, the highest count first."""

    codes: list[DashboardCode]


class DashboardApp(msgspec.Struct, kw_only=True, rename="camel"):
    """An application."""

    id: str
    name: str
    created_at: Milliseconds


class DashboardAppsBody(PlainSuccess, kw_only=True):
    """The applications that the key may see."""

    apps: list[DashboardApp]


def event_body(
    recorded: Recorded[ErrorReported], stack: msgspec.Raw | None = None
) -> DashboardEvent:
    """An occurrence under the names of the document; `stack` replaces the one that was sent."""
    occurrence = recorded.event.occurrence
    return DashboardEvent(
        id=occurrence.event_id or str(recorded.event_id),
        error_id=recorded.stream_id,
        code=occurrence.code,
        message=occurrence.message,
        stack_trace=occurrence.stack_trace,
        parsed_stack=occurrence.parsed_stack if stack is None else stack,
        app_id=recorded.event.app,
        app_version=occurrence.release,
        platform=occurrence.platform,
        platform_version=occurrence.platform_version,
        user_id=occurrence.user_id,
        timestamp=milliseconds(occurrence.timestamp),
        metadata=occurrence.context,
        tags=occurrence.tags,
    )


def trends_body(buckets: list[DashboardBucket]) -> DashboardTrendsBody:
    """The buckets under the names of the document."""
    return DashboardTrendsBody(
        trends=[
            DashboardTrend(
                time=milliseconds(bucket.time),
                count=bucket.count,
                unique_codes=bucket.unique_codes,
                affected_users=bucket.affected_users,
            )
            for bucket in buckets
        ]
    )


def codes_body(codes: list[CodeCount]) -> DashboardCodesBody:
    """The codes under the names of the document."""
    return DashboardCodesBody(
        codes=[DashboardCode(code=one.code, count=one.count) for one in codes]
    )


def apps_body(apps: list[Application]) -> DashboardAppsBody:
    """The applications under the names of the document."""
    return DashboardAppsBody(
        apps=[
            DashboardApp(id=app.id, name=app.name, created_at=milliseconds(app.created_at))
            for app in apps
        ]
    )


# -- examples ------------------------------------------------------------------------------------

EVENT_EXAMPLE: dict[str, Any] = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "errorId": "0d9f3c1e-6a0b-5d0e-8f5a-3f1f7c2b9a10",
    "code": "network/request-failed",
    "message": "Failed to fetch user data",
    "stackTrace": "Error: Failed to fetch...",
    "parsedStack": None,
    "appId": "test-app",
    "appVersion": "1.0.0",
    "platform": "ios",
    "platformVersion": "17.0",
    "userId": "user-123",
    "timestamp": "2024-01-15T10:30:00.000Z",
    "metadata": {"endpoint": "/api/users", "statusCode": 500},
    "tags": {"severity": "high"},
}
ERRORS_EXAMPLE: dict[str, Any] = {
    "success": True,
    "errors": [EVENT_EXAMPLE],
    "pagination": {
        "limit": 10,
        "offset": 0,
        "hasMore": True,
        "nextCursor": "T2Zmc2V0cyBhcmUgbm90IHN0YWJsZQ",
    },
}
TRENDS_EXAMPLE: dict[str, Any] = {
    "success": True,
    "trends": [
        {"time": "2024-01-14T00:00:00.000Z", "count": 42, "uniqueCodes": 5, "affectedUsers": 12}
    ],
}
CODES_EXAMPLE: dict[str, Any] = {
    "success": True,
    "codes": [
        {"code": "network/request-failed", "count": 156},
        {"code": "auth/session-expired", "count": 89},
    ],
}
APPS_EXAMPLE: dict[str, Any] = {
    "success": True,
    "apps": [
        {"id": "test-app", "name": "Test Application", "createdAt": "2024-01-01T00:00:00.000Z"}
    ],
}
