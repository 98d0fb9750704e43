"""The JSON of one error."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import msgspec
import pytest

from domain.error_group import DeleteError, ReopenError, ResolveError, group_id
from projections.error_groups import ErrorGroups, ErrorQueries, document_of
from tests.projections.helpers import Log, decoded, folded, report

if TYPE_CHECKING:
    from redis.asyncio import Redis

MODEL = ErrorGroups()
GROUP = group_id("default", "f" * 32)
DOCUMENTED = {
    "id", "timestamp", "level", "message", "stack_trace", "context", "source", "environment",
    "user_agent", "ip_address", "url", "fingerprint", "resolved", "count", "first_seen",
    "last_seen", "created_at", "updated_at",
}  # fmt: skip


async def one(redis: Redis, log: Log) -> dict[str, object]:
    await folded(redis, MODEL, log.events)
    return decoded(await ErrorQueries(redis, MODEL.keyspace()).one(GROUP))


async def test_a_report_gives_every_documented_field(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    assert set(await one(redis, log)) >= DOCUMENTED


async def test_what_a_report_left_out_is_null(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    error = await one(redis, log)
    absent = {name for name, value in error.items() if value is None}
    assert absent == {
        "stack_trace", "context", "user_agent", "ip_address", "url", "type", "tags", "user",
        "release", "resolved_at", "muted_until", "muted_count_left",
    }  # fmt: skip


async def test_context_and_user_keep_their_bytes(redis: Redis) -> None:
    log = Log()
    context, user = b'{"b":1.0, "a":[ 1e2 ]}', b'{"id" :"7"}'
    log.execute(report(context=msgspec.Raw(context), user=msgspec.Raw(user)))
    await folded(redis, MODEL, log.events)
    document = await ErrorQueries(redis, MODEL.keyspace()).one(GROUP)
    assert document is not None
    assert b'"context":' + context in document
    assert b'"user":' + user in document


async def test_times_are_utc_with_z_whatever_the_zone_of_the_report(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    command = report()
    local = datetime(2025, 8, 29, 18, 0, 1, 5, tzinfo=timezone(timedelta(hours=2)))
    log.execute(
        msgspec.structs.replace(
            command, occurrence=msgspec.structs.replace(command.occurrence, timestamp=local)
        )
    )
    error = await one(redis, log)
    assert error["timestamp"] == error["last_seen"] == "2025-08-29T16:00:01.000005Z"
    assert error["first_seen"] == "2025-08-29T12:00:00Z"


async def test_a_later_report_replaces_the_occurrence_and_keeps_the_creation(redis: Redis) -> None:
    log = Log()
    log.execute(report(after=5))
    log.execute(report(after=3, level="warning", message="Database lost"))
    error = await one(redis, log)
    assert error["count"] == 2
    assert error["level"] == "warning"
    assert error["message"] == "Database lost"
    assert error["first_seen"] == "2025-08-29T12:00:03Z"
    assert error["last_seen"] == "2025-08-29T12:00:05Z"
    assert error["created_at"] == "2025-08-29T12:00:00Z"
    assert error["updated_at"] == "2025-08-29T12:00:01Z"


async def test_a_resolution_is_a_change(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    log.execute(ResolveError(error_id=GROUP))
    error = await one(redis, log)
    assert error["resolved"] is True
    assert error["resolved_at"] == error["updated_at"] == "2025-08-29T12:00:01Z"


async def test_reopening_takes_the_resolution_away(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    log.execute(ResolveError(error_id=GROUP))
    log.execute(ReopenError(error_id=GROUP))
    error = await one(redis, log)
    assert (error["resolved"], error["resolved_at"]) == (False, None)
    assert error["updated_at"] == "2025-08-29T12:00:02Z"


async def test_a_report_after_the_resolution_opens_the_error_again(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    log.execute(ResolveError(error_id=GROUP))
    log.execute(report(after=9))
    error = await one(redis, log)
    assert (error["resolved"], error["resolved_at"], error["count"]) == (False, None, 2)


async def test_a_page_that_ends_within_a_commit_still_shows_the_resolution(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    log.execute(ResolveError(error_id=GROUP))
    log.execute(report(after=9))
    log.events.pop()
    error = await one(redis, log)
    assert (error["count"], error["resolved"]) == (2, True)
    assert error["resolved_at"] == "2025-08-29T12:00:01Z"


async def test_a_deleted_error_is_gone(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    log.execute(DeleteError(error_id=GROUP))
    await folded(redis, MODEL, log.events)
    queries = ErrorQueries(redis, MODEL.keyspace())
    assert await queries.one(GROUP) is None
    assert not await queries.exists(GROUP)
    assert await queries.many([GROUP]) == []


async def test_a_deleted_error_that_comes_back_starts_again(redis: Redis) -> None:
    log = Log()
    log.execute(report())
    log.execute(ResolveError(error_id=GROUP))
    log.execute(DeleteError(error_id=GROUP))
    log.execute(report(after=60))
    error = await one(redis, log)
    assert (error["count"], error["resolved"], error["resolved_at"]) == (1, False, None)
    assert error["created_at"] == error["updated_at"] == "2025-08-29T12:00:03Z"


async def test_many_answers_in_the_order_asked_for(redis: Redis) -> None:
    log = Log()
    for name in "abc":
        log.execute(report(name))
    await folded(redis, MODEL, log.events)
    wanted = [group_id("default", name) for name in "cxab"]
    documents = await ErrorQueries(redis, MODEL.keyspace()).many(wanted)
    assert [decoded(one)["fingerprint"] for one in documents] == ["c", "a", "b"]


async def test_the_committed_events_alone_give_the_document_that_is_read_later(
    redis: Redis,
) -> None:
    log = Log()
    queries = ErrorQueries(redis, MODEL.keyspace())
    for command in (report(), report(after=1), ResolveError(error_id=GROUP), report(after=2)):
        recorded = log.execute(command)
        await folded(redis, MODEL, recorded)
        if not isinstance(command, ResolveError):
            assert document_of(recorded) == await queries.one(GROUP)


def test_events_that_no_report_commits_have_no_document() -> None:
    log = Log()
    log.execute(report())
    resolved = log.execute(ResolveError(error_id=GROUP))
    regressed = log.execute(report())
    for wrong in ([], resolved, regressed[:1], regressed[1:], log.events[:1] + resolved):
        with pytest.raises(ValueError, match="a report commits"):
            document_of(wrong)
