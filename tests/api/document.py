"""The document's endpoint table and its example answers, as it prints them."""

from __future__ import annotations

from typing import Any

TABLE = (
    ("/health", "GET"),
    ("/api/errors", "GET"),
    ("/api/errors", "POST"),
    ("/api/errors/{id}", "GET"),
    ("/api/errors/{id}/resolve", "PUT"),
    ("/api/errors/{id}", "DELETE"),
    ("/api/stats", "GET"),
    ("/api/analytics/trends", "GET"),
    ("/api/analytics/performance", "GET"),
    ("/api/monitoring/services", "GET"),
    ("/api/monitoring/metrics", "GET"),
    ("/api/monitoring/uptime", "GET"),
    ("/api/alerts/rules", "GET/POST/PUT/DELETE"),
    ("/api/alerts/incidents", "GET/POST/PUT"),
    ("/api/settings/api-keys", "GET/POST/DELETE"),
    ("/api/settings/team", "GET"),
    ("/api/settings/team/invite", "POST"),
    ("/api/settings/integrations", "GET"),
)
"""Its rows, in its order. PUT and DELETE of a list are those of `/{id}` below it."""

HEALTH: dict[str, Any] = {"status": "ok", "timestamp": "2025-08-29T12:00:00Z"}

# -- errors --------------------------------------------------------------------------------------

REPORT: dict[str, Any] = {
    "level": "error",
    "message": "Database connection failed",
    "stack_trace": (
        "Error: Connection timeout\n at Database.connect(db.js:45)\n at main(app.js:12)"
    ),
    "context": {
        "user_id": "12345",
        "session_id": "abc-def-ghi",
        "request_id": "req-789",
        "additional_data": "any value",
    },
    "source": "backend",
    "environment": "production",
    "url": "https://api.example.com/users",
}

ERROR: dict[str, Any] = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "timestamp": "2025-08-29T12:00:00Z",
    "level": "error",
    "message": "Database connection failed",
    "stack_trace": "Error: Connection timeout...",
    "context": {"user_id": "12345", "session_id": "abc-def-ghi"},
    "source": "backend",
    "environment": "production",
    "user_agent": "Mozilla/5.0...",
    "ip_address": "192.168.1.100",
    "url": "https://api.example.com/users",
    "fingerprint": "abc123def456",
    "resolved": False,
    "count": 1,
    "first_seen": "2025-08-29T12:00:00Z",
    "last_seen": "2025-08-29T12:00:00Z",
    "created_at": "2025-08-29T12:00:00Z",
    "updated_at": "2025-08-29T12:00:00Z",
}

ERRORS: dict[str, Any] = {"errors": [ERROR], "total": 150, "page": 1, "limit": 50}

RESOLVED: dict[str, Any] = {"status": "resolved"}

# -- analytics -----------------------------------------------------------------------------------

STATS: dict[str, Any] = {
    "total_errors": 1250,
    "resolved_errors": 856,
    "errors_today": 23,
    "errors_this_week": 145,
    "errors_this_month": 567,
    "error_rate_24h": 2.3,
    "resolution_rate": 68.5,
    "avg_resolution_time": "2h 15m",
}

TRENDS: dict[str, Any] = {
    "period": "week",
    "data_points": [
        {
            "timestamp": "2025-08-22T00:00:00Z",
            "error_count": 45,
            "resolved_count": 32,
            "critical_count": 3,
        }
    ],
}

PERFORMANCE: dict[str, Any] = {
    "avg_response_time": 245,
    "error_rate_percent": 0.8,
    "throughput_rpm": 1200,
    "availability_percent": 99.95,
    "performance_score": 8.7,
}

# -- monitoring ----------------------------------------------------------------------------------

SERVICES: dict[str, Any] = {
    "services": [
        {
            "name": "Database",
            "status": "healthy",
            "uptime_percent": 99.8,
            "response_time_ms": 12,
            "last_checked": "2025-08-29T12:00:00Z",
            "details": {"connections": 45, "max_connections": 100},
        }
    ],
    "overall_health": "healthy",
}

