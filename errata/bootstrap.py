"""The composition root: Settings in, wired parts out. Nothing is built at import."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from uuid import uuid4

import redis.asyncio as async_redis

from api.container import Container
from api.dashboard_ports import Dashboard
from api.monitoring_ports import Monitoring
from domain.api_key import IssueApiKey, key_hash, key_preview
from domain.app import RegisterApp
from domain.failures import AlreadyExists
from domain.message import Command, Context, derived_id
from domain.permissions import ALL_PERMISSIONS, OWNER
from domain.rate_limit import Rate
from domain.scrubbing import Scrubber
from domain.vocabulary import ANY_APP, DEFAULT_APP
from errata.consistency import ConsistencyChecks
from errata.health import look
from errata.past import Past
from errata.trials import Trials
from infra.clock import utc_now
from infra.event_store.archive import Archive
from infra.event_store.migrations import migrate
from infra.event_store.store import EventStore, KeyStates
from infra.history import History
from infra.last_used import LastUsed
from infra.notifications import Notifier
from infra.open_connections import OpenConnections
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
from projections.directory.alert_history import AlertHistory, HistoryQueries
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
from projections.live import Live
from projections.occurrence_index import OccurrenceIndexQueries
from projections.occurrences import OccurrenceQueries
from projections.positions import Positions
from projections.rebuilds import Rebuilds
from projections.registry import ALL_READ_MODELS, READ_MODELS
from projections.stats import Stats, StatsQueries
from projections.uptime import ServiceUptime, UptimeQueries

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
        observe_query=metrics.observe_query if metrics else lambda query, seconds: None,
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
    metrics = Metrics(settings, "api")
    store = event_store(settings, metrics)
    metrics.watch_queue(lambda: store.committer.waiting)
    client = connect_async(settings.redis_url_or_fail())
    requests = RequestStats(client)
    metrics.pass_on(requests.count)
    connections = OpenConnections(client, settings.port)
    positions = watched_positions(store, client)
    live = Live(client, positions)
    source_map_list = live(SourceMapQueries, SourceMapList)
    source_maps = SourceMaps(
        settings.database_url_or_fail(), lambda app, of: source_map_list.contents(app, of)
    )
    past = Past(settings, client)
    trials = Trials(settings)
    consistency = ConsistencyChecks(settings, client)

    return _with_settings(_with_queries(Container, live), settings)(
        store=store,
        positions=positions,
        occurrences=OccurrenceQueries(store.stream_back),
        monitoring=monitoring(client, live, requests),
        dashboard=dashboard(store, live),
        rebuilds=Rebuilds(client, READ_MODELS),
        source_maps=source_maps,
        source_map_list=source_map_list,
        key_source=KeyStates(store.reader),
        key_usage=LastUsed(client),
        meter=metrics,
        health=partial(look, store, client, positions),
        limiter=RateLimits(client, _limits(settings)) if settings.rate_limits else None,
        past=past,
        trials=trials,
        consistency=consistency,
        startup=(store.start, positions.start, requests.start, connections.start),
        shutdown=(
            consistency.stop,
            past.stop,
            trials.stop,
            source_maps.stop,
            connections.stop,
            requests.stop,
            positions.stop,
            store.stop,
            client.aclose,
        ),
    )


def _with_queries(make: Callable[..., Container], live: Live) -> Callable[..., Container]:
    """The container with the queries of the read models in Redis that routes ask directly."""
    return partial(
        make,
        errors=live(ErrorQueries, ErrorGroups),
        stats=live(StatsQueries, Stats),
        apps=live(AppQueries, Apps),
        api_keys=live(ApiKeyQueries, ApiKeys),
        rules=live(RuleQueries, AlertRules),
        alert_history=live(HistoryQueries, AlertHistory),
        incidents=live(IncidentQueries, Incidents),
        members=live(MemberQueries, Members),
        integrations=live(IntegrationQueries, Integrations),
    )


def _with_settings(make: Callable[..., Container], settings: Settings) -> Callable[..., Container]:
    """The container with what follows from the settings alone, or is always the same."""
    return partial(
        make,
        history=History(settings.database_url_or_fail(), Archive(settings.archive)),
        secrets=SecretBox(settings.secret_key, settings.data_dir),
        notifier=Notifier(allow_private=settings.allow_private_targets),
        scrubber=Scrubber(settings.scrub_keys),
        production=settings.production,
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        clock=utc_now,
        new_id=uuid4,
        version=version("errata"),
    )


def watched_positions(store: EventStore, client: async_redis.Redis) -> Positions:
    """The positions of all read models, not yet started."""
    spaces = [model.keyspace() for model in ALL_READ_MODELS]
    serves_from = {model.name: model.serves_from for model in ALL_READ_MODELS}
    return Positions(client, spaces, store.head, serves_from)


def _limits(settings: Settings) -> dict[Rate, int]:
    """Requests a minute, by class."""
    return {
        Rate.REPORTS: settings.rate_limit_reports,
        Rate.ANALYTICS: settings.rate_limit_analytics,
        Rate.GENERAL: settings.rate_limit_general,
    }


def monitoring(client: async_redis.Redis, live: Live, requests: RequestStats) -> Monitoring:
    """What the routes of monitoring read from."""
    return Monitoring(
        uptime=live(UptimeQueries, ServiceUptime),
        checks=live(CheckQueries, Checks),
        board=Board(client),
        requests=requests,
        host=Samples(client),
    )


def dashboard(store: EventStore, live: Live) -> Dashboard:
    """What the dashboard's API reads from."""
    index = OccurrenceIndexQueries(store.reader.rows)
    return Dashboard(
        index=index,
        codes=live(CodeQueries, Codes),
        trends=live(
            lambda client, space: DashboardTrendQueries(client, space, index.distinct),
            DashboardTrends,
        ),
        events=store.reader,
    )


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
