"""Commands and checks that many tests share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from domain.error_group import ReportError
from domain.message import Context
from domain.occurrence import GroupingRecord, Occurrence

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOMEBODY = Context("key:test", "request", "command")


def report(name: str = "a", *, app: str = "default", **changes: Any) -> ReportError:
    """A report of the error called `name`; `changes` go to its occurrence or to the command."""
    own = {key: changes.pop(key) for key in ("event_id",) if key in changes}
    occurrence = {
        "message": f"message of {name}",
        "level": "error",
        "source": "backend",
        "environment": "production",
        "timestamp": NOON,
    }
    return ReportError(
        app=app,
        fingerprint=name,
        grouping=GroupingRecord(version=1, parts=(name,), reasons=("test",), words=(name,)),
        occurrence=Occurrence(**(occurrence | changes)),
        **own,
    )


def check_log(database_url: str) -> list[tuple[Any, ...]]:
    """What must hold of every log, always; returns (position, stream, version, name, event id).

    Positions are contiguous up to the head, each stream's versions are 1..n and its row agrees,
    each event id stands once, recorded time never goes back.
    """
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT position, stream_id, stream_version, name, event_id, recorded_at"
            " FROM events ORDER BY position"
        ).fetchall()
        head = connection.execute("SELECT position FROM log_head").fetchone()
        streams = dict(connection.execute("SELECT stream_id, version FROM streams").fetchall())
    assert head is not None
    assert [row[0] for row in rows] == list(range(1, head[0] + 1))
    versions: dict[UUID, int] = {}
    for row in rows:
        assert row[2] == versions.get(row[1], 0) + 1
        versions[row[1]] = row[2]
    assert versions == streams
    assert len({row[4] for row in rows}) == len(rows)
    times = [row[5] for row in rows]
    assert times == sorted(times)
    return [row[:5] for row in rows]
