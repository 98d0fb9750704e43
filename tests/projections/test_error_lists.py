"""Lists of errors answer what a naive list of all groups would, page by page."""

from __future__ import annotations

import math
import random
import struct
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.error_group import DeleteError, group_id
from projections.error_groups import ErrorFilter, ErrorGroups, ErrorQueries, Sort, index, queries
from projections.error_groups.layout import SORTS, Layout, count_score, report_field
from tests.projections.error_model import expected, filters, logs
from tests.projections.helpers import START, Log, decoded, folded, report

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from domain.message import Recorded
    from projections.error_groups import ErrorPage

MODEL = ErrorGroups()
KEYSPACE = MODEL.keyspace()

quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
sorts = st.sampled_from(SORTS)


def ids(page: ErrorPage) -> list[str]:
    return [decoded(document)["id"] for document in page.documents]


async def walk(asked: ErrorQueries, wanted: ErrorFilter, sort: Sort, limit: int) -> list[ErrorPage]:
    pages = [await asked.list(wanted, sort, limit)]
    while pages[-1].next_cursor:
        pages.append(await asked.list(wanted, sort, limit, cursor=pages[-1].next_cursor))
    return pages


@quick
@given(events=logs(min_size=12), wanted=filters(), sort=sorts, limit=st.integers(1, 4))
async def test_pages_by_offset_and_by_cursor_make_up_the_list(
    redis: Redis, events: list[Recorded[Any]], wanted: ErrorFilter, sort: Sort, limit: int
) -> None:
    await redis.flushall()
    await folded(redis, MODEL, events)
    asked = ErrorQueries(redis, KEYSPACE)
    whole = expected(events, wanted, sort)
    by_offset = [
        await asked.list(wanted, sort, limit, offset)
        for offset in range(0, len(whole) + limit, limit)
    ]
    by_cursor = await walk(asked, wanted, sort, limit)
    assert [one for page in by_offset for one in ids(page)] == whole
    assert [one for page in by_cursor for one in ids(page)] == whole
    assert {page.total for page in by_offset + by_cursor} == {len(whole)}


@quick
@given(events=logs(min_size=12), wanted=filters(), sort=sorts, offset=st.integers(0, 9))
async def test_finding_an_offset_by_ranks_gives_the_same_page(
    redis: Redis, events: list[Recorded[Any]], wanted: ErrorFilter, sort: Sort, offset: int
) -> None:
    """With limits so small that a few errors take the ways that many take."""
    await redis.flushall()
    await folded(redis, MODEL, events)
    with (
        patch.object(index, "NEAR", -1),
        patch.object(index, "CHUNK", 1),
        patch.object(index, "SCAN_BELOW", 0),
        patch.object(queries, "AT_ONCE", 2),
        patch.object(index, "_PROBES", 2),
    ):
        page = await ErrorQueries(redis, KEYSPACE).list(wanted, sort, 3, offset)
    assert ids(page) == expected(events, wanted, sort)[offset : offset + 3]


@quick
@given(events=logs(min_size=12), more=logs(min_size=12), wanted=filters(), sort=sorts)
async def test_a_walk_meets_each_standing_error_once_while_others_change(
    redis: Redis, events: list[Recorded[Any]], more: list[Recorded[Any]],
    wanted: ErrorFilter, sort: Sort,
) -> None:  # fmt: skip
    await redis.flushall()
    await folded(redis, MODEL, events)
    asked = ErrorQueries(redis, KEYSPACE)
    there = {one.stream_id for one in events}
    arriving = [one for one in more if one.stream_id not in there]
    met: list[str] = []
    page = await asked.list(wanted, sort, 1)
    met += ids(page)
    while page.next_cursor:
        await folded(redis, MODEL, arriving[:3])
        arriving = arriving[3:]
        page = await asked.list(wanted, sort, 1, cursor=page.next_cursor)
        met += ids(page)
    # An error that changes meanwhile may sink below the walk and be met again; others may not.
    assert [one for one in met if one in {str(group) for group in there}] == expected(
        events, wanted, sort
    )


