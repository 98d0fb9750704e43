"""Search finds errors by the whole words of their first report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from domain.error_group import DeleteError, group_id
from domain.fingerprint import group_report
from domain.occurrence import GroupingRecord
from projections.error_groups import ErrorFilter, ErrorGroups, ErrorQueries
from projections.error_groups.words import words_of
from tests.projections.helpers import Log, content, decoded, folded, report

if TYPE_CHECKING:
    from redis.asyncio import Redis

MODEL = ErrorGroups()
PYTHON = """Traceback (most recent call last):
  File "/srv/shop/basket.py", line 12, in add_item
    raise OutOfStock("none left")
shop.errors.OutOfStock: none left"""


async def found(redis: Redis, text: str) -> list[str]:
    page = await ErrorQueries(redis, MODEL.keyspace()).list(ErrorFilter(search=text))
    assert page.total == len(page.documents)
    return sorted(decoded(one)["fingerprint"] for one in page.documents)


@pytest.fixture
async def three(redis: Redis) -> Log:
    log = Log()
    log.execute(report("a", words=("database", "timeout")))
    log.execute(report("b", words=("database", "lost")))
    log.execute(report("c", words=("timeout", "api.fetch")))
    await folded(redis, MODEL, log.events)
    return log


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("database", "ab"),
        ("DATABASE timeout", "a"),
        ("timeout, after 5000 (api.fetch)", ""),
        ("timeout 5000 api.fetch.", "c"),
        ("data", ""),
        ("5000", ""),
        ("", ""),
        ("lost timeout", ""),
    ],
)
async def test_every_word_must_occur_whole(redis: Redis, text: str, groups: str) -> None:
    assert await found(redis, text) == list(groups)


async def test_later_reports_are_found_by_the_words_of_the_first(redis: Redis, three: Log) -> None:
    await folded(redis, MODEL, three.execute(report("a", words=("other",))))
    assert await found(redis, "timeout database") == ["a"]
    assert await found(redis, "other") == []


async def test_a_deleted_error_is_not_found(redis: Redis, three: Log) -> None:
    await folded(redis, MODEL, three.execute(DeleteError(error_id=group_id("default", "a"))))
    assert await found(redis, "database") == ["b"]


async def test_an_error_that_comes_back_is_found_by_its_new_words_only(
    redis: Redis, three: Log
) -> None:
    recorded = three.execute(DeleteError(error_id=group_id("default", "a")))
    recorded += three.execute(report("a", words=("reborn",)))
    await folded(redis, MODEL, recorded)
    assert await found(redis, "timeout") == ["c"]
    assert await found(redis, "reborn") == ["a"]


async def test_words_that_no_error_holds_any_more_take_no_key(redis: Redis, three: Log) -> None:
    await folded(redis, MODEL, three.execute(DeleteError(error_id=group_id("default", "b"))))
    assert not any(key.endswith(b":w:lost") for key in await content(redis))


async def test_what_grouping_names_as_words_is_found_word_by_word(redis: Redis) -> None:
    grouping = group_report("Größe of item_7 is None: see db.connect", PYTHON)
    command = report(words=grouping.words)
    record = msgspec.structs.replace(command.grouping, words=grouping.words)
    log = Log()
    log.execute(msgspec.structs.replace(command, grouping=record))
    assert isinstance(record, GroupingRecord)
    await folded(redis, MODEL, log.events)
    assert {"größe", "db.connect", "basket.py", "add_item"} <= set(grouping.words)
    for word in grouping.words:
        assert words_of(word) == (word,)
        assert await found(redis, word) == ["f" * 32]
