"""The read model of codes agrees with a plain count of the log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given

from domain.error_group import DeleteError, group_id
from domain.message import Event, Recorded
from projections.codes import CodeQueries, Codes
from projections.projection import Indigestible
from tests.projections.helpers import Log, content, folded, report
from tests.projections.occurrence_logs import APPS, CUTS, alive, all_deleted, logs, pages, quick

if TYPE_CHECKING:
    from redis.asyncio import Redis

MODEL = Codes()
KEYSPACE = MODEL.keyspace()


async def counts(redis: Redis, app: str = "default") -> list[tuple[str, int]]:
    return [(one.code, one.count) for one in await CodeQueries(redis, KEYSPACE).of_app(app)]


@quick
@given(events=logs(), cuts=CUTS)
async def test_codes_equal_a_plain_count_at_every_position(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    await redis.flushall()
    for page in pages(events, cuts):
        await folded(redis, MODEL, page)
        seen = alive(events[: page[-1].position])
        for app in APPS:
            codes = [one.event.occurrence.code for one in seen if one.event.app == app]
            expected = Counter(code for code in codes if code is not None)
            assert dict(await counts(redis, app)) == expected


@quick
@given(events=logs(), cuts=CUTS)
async def test_pages_of_any_size_leave_the_same_content(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    await redis.flushall()
    await folded(redis, MODEL, events)
    whole = await content(redis)
    await redis.flushall()
    for page in pages(events, cuts):
        await folded(redis, MODEL, page)
    assert await content(redis) == whole


@quick
@given(events=logs(), cuts=CUTS)
async def test_deleting_every_error_leaves_nothing(
    redis: Redis, events: list[Recorded[Any]], cuts: set[int]
) -> None:
    await redis.flushall()
    for page in pages(events, cuts):
        await folded(redis, MODEL, page)
    await folded(redis, MODEL, all_deleted(events))
    assert await content(redis) == {}


async def test_the_highest_count_comes_first_and_equal_ones_by_the_alphabet(redis: Redis) -> None:
    log = Log()
    for code in ("b", "c", "a", "c"):
        log.execute(report(code, code=code))
    await folded(redis, MODEL, log.events)
    assert await counts(redis) == [("c", 2), ("a", 1), ("b", 1)]


async def test_what_came_and_went_within_a_page_is_not_there(redis: Redis) -> None:
    log = Log()
    log.execute(report(code="a"))
    log.execute(DeleteError(error_id=group_id("default", "f" * 32)))
    log.execute(report(code="a"))
    await folded(redis, MODEL, log.events)
    assert await counts(redis) == [("a", 1)]


def test_a_page_without_codes_writes_nothing() -> None:
    assert MODEL.fold(KEYSPACE, Log().execute(report())) == []


def test_an_unknown_event_is_indigestible() -> None:
    class Surprise(Event, frozen=True):
        pass

    (recorded,) = Log().execute(report())
    with pytest.raises(Indigestible, match="event 1 "):
        MODEL.fold(KEYSPACE, [msgspec.structs.replace(recorded, event=Surprise())])
