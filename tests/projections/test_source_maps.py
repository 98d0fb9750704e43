"""The read model of source maps."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.app import RegisterApp
from domain.source_maps import DeleteSourceMaps, UploadSourceMap
from projections.directory.source_maps import SourceMapQueries, SourceMaps
from tests.projections.helpers import START, Log, content, folded

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from projections.directory.source_maps import ListedSourceMap

MAPS = SourceMaps()


def upload(
    file: str, sha256: str = "00", version: str = "1.0", app: str = "shop"
) -> UploadSourceMap:
    return UploadSourceMap(app=app, app_version=version, file_name=file, sha256=sha256, size=7)


def names(maps: list[ListedSourceMap]) -> list[tuple[str, str]]:
    return [(one.app_version, one.file_name) for one in maps]


async def test_maps_are_listed_newest_first(redis: Redis) -> None:
    log = Log()
    for command in (upload("a.js"), upload("b.js"), upload("c.js", version="2.0")):
        log.execute(command)
    await folded(redis, MAPS, log.events)
    queries = SourceMapQueries(redis, MAPS.keyspace())
    assert names(await queries.of_app("shop")) == [
        ("2.0", "c.js"),
        ("1.0", "b.js"),
        ("1.0", "a.js"),
    ]
    assert names(await queries.of_version("shop", "1.0")) == [("1.0", "b.js"), ("1.0", "a.js")]
    assert (await queries.of_version("shop", "1.0"))[0].created_at == START + timedelta(seconds=1)


async def test_applications_and_unknown_versions_have_none_of_them(redis: Redis) -> None:
    log = Log()
    log.execute(upload("a.js"))
    await folded(redis, MAPS, log.events)
    queries = SourceMapQueries(redis, MAPS.keyspace())
    assert await queries.of_app("blog") == []
    assert await queries.of_version("shop", "2.0") == []
    assert await queries.contents("blog", "1.0") == {}


async def test_a_map_is_what_was_uploaded_last(redis: Redis) -> None:
    log = Log()
    log.execute(upload("a.js", "00"))
    log.execute(upload("a.js", "01"))
    await folded(redis, MAPS, log.events)
    assert await SourceMapQueries(redis, MAPS.keyspace()).contents("shop", "1.0") == {"a.js": "01"}


async def test_a_deleted_version_is_gone_until_it_comes_again(redis: Redis) -> None:
    log = Log()
    log.execute(upload("a.js"))
    log.execute(DeleteSourceMaps(app="shop", app_version="1.0"))
    await folded(redis, MAPS, log.events)
    queries = SourceMapQueries(redis, MAPS.keyspace())
    assert await queries.of_app("shop") == []
    await folded(redis, MAPS, log.execute(upload("b.js")))
    assert names(await queries.of_app("shop")) == [("1.0", "b.js")]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, 7)))
async def test_pages_of_any_size_leave_the_same_content(redis: Redis, cuts: set[int]) -> None:
    log = Log()
    for command in (
        upload("a.js"),
        upload("b.js", version="2.0"),
        RegisterApp(app="shop", app_name="The Shop"),
        DeleteSourceMaps(app="shop", app_version="1.0"),
        upload("c.js"),
        upload("a.js", "01"),
        DeleteSourceMaps(app="shop", app_version="2.0"),
        upload("a.js", "02"),
    ):
        log.execute(command)
    contents = []
    for borders in ([0, 8], [0, *sorted(cuts), 8]):
        await redis.flushall()
        for start, end in pairwise(borders):
            await folded(redis, MAPS, log.events[start:end])
        contents.append(await content(redis))
    assert contents[0] == contents[1]
