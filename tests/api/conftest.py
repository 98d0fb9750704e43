"""The whole API in this process: real PostgreSQL and Redis, a worker beside it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from api.app import create_app
from domain.api_key import IssueApiKey, RevokeApiKey, key_hash, key_preview
from domain.app import RegisterApp
from domain.message import Command, Context
from domain.permissions import ALL_PERMISSIONS
from errata.bootstrap import container as wired
from errata.bootstrap import prepare
from errata.worker import run_worker
from infra.settings import Settings, load_settings
from projections.registry import ALL_READ_MODELS
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from litestar import Litestar

    from api.container import Container

REPORT = {"message": "Database connection failed", "source": "backend", "level": "error"}


class Api(httpx.AsyncClient):
    """A client of one API process, with the development key in every request."""

    def __init__(self, app: Litestar, container: Container) -> None:
        super().__init__(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
            base_url="http://errata.test",
            headers={"X-API-Key": "test-api-key"},
            timeout=10,
        )
        self.app = app
        self.container = container

    async def report(self, **changes: Any) -> dict[str, Any]:
        """The group after one report."""
        answer = await self.post("/api/errors", json={**REPORT, **changes})
        assert answer.status_code == 201, answer.text
        return dict(answer.json()["data"])

    async def execute(self, command: Command) -> int:
        """Something that has no route yet; returns its position."""
        context = Context("system:test", str(uuid4()), str(uuid4()))
        return (await self.container.store.execute(command, context)).position

    async def register(self, app: str) -> None:
        """An application."""
        await self.execute(RegisterApp(app=app, app_name=app))

    async def issue(self, *permissions: str, app: str = "*", lifetime: float = 3600) -> str:
        """A key that every process knows within a second."""
        key = f"sk_live_{uuid4().hex}"
        now = datetime.now(UTC)
        command = IssueApiKey(
            key_id=UUID(hex=key[-32:]),
            key_name="test",
            key_hash=key_hash(key),
            key_preview=key_preview(key),
            app=app,
            permissions=permissions,
            granted_by=ALL_PERMISSIONS,
            issued_at=now - timedelta(days=1),
            expires_at=now + timedelta(seconds=lifetime),
        )
        await self.execute(command)
        await asyncio.sleep(0.6)
        return key

    async def revoke(self, key: str) -> None:
        """Take such a key back."""
        await self.execute(RevokeApiKey(key_id=UUID(hex=key[-32:])))


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    # The embedded server's address is a socket, which the setting's URL form does not take.
    return msgspec.structs.replace(
        load_settings({}, redis_url=redis_url), database_url=database_url
    )


@pytest.fixture
def worker(settings: Settings) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=run_worker, args=(settings, stop), daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


@asynccontextmanager
async def running(settings: Settings, **changes: Any) -> AsyncIterator[Api]:
    """An API process on these settings, with parts of its container changed."""
    container = wired(settings)
    for name, value in changes.items():
        object.__setattr__(container, name, value)
    app = create_app(container)
    started, done = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        # In a task of its own: fixtures are set up and torn down in different tasks.
        async with app.lifespan():
            started.set()
            await done.wait()

    life = asyncio.create_task(live())
    await asyncio.wait({life, asyncio.create_task(started.wait())}, return_when="FIRST_COMPLETED")
    try:
        if started.is_set():
            async with Api(app, app.state["parts"].container) as client:
                yield client
    finally:
        done.set()
        async with asyncio.timeout(PATIENCE):
            await life


@pytest.fixture
async def api_alone(settings: Settings) -> AsyncIterator[Api]:
    """The API without any worker."""
    await prepare(settings)
    async with running(settings) as client:
        yield client


@pytest.fixture
async def api(api_alone: Api, worker: None) -> Api:
    """The API with a worker that has seen the log so far."""
    head = await api_alone.container.store.head()
    for read_model in ALL_READ_MODELS:
        assert await api_alone.container.positions.wait(read_model.name, head, 10)
    return api_alone


def encoded(value: object) -> bytes:
    """JSON."""
    return msgspec.json.encode(value)
