"""Real servers for every test that wants them: one PostgreSQL and one Redis for the whole run.

Each test gets a database of its own, copied from a migrated template, and an empty Redis.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest
import redis
from hypothesis import settings
from psycopg.conninfo import make_conninfo

from infra.clock import utc_now
from infra.embedded import EmbeddedServers
from infra.event_store.migrations import migrate
from infra.event_store.store import EventStore
from tests.waiting import FULL

# A change is judged by the same examples every time; the fault runs draw others.
settings.register_profile("judge", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile("search" if FULL else "judge")

PARTITION_EVENTS = 1_000_000
_numbers = count(1)


@dataclass(frozen=True)
class Servers:
    """The run's servers: an admin URL for PostgreSQL and Redis's URL."""

    embedded: EmbeddedServers
    admin_url: str
    redis_url: str

    def database(self, template: str = "template0") -> str:
        """A new database; returns its URL."""
        name = f"test_{next(_numbers)}"
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return make_conninfo(self.admin_url, dbname=name)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """PostgreSQL and Redis, with a migrated template database."""
    folder: Path = tmp_path_factory.mktemp("servers")
    embedded = EmbeddedServers.start(folder / "data", durable=False)
    try:
        url = embedded.database_url
        template = Servers(embedded, url, embedded.redis_url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE migrated")
        migrate(make_conninfo(url, dbname="migrated"), partition_events=PARTITION_EVENTS)
        yield template
    finally:
        embedded.stop()


@pytest.fixture
def database_url(servers: Servers) -> str:
    """A migrated, empty database of the test's own."""
    return servers.database("migrated")


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """The run's Redis, emptied."""
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
    return servers.redis_url


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[EventStore]:
    """A started event store on an empty log."""
    event_store = EventStore(database_url, clock=utc_now, partition_events=PARTITION_EVENTS)
    await event_store.start()
    yield event_store
    await event_store.stop()