METRICS: dict[str, Any] = {
    "cpu_usage_percent": 65.2,
    "memory_usage_percent": 78.1,
    "disk_usage_percent": 45.7,
    "network_io": {"bytes_in": 1024000, "bytes_out": 2048000},
    "active_connections": 45,
    "requests_per_minute": 1200,
}

UPTIME: dict[str, Any] = {
    "current_uptime_hours": 720.5,
    "uptime_percent_24h": 100.0,
    "uptime_percent_7d": 99.8,
    "uptime_percent_30d": 99.95,
    "incidents_count": 2,
    "last_downtime": "2025-08-10T14:30:00Z",
}

# -- alerts --------------------------------------------------------------------------------------

RULE_REQUEST: dict[str, Any] = {
    "name": "High Error Rate",
    "condition": "error_count > threshold in time_window",
    "threshold": 50,
    "time_window": "5m",
    "notifications": ["email", "slack"],
    "enabled": True,
}

RULE: dict[str, Any] = {
    "id": "rule-1",
    "name": "High Error Rate",
    "condition": "error_count > 50 in 5 minutes",
    "threshold": 50,
    "time_window": "5m",
    "enabled": True,
    "notifications": ["email", "slack"],
    "last_triggered": "2025-08-15T10:30:00Z",
    "created_at": "2025-08-10T09:00:00Z",
    "updated_at": "2025-08-15T10:30:00Z",
}

RULES: dict[str, Any] = {"rules": [RULE]}

INCIDENT_REQUEST: dict[str, Any] = {
    "title": "Database Connection Timeout",
    "severity": "critical",
    "description": "Multiple database connection timeouts detected",
    "assigned_to": "user-123",
}

INCIDENT: dict[str, Any] = {
    "id": "incident-1",
    "title": "Database Connection Timeout",
    "severity": "critical",
    "status": "investigating",
    "description": "Multiple database connection timeouts detected",
    "assigned_to": "user-123",
    "created_at": "2025-08-29T14:30:00Z",
    "updated_at": "2025-08-29T14:45:00Z",
}

INCIDENTS: dict[str, Any] = {"incidents": [INCIDENT]}

# -- settings ------------------------------------------------------------------------------------

KEY_REQUEST: dict[str, Any] = {"name": "Development Key", "permissions": ["read"]}

KEYS: dict[str, Any] = {
    "api_keys": [
        {
            "id": "key-1",
            "name": "Production API Key",
            "key_preview": "sk_****7890",
            "permissions": ["read", "write"],
            "expires_at": "2025-12-31T23:59:59Z",
            "last_used": "2025-08-29T10:30:00Z",
            "created_at": "2025-08-10T09:00:00Z",
        }
    ]
}

NEW_KEY: dict[str, Any] = {
    "id": "key-2",
    "name": "Development Key",
    "api_key": "sk_live_abc123def456...",
    "permissions": ["read"],
    "expires_at": "2025-12-31T23:59:59Z",
    "created_at": "2025-08-29T12:00:00Z",
}

MEMBER: dict[str, Any] = {
    "id": "user-1",
    "name": "John Doe",
    "email": "john@company.com",
    "role": "developer",
    "status": "active",
    "last_active": "2025-08-29T10:30:00Z",
    "created_at": "2025-08-10T09:00:00Z",
}

MEMBERS: dict[str, Any] = {"members": [MEMBER]}

INVITE_REQUEST: dict[str, Any] = {"email": "newuser@company.com", "role": "viewer"}

INTEGRATIONS: dict[str, Any] = {
    "integrations": [
        {
            "name": "slack",
            "status": "connected",
            "config": {"webhook_url": "https://hooks.slack.com/...", "channel": "#alerts"},
            "last_test": "2025-08-29T10:30:00Z",
        }
    ]
}
