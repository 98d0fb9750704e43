"""The composition root: Settings in, wired parts out. Nothing is built at import."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from uuid import uuid4

import msgspec
import redis.asyncio as async_redis
from redis.exceptions import RedisError

from api.container import Container, Health
from api.dashboard_ports import Dashboard
from api.monitoring_ports import Monitoring
from domain.api_key import IssueApiKey, key_hash, key_preview
from domain.app import RegisterApp
from domain.failures import AlreadyExists, Unavailable
from domain.message import Command, Context, derived_id
from domain.permissions import ALL_PERMISSIONS, OWNER
from domain.rate_limit import Rate
from domain.scrubbing import Scrubber
from domain.vocabulary import ANY_APP, DEFAULT_APP
from infra.clock import utc_now
from infra.event_store.archive import Archive
from infra.event_store.migrations import migrate
from infra.event_store.store import EventStore, KeyStates
from infra.heartbeat import alive_command
from infra.last_used import LastUsed
from infra.notifications import Notifier
from infra.probes import Board
from infra.rate_limits import RateLimits
from infra.redis import connect_async
from infra.request_stats import RequestStats
from infra.samples import Samples
from infra.secrets import SecretBox
from infra.settings import Settings
from infra.source_maps import SourceMaps
from infra.telemetry import Metrics
from projections.codes import CodeQueries, Codes
from projections.dashboard_trends import DashboardTrendQueries, DashboardTrends
from projections.directory.api_keys import ApiKeyQueries, ApiKeys
from projections.directory.apps import AppQueries, Apps
from projections.directory.checks import CheckQueries, Checks
from projections.directory.incidents import IncidentQueries, Incidents
from projections.directory.integrations import IntegrationQueries, Integrations
from projections.directory.members import MemberQueries, Members
from projections.directory.rules import AlertRules, RuleQueries
from projections.directory.source_maps import SourceMapQueries
from projections.directory.source_maps import SourceMaps as SourceMapList
from projections.error_groups import ErrorGroups, ErrorQueries
from projections.occurrence_index import OccurrenceIndexQueries
from projections.occurrences import OccurrenceQueries
from projections.positions import Positions
from projections.registry import ALL_READ_MODELS
from projections.runner import Stopped, stopped_key
from projections.stats import Stats, StatsQueries
from projections.uptime import ServiceUptime, UptimeQueries

HEALTH_SECONDS = 1.0
"""How long /health waits for a part before it calls it down."""

SYSTEM = "system:bootstrap"


def event_store(settings: Settings, metrics: Metrics | None = None) -> EventStore:
    """This process's event store, not yet started."""
    return EventStore(
        settings.database_url_or_fail(),
        clock=utc_now,
        partition_events=settings.partition_events,
        queue_limit=settings.commit_queue,
        batch_limit=settings.commit_batch,
        archive=Archive(settings.archive),
        observe=metrics.observe_commit if metrics else lambda events, seconds: None,
    )


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[EventStore]:
    """An event store for the life of a block."""
    store = event_store(settings)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def container(settings: Settings) -> Container:
    """All that one API process needs."""
    metrics = Metrics(settings)
    store = event_store(settings, metrics)
    metrics.watch_queue(lambda: store.committer.waiting)
    client = connect_async(settings.redis_url_or_fail())
    requests = RequestStats(client)
    metrics.pass_on(requests.count)
    source_map_list = SourceMapQueries(client, SourceMapList().keyspace())
    source_maps = SourceMaps(settings.database_url_or_fail(), source_map_list.contents)
    positions = Positions(client, [model.keyspace() for model in ALL_READ_MODELS], store.head)

    async def health() -> Health:
        return await look(store, client)

    return Container(
        store=store,
        positions=positions,
        errors=ErrorQueries(client, ErrorGroups().keyspace()),
        occurrences=OccurrenceQueries(store.stream_back),
        stats=StatsQueries(client, Stats().keyspace()),
        apps=AppQueries(client, Apps().keyspace()),
        api_keys=ApiKeyQueries(client, ApiKeys().keyspace()),
        rules=RuleQueries(client, AlertRules().keyspace()),
        incidents=IncidentQueries(client, Incidents().keyspace()),
        members=MemberQueries(client, Members().keyspace()),
        integrations=IntegrationQueries(client, Integrations().keyspace()),
        monitoring=monitoring(client, requests),
        dashboard=dashboard(store, client),
        source_maps=source_maps,
        source_map_list=source_map_list,
        key_source=KeyStates(store.reader),
        key_usage=LastUsed(client),
        secrets=SecretBox(settings.secret_key, settings.data_dir),
        notifier=Notifier(allow_private=settings.allow_private_targets),
        scrubber=Scrubber(settings.scrub_keys),
        meter=metrics,
        health=health,
        clock=utc_now,
        new_id=uuid4,
        production=settings.production,
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        version=version("errata"),
        limiter=RateLimits(client, _limits(settings)) if settings.rate_limits else None,
        startup=(store.start, positions.start, requests.start),
        shutdown=(source_maps.stop, requests.stop, positions.stop, store.stop, client.aclose),
    )


