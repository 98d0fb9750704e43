"""The log as it was: moments, pages and streams, in PostgreSQL and in the archive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.event_store.archive import Archive
from infra.event_store.codec import from_row
from infra.event_store.past import PastLog
from infra.event_store.reader import HoleInLog
from tests.errata.retention_tools import AFTER, MONTHS, Months, retain, whole_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.event_store.codec import Row

MICROSECOND = timedelta(microseconds=1)


class Months3:
    """A log of three months and all its rows."""

    def __init__(self, past: PastLog, rows: list[Row]) -> None:
        self.past = past
        self.rows = rows


@pytest.fixture(params=[0, 2, 3], ids="{} months archived".format)
async def log(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Months3]:
    archive = Archive(str(tmp_path))
    await Months(database_url).write(*MONTHS, events=20)
    before = (MONTHS[0], None, MONTHS[2], AFTER)[request.param]
    if request.param:
        assert before is not None
        assert len(retain(database_url, archive, before)) == request.param
    with PastLog(database_url, archive) as past:
        yield Months3(past, whole_log(database_url, archive))


def test_a_time_stands_for_the_last_position_recorded_by_then(log: Months3) -> None:
    times = [row.recorded_at for row in log.rows]
    moments = {time + by for time in times for by in (-MICROSECOND, timedelta(), MICROSECOND)}
    for moment in sorted(moments):
        assert log.past.position_at(moment) == sum(time <= moment for time in times)
    assert log.past.position_at(datetime(1970, 1, 1, tzinfo=UTC)) == 0


def test_a_position_was_recorded_at_its_time(log: Months3) -> None:
    for row in (log.rows[0], log.rows[len(log.rows) // 2], log.rows[-1]):
        assert log.past.recorded_at(row.position) == row.recorded_at
    with pytest.raises(HoleInLog):
        log.past.recorded_at(len(log.rows) + 1)


def test_pages_hold_all_events_in_order(log: Months3) -> None:
    positions: list[int] = []
    while len(positions) < len(log.rows):
        limit = min(7, len(log.rows) - len(positions))
        positions += [one.position for one in log.past.events(len(positions), limit)]
    assert positions == list(range(1, len(log.rows) + 1))


def test_events_can_be_asked_for_by_name(log: Months3) -> None:
    names = {"AppRegistered", "ErrorDeleted"}
    for after, until in ((0, len(log.rows)), (7, len(log.rows) // 2)):
        expected = [row.position for row in log.rows[after:until] if row.name in names]
        assert [one.position for one in log.past.named(after, until, names)] == expected
    assert [one.name for one in log.past.named(0, len(log.rows), names)]


def test_a_stream_up_to_a_position_is_what_the_log_holds_of_it_until_then(log: Months3) -> None:
    streams = sorted({row.stream_id for row in log.rows})[:4]
    for until in (len(log.rows), len(log.rows) // 2):
        for stream in streams:
            expected = [
                from_row(row)
                for row in log.rows
                if row.stream_id == stream and row.position <= until
            ]
            assert list(log.past.stream(stream, until)) == expected
            assert list(log.past.stream_back(stream, None, 1_000, until)) == expected[::-1]
            if len(expected) > 2:
                before = expected[-1].stream_version
                found = log.past.stream_back(stream, before, 1, until)
                assert list(found) == expected[-2:-1]
