"""Servers that may be broken, apart from those of the other tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg.conninfo import make_conninfo

from infra.embedded import EmbeddedServers
from infra.event_store.migrations import migrate
from tests.conftest import PARTITION_EVENTS, Servers

FOLDER = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """`-m faults` asks for the full counts."""
    if config.getoption("markexpr", "") == "faults":
        os.environ["FAULTS"] = "full"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked as a fault."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A PostgreSQL and a Redis of these tests' own, to be stopped and killed."""
    embedded = EmbeddedServers.start(tmp_path_factory.mktemp("fragile") / "data", durable=False)
    try:
        url = embedded.database_url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE migrated")
        migrate(make_conninfo(url, dbname="migrated"), partition_events=PARTITION_EVENTS)
        yield Servers(embedded, url, embedded.redis_url)
    finally:
        embedded.stop()


@pytest.fixture
def fragile_database(fragile: Servers) -> str:
    """A migrated, empty database on the servers that may be broken."""
    return fragile.database("migrated")


@pytest.fixture
def fragile_redis(fragile: Servers) -> str:
    """The Redis that may be broken, emptied."""
    return emptied(fragile.redis_url)


def emptied(url: str) -> str:
    """The same URL, with nothing behind it any more."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url
