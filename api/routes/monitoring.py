"""/api/analytics/performance and /api/monitoring: how Errata itself is, as it was measured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import cast

from litestar import get

from api.answers import Answer, encode_json, success
from api.cache import HOST_METRICS, PERFORMANCE, SERVICES, UPTIMES, Computed, cached
from api.call import Call, as_uuid
from api.monitoring import (
    check_as_service,
    check_body,
    metrics_body,
    overall,
    part_body,
    part_names,
    performance_body,
    uptime_body,
    uptime_name,
)
from api.monitoring_schemas import MonitoredServicesBody
from api.query import Parameters, parameters
from api.reading import caught_up, up_to_date
from api.routes.monitoring_described import (
    GET_METRICS,
    GET_PERFORMANCE,
    GET_UPTIME,
    LIST_SERVICES,
)
from domain.check import check_service
from domain.failures import NotFound
from domain.observation import TIMEFRAMES, Timeframe
from domain.service import ERRATA
from projections.downtimes import Uptime

UPTIME = "uptime"
CHECKS = "checks"


@get("/analytics/performance", opt={"operation": GET_PERFORMANCE})
async def get_performance(request: Call) -> Answer:
    """How fast and how well the API answers."""
    await up_to_date(request, UPTIME)
    return success(await cached(request, PERFORMANCE, [UPTIME], (), lambda: _performance(request)))


@get("/monitoring/services", opt={"operation": LIST_SERVICES})
async def list_services(request: Call) -> Answer:
    """All parts of Errata, and the custom checks."""
    await up_to_date(request, UPTIME)
    await up_to_date(request, CHECKS)
    read_models = [UPTIME, CHECKS]
    return success(await cached(request, SERVICES, read_models, (), lambda: _services(request)))


@get("/monitoring/metrics", opt={"operation": GET_METRICS})
async def get_metrics(request: Call) -> Answer:
    """The host over a timeframe."""
    read = Parameters(parameters(request.scope["query_string"]))
    timeframe = cast("Timeframe", read.one_of("timeframe", tuple(TIMEFRAMES)) or "1h")
    read.check()
    body = await cached(request, HOST_METRICS, [], timeframe, lambda: _metrics(request, timeframe))
    return success(body)


@get("/monitoring/uptime", opt={"operation": GET_UPTIME})
async def get_uptime(request: Call) -> Answer:
    """How long something has been up."""
    read = Parameters(parameters(request.scope["query_string"]))
    service = read.text("service") or ERRATA
    read.check()
    check_id = as_uuid(service)
    name = uptime_name(service) if check_id is None else check_service(check_id)
    await up_to_date(request, UPTIME)
    question = (service, name)
    body = await cached(
        request, UPTIMES, [UPTIME], question, lambda: _service_uptime(request, service, name)
    )
    return success(body)


async def _performance(request: Call) -> Computed:
    uptime = await _known(request, request.container.monitoring.uptime.of_answers)
    body = performance_body(await request.container.monitoring.requests.recent(), uptime)
    return Computed(encode_json(body), settled=body.performance_score is not None)


async def _services(request: Call) -> Computed:
    monitoring, now = request.container.monitoring, request.container.clock()
    looks = await monitoring.board.looks()
    checks = await monitoring.checks.all()
    parts = part_names(looks)
    names = [*map(uptime_name, parts), *(check_service(check.id) for check in checks)]
    uptimes = await monitoring.uptime.of(names, now)
    services = [part_body(name, looks.get(name), uptimes[uptime_name(name)], now) for name in parts]
    for check in checks:
        found = check_body(check, now, looks, uptimes[check_service(check.id)])
        services.append(check_as_service(found))
    body = MonitoredServicesBody(services, overall(services))
    return Computed(encode_json(body), settled=body.overall_health == "healthy")


async def _metrics(request: Call, timeframe: Timeframe) -> Computed:
    report = await request.container.monitoring.host.report(timeframe)
    counts = None
    if report is not None:
        counts = await request.container.monitoring.requests.since(report.since.timestamp())
    body = encode_json(metrics_body(timeframe, report, counts))
    return Computed(body, settled=report is not None)


async def _service_uptime(request: Call, service: str, name: str) -> Computed:
    uptimes = request.container.monitoring.uptime

    async def ask(now: datetime) -> Uptime:
        # A part that is not seen when Errata is not there does not answer for the database, too.
        if service == ERRATA:
            return await uptimes.of_errata(now)
        return (await uptimes.of([name], now))[name]

    uptime = await _known(request, ask)
    if uptime.watched_since is None and not uptime.recent and name != ERRATA:
        raise NotFound("nobody watches such a service")
    body = encode_json(uptime_body(service, uptime, request.container.clock()))
    return Computed(body, settled=uptime.watched_since is not None)


async def _known(request: Call, ask: Callable[[datetime], Awaitable[Uptime]]) -> Uptime:
    """An uptime as of now. Nothing at all may mean that Redis was emptied a moment ago: that is no
    answer."""
    found = await ask(request.container.clock())
    if found.watched_since is None:
        await caught_up(request, UPTIME)
        found = await ask(request.container.clock())
    return found
