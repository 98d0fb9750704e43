"""What the command line changes and lists: applications and keys. No printing here."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID, uuid4

import redis
import redis.asyncio as async_redis

from domain import app as apps
from domain.api_key import IssueApiKey, RevokeApiKey, key_hash, key_preview
from domain.app import RegisterApp
from domain.failures import NotFound, Unavailable
from domain.message import Command, Committed, Context
from domain.permissions import ALL_PERMISSIONS, DEFAULT_PERMISSIONS, Permission, parse_permissions
from domain.vocabulary import ANY_APP
from errata.bootstrap import open_store
from errata.worker import DecodedLog
from infra.clock import utc_now
from infra.event_store.archive import Archive
from infra.event_store.migrations import has_log
from infra.event_store.store import EventStore
from infra.event_store.subscription import Subscription
from infra.heartbeat import alive_command
from infra.redis import connect, connect_async
from infra.settings import Settings
from projections.directory.api_keys import ApiKeyQueries, ApiKeys, ListedApiKey
from projections.directory.apps import Application, AppQueries, Apps
from projections.projection import Keyspace, RedisReadModel
from projections.runner import Runner, stopped_key
from projections.versions import code_of, live_spaces

ACTOR = "system:cli"
INGEST_PREFIX = "ei"
KEY_PREFIX = "sk_live"

_PATIENCE = 2.0
"""Seconds to wait for a worker to bring a list up to date, before we do."""
_POLL_SECONDS = 0.02


async def register_app(settings: Settings, app: str, name: str) -> str | None:
    """Register an application; returns its new ingest key, None where it was there already.

    Raises Invalid, AlreadyExists (the id is taken by another name), Unavailable."""
    async with _store(settings) as store:
        done = await _execute(store, RegisterApp(app=app, app_name=name))
        if not done.events:
            return None
        _, key = await _issue(store, f"{name} ingest"[:200], app, (Permission.INGEST,), None)
        return key


async def issue_key(
    settings: Settings,
    name: str,
    app: str,
    permissions: tuple[str, ...],
    expires_at: datetime | None,
) -> tuple[UUID, str]:
    """Issue a key for one application, or "*" for all; returns its id and the key itself.

    Raises Invalid, NotFound for an unknown application, Unavailable."""
    async with _store(settings) as store:
        if app != ANY_APP:
            known = await store.reader.states_of(apps.decider.kind)
            if app not in {state.app for state in known}:
                raise NotFound(f"no application {app!r}; errata app list shows those there are")
        wanted = parse_permissions(permissions or DEFAULT_PERMISSIONS)
        return await _issue(store, name, app, wanted, expires_at)


async def revoke_key(settings: Settings, key_id: UUID) -> bool:
    """Revoke a key; whether it still worked. Raises NotFound, Unavailable."""
    async with _store(settings) as store:
        return bool((await _execute(store, RevokeApiKey(key_id=key_id))).events)


async def listed_apps(settings: Settings) -> list[Application]:
    """All applications. Raises Unavailable when the list cannot be brought up to date."""
    space = await asyncio.to_thread(catch_up, settings, Apps())
    async with _redis(settings) as client:
        return await AppQueries(client, space).all()


async def listed_keys(settings: Settings) -> list[ListedApiKey]:
    """All keys that are not revoked. Raises Unavailable like listed_apps."""
    space = await asyncio.to_thread(catch_up, settings, ApiKeys())
    async with _redis(settings) as client:
        return await ApiKeyQueries(client, space).all()


def catch_up(settings: Settings, model: RedisReadModel) -> Keyspace:
    """Return when a read model has reached the log's head, and where it is then: wait for the
    worker, or where none runs, fold what is missing here. While an older fold is live, of which
    this is still being built, what that shows must do.

    Raises Unavailable when the read model stands still."""
    client = connect(settings.redis_url_or_fail())
    subscription = Subscription(settings.database_url_or_fail(), Archive(settings.archive))
    try:
        (space,) = live_spaces(client, [model])
        if code_of(space.version) != model.version:
            return space
        runner = Runner(DecodedLog(subscription), client, [model], live=[space])
        head = subscription.head()
        deadline = time.monotonic() + _PATIENCE
        while (runner.positions()[space] or 0) < head:
            if client.exists(stopped_key(space)):
                raise Unavailable("projections", f"{model.name} stands still: see errata status")
            if worker_runs(client) and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            else:
                runner.step()  # beside a worker that is only slow it does no harm
        return space
    finally:
        subscription.close()
        client.close()


def worker_runs(client: redis.Redis) -> bool:
    """Whether a worker has given a sign of life in the last seconds."""
    members: list[bytes] = client.execute_command(*alive_command())  # type: ignore[no-untyped-call]
    return any(member.startswith(b"worker:") for member in members)


async def _issue(
    store: EventStore,
    name: str,
    app: str,
    permissions: tuple[str, ...],
    expires_at: datetime | None,
) -> tuple[UUID, str]:
    prefix = INGEST_PREFIX if permissions == (Permission.INGEST,) else KEY_PREFIX
    key = f"{prefix}_{secrets.token_urlsafe(32)}"
    command = IssueApiKey(
        key_id=uuid4(),
        key_name=name,
        key_hash=key_hash(key),
        key_preview=key_preview(key),
        app=app,
        permissions=permissions,
        granted_by=ALL_PERMISSIONS,  # who may run commands here holds the log itself
        issued_at=utc_now(),
        expires_at=expires_at,
    )
    await _execute(store, command)
    return command.key_id, key


async def _execute(store: EventStore, command: Command) -> Committed:
    return await store.execute(
        command, Context(ACTOR, correlation_id=str(uuid4()), causation_id=str(uuid4()))
    )


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[EventStore]:
    """The event store, after a look at the database: it would wait for one that is away."""
    if not await has_log(settings.database_url_or_fail()):
        raise Unavailable("postgres", "the database holds no Errata yet: run errata migrate")
    async with open_store(settings) as store:
        yield store


@asynccontextmanager
async def _redis(settings: Settings) -> AsyncIterator[async_redis.Redis]:
    client = connect_async(settings.redis_url_or_fail())
    try:
        yield client
    finally:
        await client.aclose()
