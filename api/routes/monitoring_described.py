"""What the routes of performance, services, metrics and uptime say of themselves."""

from __future__ import annotations

from typing import Any

from api.monitoring_schemas import (
    HostMetricsBody,
    MonitoredServicesBody,
    PerformanceBody,
    UptimeBody,
)
from api.operations import MIN_POSITION, AsOf, Operation, Parameter, Reply, text
from domain.observation import TIMEFRAMES
from domain.permissions import Permission

_PERFORMANCE: dict[str, Any] = {
    "avg_response_time": 24.5,
    "error_rate_percent": 0.8,
    "throughput_rpm": 1200.0,
    "availability_percent": 99.95,
    "performance_score": 9.8,
}

_SERVICES: dict[str, Any] = {
    "services": [
        {
            "name": "Database",
            "status": "healthy",
            "uptime_percent": 99.8,
            "response_time_ms": 1.2,
            "last_checked": "2025-08-29T12:00:00Z",
            "details": {
                "connections": 45,
                "max_connections": 100,
                "version": "16.2",
                "size_bytes": 81920000,
            },
            "reason": None,
            "check_id": None,
        },
        {
            "name": "Shop front page",
            "status": "unhealthy",
            "uptime_percent": 98.7,
            "response_time_ms": 81.4,
            "last_checked": "2025-08-29T12:00:00Z",
            "details": {"target": "https://shop.example.com/", "enabled": True},
            "reason": "it answered 502, not 200",
            "check_id": "5b0c9e0e-8d5e-4b1a-9f0e-2c9a3c1d7e42",
        },
    ],
    "overall_health": "unhealthy",
}

_METRICS: dict[str, Any] = {
    "timeframe": "1h",
    "since": "2025-08-29T11:00:00Z",
    "cpu_usage_percent": 65.2,
    "memory_usage_percent": 78.1,
    "disk_usage_percent": 45.7,
    "network_io": {"bytes_in": 1024000, "bytes_out": 2048000},
    "active_connections": 45,
    "requests_per_minute": 1200.0,
    "series": [
        {
            "t": "2025-08-29T11:00:00Z",
            "cpu": 64.0,
            "memory": 78.0,
            "disk": 45.7,
            "bytes_in": 8533,
            "bytes_out": 17066,
        }
    ],
}

_UPTIME: dict[str, Any] = {
    "service": "errata",
    "current_uptime_hours": 453.5,
    "uptime_percent_24h": 100.0,
    "uptime_percent_7d": 100.0,
    "uptime_percent_30d": 99.9992,
    "incidents_count": 1,
    "last_downtime": "2025-08-10T14:30:00Z",
    "watched_since": "2025-07-01T08:00:00Z",
    "incidents": [
        {
            "start": "2025-08-10T14:30:00Z",
            "end": "2025-08-10T14:30:20Z",
            "seconds": 20.0,
            "reason": "it cannot be reached (OperationalError)",
        }
    ],
}

GET_PERFORMANCE = Operation(
    summary="Get the API's own performance",
    tag="analytics",
    permission=Permission.READ,
    description=(
        "Of the requests of the last five minutes, all processes together, up to two seconds "
        "late; those to /health, /metrics and /docs do not count. `avg_response_time` is in "
        "milliseconds, `error_rate_percent` the share of 5xx. `availability_percent` is the share "
        "of the last 30 days (or of the time since the first start) in which Errata ran, and "
        "PostgreSQL and Redis answered: without Redis there are no reads. `performance_score` is "
        "10 x availability x (1 - error rate) x 1 / (1 + mean time / 2 s), shares from 0 to 1. "
        "What is not known is null: without requests all but the availability."
    ),
    parameters=(MIN_POSITION,),
    replies={200: Reply("The performance.", PerformanceBody, example=_PERFORMANCE)},
    failures=(400, 503),
)

LIST_SERVICES = Operation(
    summary="Get the health of all services",
    tag="monitoring",
    permission=Permission.READ,
    description=(
        "PostgreSQL (Database), Redis (Cache Service), the event log, every read model, the "
        "scheduler and every custom check, as the leading scheduler saw them last: it looks at "
        "the servers every second, at the other parts every 15 s, at checks at their intervals. "
        "A look that is older than 45 s (a check: than two intervals and its timeout) makes a "
        "service `unknown`. One failed look makes it `unhealthy`; two in a row are a downtime, "
        "from the first of them. `uptime_percent` is that of the last 30 days; that of the "
        "scheduler is the time in which Errata ran. Checks that are switched off do not count in "
        "`overall_health`."
    ),
    parameters=(MIN_POSITION,),
    replies={200: Reply("The services.", MonitoredServicesBody, example=_SERVICES)},
    failures=(400, 503),
)

GET_METRICS = Operation(
    summary="Get system metrics",
    tag="monitoring",
    permission=Permission.READ,
    description=(
        "Of the host on which the leading scheduler runs, sampled every 10 s. Percentages and "
        "`active_connections` are means over the timeframe, `network_io` is in bytes during it, "
        "`requests_per_minute` is the API's mean over it; all from `since` on, where Errata has "
        "not been watching for that long. `active_connections` are the open connections to the "
        "API, in all its processes on all hosts, null where none has told of any; `network_io` "
        "leaves out what stays on the host. `series` has up to 121 points: of 30 s for 1h, "
        "3 min for 6h, 15 min for 24h, 2 h for 7d, 6 h for 30d; percentages are means, bytes "
        "sums. Before the first sample all is null."
    ),
    parameters=(
        Parameter(
            "timeframe",
            {"type": "string", "enum": list(TIMEFRAMES), "default": "1h"},
            "How much time, ending now.",
            "24h",
        ),
    ),
    replies={200: Reply("The metrics.", HostMetricsBody, example=_METRICS)},
    failures=(400, 503),
)

GET_UPTIME = Operation(
    summary="Get uptime",
    tag="monitoring",
    permission=Permission.READ,
    description=(
        "Of all of Errata, which is down while it does not run (no scheduler leaves its sign of "
        "life for 30 s) and while its database does not answer; or of one service by the name "
        "that /api/monitoring/services shows, or of one check by its id. Percentages are of the "
        "time in which the service was watched, and null where there is none. "
        "`incidents_count` counts the downtimes of the last 30 days; `incidents` are the last 50 "
        "of all, newest first; `last_downtime` is the start of the latest."
    ),
    parameters=(text("service", "A service's name, or a check's id.", "Database"), MIN_POSITION),
    replies={200: Reply("The uptime.", UptimeBody, example=_UPTIME)},
    failures=(400, 404, 503),
    as_of=AsOf(("uptime",)),
)
