"""From what was measured to what the document calls it. Nothing is made up: unknown is None."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from api.monitoring_schemas import (
    CheckBody,
    DowntimeBody,
    HostMetricsBody,
    MetricPointBody,
    NetworkBody,
    PerformanceBody,
    ServiceHealthBody,
    UptimeBody,
)
from domain.check import check_service
from domain.observation import HostReport, Look, RequestCounts, Status, Timeframe
from domain.service import CACHE, DATABASE, ERRATA, EVENT_LOG, SCHEDULER, read_model_service
from projections.directory.checks import ListedCheck
from projections.downtimes import Uptime

STALE_SECONDS = 45.0
"""A look at a part of Errata that is older says nothing any more."""

HALVING_MILLISECONDS = 2_000.0
"""The mean time to answer that halves the score."""

_READ_MODEL = read_model_service("")


def score(mean_ms: float, failed: float, available: float) -> float:
    """0 to 10: ten times the share of time in which the API is there, times the share of requests
    that do not fail, times its speed, which is 1 for no time at all, 1/2 at two seconds, 1/3 at
    four. Shares are from 0 to 1. The formula is our own."""
    speed = 1 / (1 + mean_ms / HALVING_MILLISECONDS)
    return 10 * available * (1 - failed) * speed


def performance_body(counts: RequestCounts, uptime: Uptime) -> PerformanceBody:
    """The requests of some minutes, and the uptime of Errata, in the document's names."""
    available = uptime.percent_30d
    if not counts.requests:
        return PerformanceBody(
            avg_response_time=None,
            error_rate_percent=None,
            throughput_rpm=None,
            availability_percent=_rounded(available),
            performance_score=None,
        )
    mean_ms = counts.milliseconds / counts.requests
    failed = counts.failures / counts.requests
    known = available is not None
    return PerformanceBody(
        avg_response_time=round(mean_ms, 3),
        error_rate_percent=round(100 * failed, 3),
        throughput_rpm=round(60 * counts.requests / counts.seconds, 2),
        availability_percent=_rounded(available),
        performance_score=round(score(mean_ms, failed, (available or 0) / 100), 1)
        if known
        else None,
    )


def metrics_body(
    timeframe: Timeframe, report: HostReport | None, counts: RequestCounts | None
) -> HostMetricsBody:
    """The host's samples and the number of requests in the document's names."""
    if report is None:
        return HostMetricsBody(
            timeframe=timeframe,
            since=None,
            cpu_usage_percent=None,
            memory_usage_percent=None,
            disk_usage_percent=None,
            network_io=None,
            active_connections=None,
            requests_per_minute=None,
            series=[],
        )
    return HostMetricsBody(
        timeframe=timeframe,
        since=report.since,
        cpu_usage_percent=round(report.cpu, 1),
        memory_usage_percent=round(report.memory, 1),
        disk_usage_percent=round(report.disk, 1),
        network_io=NetworkBody(report.bytes_in, report.bytes_out),
        active_connections=None if report.connections is None else round(report.connections),
        requests_per_minute=_per_minute(counts),
        series=[
            MetricPointBody(one.t, one.cpu, one.memory, one.disk, one.bytes_in, one.bytes_out)
            for one in report.series
        ],
    )


def uptime_body(service: str, uptime: Uptime, now: datetime) -> UptimeBody:
    """An uptime in the document's names."""
    hours: float | None = None
    if uptime.up_since is not None:
        hours = max(0.0, (now - uptime.up_since).total_seconds()) / 3600
    elif uptime.watched_since is not None:
        hours = 0.0
    return UptimeBody(
        service=service,
        current_uptime_hours=None if hours is None else round(hours, 3),
        uptime_percent_24h=_rounded(uptime.percent_24h),
        uptime_percent_7d=_rounded(uptime.percent_7d),
        uptime_percent_30d=_rounded(uptime.percent_30d),
        incidents_count=uptime.incidents,
        last_downtime=uptime.recent[0].start if uptime.recent else None,
        watched_since=uptime.watched_since,
        incidents=[
            DowntimeBody(
                one.start,
                one.end,
                round(max(0.0, ((one.end or now) - one.start).total_seconds()), 3),
                one.reason,
            )
            for one in uptime.recent
        ],
    )


def part_names(looks: Iterable[str]) -> list[str]:
    """The parts of Errata in the order in which they are shown."""
    read_models = sorted(name for name in looks if name.startswith(_READ_MODEL))
    return [DATABASE, CACHE, EVENT_LOG, *read_models, SCHEDULER]


def uptime_name(service: str) -> str:
    """Under which name the uptime of a part is kept: no scheduler sees its own absence, which is
    that of Errata."""
    return ERRATA if service == SCHEDULER else service


def part_body(name: str, look: Look | None, uptime: Uptime, now: datetime) -> ServiceHealthBody:
    """A part of Errata."""
    status, reason = _standing(look, STALE_SECONDS, now)
    return ServiceHealthBody(
        name=name,
        status=status,
        uptime_percent=_rounded(uptime.percent_30d),
        response_time_ms=look.milliseconds if look else None,
        last_checked=look.at if look else None,
        details=look.details if look else {},
        reason=reason,
        check_id=None,
    )


def check_as_service(check: CheckBody) -> ServiceHealthBody:
    """A check among the services."""
    return ServiceHealthBody(
        name=check.name,
        status=check.status,
        uptime_percent=check.uptime_percent,
        response_time_ms=check.response_time_ms,
        last_checked=check.last_checked,
        details={"target": check.target, "enabled": check.enabled},
        reason=check.reason,
        check_id=check.id,
    )


def check_body(
    check: ListedCheck,
    now: datetime,
    looks: Mapping[str, Look] | None = None,
    uptime: Uptime | None = None,
) -> CheckBody:
    """A check, with what is known of its target."""
    settings = check.settings
    look = looks.get(check_service(check.id)) if looks and settings.enabled else None
    lifetime = max(STALE_SECONDS, 2 * settings.interval + settings.timeout)
    status, reason = _standing(look, lifetime, now)
    return CheckBody(
        id=check.id,
        name=settings.name,
        target=settings.target,
        interval=settings.interval,
        timeout=settings.timeout,
        expected_status=settings.expected_status,
        body_text=settings.body_text,
        enabled=settings.enabled,
        status=status,
        uptime_percent=_rounded(uptime.percent_30d) if uptime else None,
        response_time_ms=look.milliseconds if look else None,
        last_checked=look.at if look else None,
        reason=reason,
        version=check.version,
        created_at=check.created_at,
        updated_at=check.updated_at,
    )


def overall(services: Sequence[ServiceHealthBody]) -> Status:
    """The worst of all; what is switched off does not count."""
    found = {one.status for one in services if one.details.get("enabled", True)}
    for status in ("unhealthy", "unknown"):
        if status in found:
            return status
    return "healthy"


def _standing(look: Look | None, lifetime: float, now: datetime) -> tuple[Status, str | None]:
    if look is None:
        return "unknown", None
    age = (now - look.at).total_seconds()
    if age > lifetime:
        return "unknown", f"the last look was {round(age)} s ago"
    return look.status, look.reason


def _per_minute(counts: RequestCounts | None) -> float | None:
    if counts is None or counts.seconds <= 0:
        return None
    return round(60 * counts.requests / counts.seconds, 2)


def _rounded(percent: float | None) -> float | None:
    """To four places: twenty seconds in thirty days still show."""
    return None if percent is None else round(min(100.0, max(0.0, percent)), 4)