def _limits(settings: Settings) -> dict[Rate, int]:
    """Requests a minute, by class."""
    return {
        Rate.REPORTS: settings.rate_limit_reports,
        Rate.ANALYTICS: settings.rate_limit_analytics,
        Rate.GENERAL: settings.rate_limit_general,
    }


def monitoring(client: async_redis.Redis, requests: RequestStats) -> Monitoring:
    """What the routes of monitoring read from."""
    return Monitoring(
        uptime=UptimeQueries(client, ServiceUptime().keyspace()),
        checks=CheckQueries(client, Checks().keyspace()),
        board=Board(client),
        requests=requests,
        host=Samples(client),
    )


def dashboard(store: EventStore, client: async_redis.Redis) -> Dashboard:
    """What the dashboard's API reads from."""
    index = OccurrenceIndexQueries(store.reader.rows)
    return Dashboard(
        index=index,
        codes=CodeQueries(client, Codes().keyspace()),
        trends=DashboardTrendQueries(client, DashboardTrends().keyspace(), index.distinct),
        events=store.reader,
    )


async def look(store: EventStore, client: async_redis.Redis) -> Health:
    """One look at PostgreSQL, Redis and the workers."""
    reasons: list[str] = []
    postgres = redis = projections = "up"
    try:
        await asyncio.wait_for(store.head(), HEALTH_SECONDS)
    except (Unavailable, TimeoutError):
        postgres = "down"
        reasons.append("PostgreSQL does not answer")
    try:
        stood = await asyncio.wait_for(_stood_still(client), HEALTH_SECONDS)
    except (RedisError, OSError, TimeoutError):
        redis = projections = "down"
        reasons.append("Redis does not answer")
    else:
        if stood:
            projections = "down"
            reasons += stood
    return Health(postgres, redis, projections, tuple(reasons))


async def _stood_still(client: async_redis.Redis) -> list[str]:
    """Why read models do not move on; empty when all do."""
    reasons = []
    for model in ALL_READ_MODELS:
        found = await client.get(stopped_key(model.keyspace()))
        if found is not None:
            stopped = msgspec.json.decode(found, type=Stopped)
            reasons.append(
                f"read model {stopped.name} stopped at position {stopped.position}"
                f" (event {stopped.event_id}): {stopped.reason}"
            )
    members: list[bytes] = await client.execute_command(*alive_command())  # type: ignore[no-untyped-call]
    if not any(member.startswith(b"worker:") for member in members):
        reasons.append("no worker is running")
    return reasons


async def prepare(settings: Settings) -> str | None:
    """Bring the database up to date and put in what is there from the start.

    Returns the owner's key when this was the first start in production: it is shown once and
    cannot be read again. Safe to run from several processes at once.
    """
    await asyncio.to_thread(
        migrate, settings.database_url_or_fail(), partition_events=settings.partition_events
    )
    async with open_store(settings) as store:
        await _once(store, RegisterApp(app=DEFAULT_APP, app_name="Default"))
        if not settings.production:
            await _once(store, RegisterApp(app="test-app", app_name="Test Application"))
            return None
        return await _owner_key(store)


async def _owner_key(store: EventStore) -> str | None:
    key = f"sk_live_{secrets.token_urlsafe(32)}"
    issue = IssueApiKey(
        key_id=derived_id("api_key", "owner"),
        key_name="Owner",
        key_hash=key_hash(key),
        key_preview=key_preview(key),
        app=ANY_APP,
        permissions=tuple(sorted(ALL_PERMISSIONS)),
        granted_by=ALL_PERMISSIONS,
        issued_at=utc_now(),
        role=OWNER,
    )
    return key if await _once(store, issue) else None


async def _once(store: EventStore, command: Command) -> bool:
    """Execute a command that may have been executed before; whether it did anything now."""
    context = Context(SYSTEM, correlation_id=str(uuid4()), causation_id=str(uuid4()))
    try:
        return bool((await store.execute(command, context)).events)
    except AlreadyExists:
        return False
