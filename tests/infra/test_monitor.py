"""The watch over real servers that are stopped and started: what the log says of it afterwards.

The pace is a tenth or less of the real one, and so are the outages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import redis

from domain.service import CACHE, DATABASE, ERRATA
from errata.monitoring import run_monitor
from infra.embedded import EmbeddedServers
from infra.event_store.codec import from_row
from infra.event_store.migrations import migrate
from infra.event_store.reader import read_page
from infra.monitor import Pace, Role
from infra.scheduler import Scheduler
from infra.settings import Settings, load_settings
from tests.waiting import eventually

PACE = Pace(turn=0.2, probe=1.0, retry=0.3, sample=1.0, beat=0.3, gap=2.0)


@pytest.fixture
def breakable(tmp_path: Path) -> Iterator[EmbeddedServers]:
    """Servers of the test's own, to be stopped at will."""
    embedded = EmbeddedServers.start(tmp_path / "data", durable=False)
    try:
        migrate(embedded.database_url, partition_events=100_000)
        yield embedded
    finally:
        embedded.stop()


@pytest.fixture
def settings(breakable: EmbeddedServers) -> Settings:
    return msgspec.structs.replace(
        load_settings({}), database_url=breakable.database_url, redis_url=breakable.redis_url
    )


@contextmanager
def watching(settings: Settings) -> Iterator[None]:
    """A scheduler with its monitor, as `errata scheduler` runs it."""
    stop = threading.Event()
    scheduler = Scheduler(settings.database_url_or_fail(), [])
    role = Role(leads=lambda: scheduler.leading, away=lambda: scheduler.away)
    threads = [
        threading.Thread(target=run_monitor, args=(settings, role, stop, PACE), daemon=True),
        threading.Thread(target=scheduler.run, args=(stop,), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def story(settings: Settings, service: str) -> list[tuple[str, Any]]:
    """(event's name, event) of everything that the log says of a service."""
    with psycopg.connect(settings.database_url_or_fail()) as connection:
        found = [from_row(row) for row in read_page(connection, after=0, limit=10_000)]
    return [(one.name, one.event) for one in found if one.event.service == service]


def names(settings: Settings, service: str) -> list[str]:
    return [name for name, _ in story(settings, service)]


def length(settings: Settings, service: str) -> float:
    """Seconds of the one downtime that the log knows of a service."""
    told = story(settings, service)
    assert [name for name, _ in told] == ["ServiceWatched", "ServiceWentDown", "ServiceRecovered"]
    down, back = told[1][1], told[2][1]
    assert back.down_since == down.at
    return float((back.at - down.at) / timedelta(seconds=1))


def watched(settings: Settings, *services: str) -> Callable[[], bool]:
    return lambda: all("ServiceWatched" in names(settings, one) for one in services)


def recovered(settings: Settings, service: str) -> Callable[[], bool]:
    return lambda: "ServiceRecovered" in names(settings, service)


def test_postgresql_away_for_a_while_is_one_incident_with_its_length(
    breakable: EmbeddedServers, settings: Settings
) -> None:
    with watching(settings):
        assert eventually(watched(settings, ERRATA, DATABASE))
        stopped = time.monotonic()
        breakable.stop_postgres("immediate")
        time.sleep(4)
        breakable.start_postgres()
        away = time.monotonic() - stopped
        assert eventually(recovered(settings, DATABASE))
    assert length(settings, DATABASE) == pytest.approx(away, abs=1.5)
    assert names(settings, ERRATA) == ["ServiceWatched"], "Errata itself was there all the time"


def test_redis_away_for_a_while_is_one_incident_with_its_length(
    breakable: EmbeddedServers, settings: Settings
) -> None:
    with watching(settings):
        assert eventually(watched(settings, ERRATA, CACHE))
        breakable.kill_redis()
        time.sleep(2)
        breakable.start_redis()
        assert eventually(recovered(settings, CACHE))
    assert length(settings, CACHE) == pytest.approx(2, abs=1.5)


def test_errata_away_for_a_while_is_one_incident_with_its_length(settings: Settings) -> None:
    with watching(settings):
        assert eventually(watched(settings, ERRATA, DATABASE))
    time.sleep(4)
    with watching(settings):
        assert eventually(recovered(settings, ERRATA))
    assert length(settings, ERRATA) == pytest.approx(4, abs=1.5)
    assert names(settings, DATABASE) == ["ServiceWatched"]


def test_a_short_pause_of_errata_is_none(settings: Settings) -> None:
    for _ in range(2):
        with watching(settings):
            assert eventually(watched(settings, ERRATA))
            time.sleep(0.5)
    assert names(settings, ERRATA) == ["ServiceWatched"]


def test_what_one_scheduler_saw_and_could_not_write_another_writes(
    breakable: EmbeddedServers, settings: Settings
) -> None:
    with watching(settings):
        assert eventually(watched(settings, ERRATA, DATABASE))
        breakable.stop_postgres("immediate")
        with redis.Redis.from_url(breakable.redis_url) as client:
            assert eventually(lambda: bool(client.hexists("errata:outages", DATABASE)))
        stopped = datetime.now().astimezone()
    breakable.start_postgres()
    with watching(settings):
        assert eventually(recovered(settings, DATABASE))
    down = story(settings, DATABASE)[1][1]
    assert down.at < stopped
    with redis.Redis.from_url(breakable.redis_url) as client:
        assert client.hgetall("errata:outages") == {}


def test_two_schedulers_tell_an_outage_once(breakable: EmbeddedServers, settings: Settings) -> None:
    with watching(settings), watching(settings):
        assert eventually(watched(settings, ERRATA, DATABASE))
        breakable.stop_postgres("immediate")
        time.sleep(3)
        breakable.start_postgres()
        assert eventually(recovered(settings, DATABASE))
        time.sleep(1)
    length(settings, DATABASE)
