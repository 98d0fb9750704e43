"""Our recorder keeps the contract of the eventsourcing library: its own test cases, on ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import AggregateRecorder, StoredEvent
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)
from psycopg_pool import ConnectionPool

from infra.clock import utc_now
from infra.event_store.recorder import LogRecorder, StreamRecorder


class _OnOurLog:
    """Gives the library's cases a recorder on a fresh database."""

    @pytest.fixture(autouse=True)
    def _database(self, database_url: str) -> Iterator[None]:
        with ConnectionPool[psycopg.Connection[Any]](
            database_url, min_size=1, max_size=12, open=True
        ) as pool:
            self.arguments = (database_url, pool, utc_now)
            yield


class TestAggregateRecorder(_OnOurLog, AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return StreamRecorder(*self.arguments)


class TestApplicationRecorder(_OnOurLog, ApplicationRecorderTestCase):  # type: ignore[type-arg]
    def create_recorder(self) -> LogRecorder:
        return LogRecorder(*self.arguments)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleaving(_OnOurLog, NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> LogRecorder:
        return LogRecorder(*self.arguments)


def test_the_same_rows_can_be_read_in_both_directions(database_url: str) -> None:
    """Versions (gt, lte], newest first when asked."""
    with ConnectionPool[psycopg.Connection[Any]](database_url, open=True) as pool:
        recorder = LogRecorder(database_url, pool, utc_now)
        stream = uuid4()
        events = [StoredEvent(stream, version, "T", b"{}") for version in (1, 2, 3)]
        assert recorder.insert_events(events) == [1, 2, 3]
        assert recorder.select_events(stream, gt=1) == events[1:]
        assert recorder.select_events(stream, desc=True, limit=2) == [events[2], events[1]]
        assert recorder.max_notification_id() == 3
