"""Health for people and probes, the API's front page, and its metrics."""

from __future__ import annotations

from html import escape

from litestar import get

from api.answers import Answer, encode_json
from api.call import Call
from api.examples import HEALTH
from api.operations import Operation, Reply
from api.page import html_answer
from api.schemas import EntryPoints, HealthBody, LiveBody, ReadyBody, RootBody, ServicesBody

ENTRY_POINTS = EntryPoints(
    errors="/api/errors",
    health="/health",
    docs="/docs",
    openapi="/docs/openapi.json",
    metrics="/metrics",
)

_DEGRADED = {
    **HEALTH,
    "status": "degraded",
    "services": {**HEALTH["services"], "redis": "down", "projections": "down"},
    "reasons": ["Redis does not answer"],
}

GET_HEALTH = Operation(
    summary="How all parts are",
    tag="health",
    description="All are asked at once; one that has not answered after a second is down.",
    replies={
        200: Reply("All parts are up.", HealthBody, enveloped=False, example=HEALTH),
        503: Reply("A part is down.", HealthBody, enveloped=False, example=_DEGRADED),
    },
)
GET_LIVE = Operation(
    summary="Whether the process answers",
    tag="health",
    replies={200: Reply("It does.", LiveBody, enveloped=False, example={"status": "ok"})},
)
GET_READY = Operation(
    summary="Whether the process can take reports",
    tag="health",
    description=(
        "It needs the log and the keys. Without Redis it still takes reports, so that alone "
        "takes no process out of service."
    ),
    replies={
        200: Reply("It can.", ReadyBody, enveloped=False, example={"status": "ready"}),
        503: Reply(
            "It cannot.",
            ReadyBody,
            enveloped=False,
            example={"status": "not ready", "reason": "PostgreSQL does not answer"},
        ),
    },
)
GET_ROOT = Operation(
    summary="The API and its entry points",
    tag="health",
    description="JSON, or a page for browsers.",
    replies={
        200: Reply(
            "The entry points.",
            RootBody,
            enveloped=False,
            example={
                "name": "Errata",
                "version": "0.1.0",
                "entry_points": {
                    "errors": "/api/errors",
                    "health": "/health",
                    "docs": "/docs",
                    "openapi": "/docs/openapi.json",
                    "metrics": "/metrics",
                },
            },
        )
    },
)
GET_METRICS = Operation(
    summary="Metrics for Prometheus",
    tag="health",
    replies={200: Reply("All metrics of all processes.", media_type="text/plain")},
)


@get("/health", opt={"operation": GET_HEALTH})
async def health(request: Call) -> Answer:
    """One look at PostgreSQL, Redis and the read models."""
    container = request.container
    found = await container.health()
    body = HealthBody(
        status="ok" if found.ok else "degraded",
        timestamp=container.clock(),
        services=ServicesBody(found.postgres, found.redis, found.projections),
        version=container.version,
        reasons=found.reasons,
    )
    return Answer(200 if found.ok else 503, encode_json(body))


@get("/health/live", opt={"operation": GET_LIVE})
async def live(request: Call) -> Answer:
    """Always 200: whoever can say it is alive."""
    return Answer(200, encode_json(LiveBody("ok")))


@get("/health/ready", opt={"operation": GET_READY})
async def ready(request: Call) -> Answer:
    """Whether reports can be taken now."""
    found = await request.container.health()
    reason = None
    if found.postgres != "up":
        reason = "; ".join(found.reasons) or "PostgreSQL does not answer"
    elif not request.parts.keys.loaded:
        reason = "the API keys have not been read yet"
    if reason is not None:
        return Answer(503, encode_json(ReadyBody("not ready", reason)))
    return Answer(200, encode_json(ReadyBody("ready")))


@get("/", opt={"operation": GET_ROOT})
async def root(request: Call) -> Answer:
    """The entry points, in the form that the client prefers."""
    version = request.container.version
    if "text/html" in (request.header(b"accept") or ""):
        links = "".join(
            f'<li><a href="{escape(path)}">{escape(path)}</a> {escape(name)}</li>'
            for name, path in sorted(_entries().items())
        )
        return html_answer("Errata", f"<h1>Errata {escape(version)}</h1><ul>{links}</ul>")
    return Answer(200, encode_json(RootBody("Errata", version, ENTRY_POINTS)))


@get("/metrics", opt={"operation": GET_METRICS})
async def metrics(request: Call) -> Answer:
    """What Prometheus scrapes."""
    body, content_type = request.container.meter.exposition()
    return Answer(200, body, content_type=content_type.encode())


def _entries() -> dict[str, str]:
    return {name: getattr(ENTRY_POINTS, name) for name in ENTRY_POINTS.__struct_fields__}
