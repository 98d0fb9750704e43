"""The shapes of performance, services, metrics, uptime and checks, as the OpenAPI document shows
them. What is not known is null."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from api.schemas import NOT_BLANK, ShortText, Time
from domain.check_settings import (
    LEAST_INTERVAL,
    LEAST_TIMEOUT,
    MAX_BODY_TEXT,
    MAX_TARGET,
    MOST_INTERVAL,
    MOST_TIMEOUT,
    TARGET_FORMS,
)
from domain.observation import Status

Percent = Annotated[float, Meta(ge=0, le=100)]
Amount = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]

Target = Annotated[
    str, Meta(min_length=1, max_length=MAX_TARGET, pattern=NOT_BLANK, description=TARGET_FORMS)
]
Interval = Annotated[
    Annotated[int, Meta(ge=LEAST_INTERVAL, le=MOST_INTERVAL)] | None,
    Meta(description="Seconds between two looks. Absent: 60."),
]
Timeout = Annotated[
    Annotated[int, Meta(ge=LEAST_TIMEOUT, le=MOST_TIMEOUT)] | None,
    Meta(description="Seconds that the target has to answer. Absent: 5."),
]
ExpectedStatus = Annotated[
    Annotated[int, Meta(ge=100, le=599)] | None,
    Meta(description="What a URL has to answer, redirects not followed. Absent or null: 200."),
]
BodyText = Annotated[
    Annotated[str, Meta(min_length=1, max_length=MAX_BODY_TEXT)] | None,
    Meta(description="What the first 64 KiB of a URL's answer have to hold. Null: anything."),
]


class PerformanceBody(msgspec.Struct, kw_only=True):
    """How the API answers: milliseconds on average, percent of 5xx, requests a minute, percent of
    the last 30 days in which it was there, and a score of 0 to 10."""

    avg_response_time: Amount | None
    error_rate_percent: Percent | None
    throughput_rpm: Amount | None
    availability_percent: Percent | None
    performance_score: Annotated[float, Meta(ge=0, le=10)] | None


class ServiceHealthBody(msgspec.Struct, kw_only=True):
    """A service as it was at the last look. `uptime_percent` is that of 30 days; `check_id` is
    set on a custom check."""

    name: str
    status: Status
    uptime_percent: Percent | None
    response_time_ms: Amount | None
    last_checked: Time | None
    details: dict[str, Any]
    reason: str | None
    check_id: UUID | None


class MonitoredServicesBody(msgspec.Struct):
    """All services. Together they are unhealthy where one is, and unknown where one is."""

    services: list[ServiceHealthBody]
    overall_health: Status


class NetworkBody(msgspec.Struct):
    """Bytes through all interfaces of the host during the timeframe."""

    bytes_in: Count
    bytes_out: Count


class MetricPointBody(msgspec.Struct):
    """One step of a series, by the time at which it begins: means in percent, bytes in sum."""

    t: Time
    cpu: Percent
    memory: Percent
    disk: Percent
    bytes_in: Count
    bytes_out: Count


class HostMetricsBody(msgspec.Struct, kw_only=True):
    """The host over a timeframe: means of its samples since `since`."""

    timeframe: str
    since: Time | None
    cpu_usage_percent: Percent | None
    memory_usage_percent: Percent | None
    disk_usage_percent: Percent | None
    network_io: NetworkBody | None
    active_connections: Count | None
    requests_per_minute: Amount | None
    series: list[MetricPointBody]


class DowntimeBody(msgspec.Struct):
    """One downtime, with its length; without an end it still goes on."""

    start: Time
    end: Time | None
    seconds: Amount
    reason: str


class UptimeBody(msgspec.Struct, kw_only=True):
    """How a service has been. Percentages are of the time in which it was watched;
    `current_uptime_hours` is 0 while it is down."""

    service: str
    current_uptime_hours: Amount | None
    uptime_percent_24h: Percent | None
    uptime_percent_7d: Percent | None
    uptime_percent_30d: Percent | None
    incidents_count: Count
    last_downtime: Time | None
    watched_since: Time | None
    incidents: list[DowntimeBody]


class CheckRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A new check. Unknown fields are ignored; null is the same as absent."""

    name: ShortText
    target: Target
    interval: Interval = None
    timeout: Timeout = None
    expected_status: ExpectedStatus = None
    body_text: BodyText = None
    enabled: bool | None = None


class CheckChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What shall differ; what is absent stays. A null `body_text` takes the text away, a null
    `expected_status` means 200 again, and any other null means absent."""

    name: ShortText | None = None
    target: Target | None = None
    interval: Interval = None
    timeout: Timeout = None
    expected_status: ExpectedStatus = None
    body_text: BodyText = None
    enabled: bool | None = None


class CheckBody(msgspec.Struct, kw_only=True):
    """A check with what it saw the last time. What it saw is not known in answers to writes."""

    id: UUID
    name: str
    target: str
    interval: int
    timeout: int
    expected_status: int | None
    body_text: str | None
    enabled: bool
    status: Status
    uptime_percent: Percent | None
    response_time_ms: Amount | None
    last_checked: Time | None
    reason: str | None
    version: Annotated[int, Meta(ge=1)]
    created_at: Time
    updated_at: Time


class CheckListBody(msgspec.Struct):
    """All checks, oldest first."""

    checks: list[CheckBody]