@pytest.fixture(scope="module")
def many() -> Log:
    """2,500 errors in all eight leaves, many of them at the same moment."""
    log = Log()
    choose = random.Random(4711)
    for number in range(2500):
        fingerprint = f"{number:032x}"
        level = choose.choice(("error", "error", "warning", "info", "debug"))
        log.execute(report(fingerprint, level=level, after=choose.choice((0, 1, number))))
    return log


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    "wanted",
    [
        ErrorFilter(),
        ErrorFilter(level="error", resolved=False),
        ErrorFilter(search="database"),
        ErrorFilter(since=START + timedelta(seconds=1), until=START + timedelta(seconds=2200)),
    ],
    ids=["all", "one leaf", "search", "window"],
)
async def test_deep_offsets_and_cursors_reach_the_same_entries(
    redis: Redis, many: Log, wanted: ErrorFilter, sort: Sort
) -> None:
    await folded(redis, MODEL, many.events)
    asked = ErrorQueries(redis, KEYSPACE)
    whole = expected(many.events, wanted, sort)
    for offset in (0, 199, 201, 700, 1234, len(whole) - 1, len(whole), 10**6):
        page = await asked.list(wanted, sort, 20, offset)
        assert ids(page) == whole[offset : offset + 20]
        assert page.total == len(whole)
    pages = await walk(asked, wanted, sort, 100)
    assert [one for page in pages for one in ids(page)] == whole


async def test_an_error_deleted_between_the_reads_is_left_out(redis: Redis) -> None:
    log = Log()
    for name in "abc":
        log.execute(report(name))
    await folded(redis, MODEL, log.events)
    field = report_field(group_id("default", "b").bytes)
    await redis.hdel(Layout(KEYSPACE).documents, field)
    page = await ErrorQueries(redis, KEYSPACE).list(ErrorFilter())
    assert sorted(decoded(one)["fingerprint"] for one in page.documents) == ["a", "c"]


async def test_a_cursor_outlives_the_error_it_ended_at(redis: Redis) -> None:
    log = Log()
    for after, name in enumerate("abc"):
        log.execute(report(name, after=after))
    await folded(redis, MODEL, log.events)
    asked = ErrorQueries(redis, KEYSPACE)
    page = await asked.list(ErrorFilter(), limit=2)
    await folded(redis, MODEL, log.execute(DeleteError(error_id=group_id("default", "b"))))
    page = await asked.list(ErrorFilter(), limit=2, cursor=page.next_cursor)
    assert [decoded(one)["fingerprint"] for one in page.documents] == ["a"]


@pytest.mark.parametrize("cursor", ["", "x", "Zm9v", "\u00e9", "A" * 43, "!" * 43, "A" * 500])
async def test_what_is_no_cursor_is_refused(redis: Redis, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await ErrorQueries(redis, KEYSPACE).list(ErrorFilter(), cursor=cursor)


@pytest.mark.parametrize("score", [math.inf, -math.inf, math.nan, 0.5])
async def test_a_made_up_score_is_refused(redis: Redis, score: float) -> None:
    cursor = urlsafe_b64encode(struct.pack(">8sd16s", b"", score, b"")).decode()
    with pytest.raises(ValueError, match="cursor"):
        await ErrorQueries(redis, KEYSPACE).list(ErrorFilter(), cursor=cursor)


async def test_a_cursor_of_another_list_is_refused(redis: Redis) -> None:
    log = Log()
    for name in "ab":
        log.execute(report(name))
    await folded(redis, MODEL, log.events)
    asked = ErrorQueries(redis, KEYSPACE)
    page = await asked.list(ErrorFilter(), limit=1)
    with pytest.raises(ValueError, match="another sort"):
        await asked.list(ErrorFilter(), "count", cursor=page.next_cursor)
    with pytest.raises(ValueError, match="other filters"):
        await asked.list(ErrorFilter(level="error"), cursor=page.next_cursor)


async def test_a_cursor_and_an_offset_exclude_each_other(redis: Redis) -> None:
    with pytest.raises(ValueError, match="exclude"):
        await ErrorQueries(redis, KEYSPACE).list(ErrorFilter(), offset=1, cursor="x")


def test_scores_of_counts_keep_the_order_of_counts_and_ids() -> None:
    choose = random.Random(1)
    pairs = [(choose.choice((1, 2, 2**33 - 1)), choose.randbytes(16)) for _ in range(500)]
    by_score = sorted(pairs, key=lambda pair: (float(count_score(*pair)), pair[1]))
    assert by_score == sorted(pairs)


async def test_an_offset_by_ranks_keeps_to_the_window_in_every_set(redis: Redis) -> None:
    log = Log()
    log.execute(report("new", level="error", after=5))
    log.execute(report("old", level="warning", after=1))
    await folded(redis, MODEL, log.events)
    with patch.object(index, "NEAR", -1):
        page = await ErrorQueries(redis, KEYSPACE).list(
            ErrorFilter(since=START + timedelta(seconds=3))
        )
    assert [decoded(one)["fingerprint"] for one in page.documents] == ["new"]
