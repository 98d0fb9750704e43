"""Source maps at work, against a real table: kept once, read in bounded memory, asked."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.failures import Unavailable
from domain.occurrence import NULL
from domain.resolved_stack import Stack
from domain.source_map_files import NotASourceMap
from domain.source_maps import UploadSourceMap
from infra.source_maps.blobs import inflated
from infra.source_maps.functions import MAX_SOURCE, functions_of
from infra.source_maps.parsed import ParsedMap
from infra.source_maps.source_maps import MAX_FRAMES, SourceMaps
from infra.source_maps.sweeping import sweep
from infra.source_maps.weighed import Weighed
from tests.reports import SOMEBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from infra.event_store.store import EventStore

ONE_TO_ONE: dict[str, Any] = {
    "version": 3,
    "sources": ["src/a.ts"],
    "sourcesContent": [
        "function first() {\n  second();\n}\nconst third = () => {\n  boom();\n};\n"
    ],
    "names": [],
    "mappings": "AAAA;AACA;AACA;AACA;AACA;AACA",
}
"""Each line of a.js is that line of a.ts."""


def text_of(changes: Mapping[str, Any] | None = None) -> bytes:
    return json.dumps(ONE_TO_ONE | dict(changes or {})).encode()


def frame(
    line: Any, column: Any = 1, file: Any = "https://cdn/a.js", **more: Any
) -> dict[str, Any]:
    return {"fileName": file, "lineNumber": line, "columnNumber": column, **more}


def stack(*frames: dict[str, Any], version: str | None = "1.0") -> Stack:
    parsed = msgspec.json.encode({"frames": frames, "raw": "", "parser": "browser"})
    return Stack("shop", version, msgspec.Raw(parsed))


def loaded(shown: msgspec.Raw) -> dict[str, Any]:
    return dict(json.loads(bytes(shown)))


class Shop:
    """The maps of one application's one version, without an event in between."""

    def __init__(self, database_url: str, **bounds: int) -> None:
        self.files: dict[str, str] = {}
        self.lookups = 0
        self.maps = SourceMaps(database_url, self._contents, **bounds)

    async def _contents(self, app: str, version: str) -> Mapping[str, str]:
        self.lookups += 1
        return self.files if (app, version) == ("shop", "1.0") else {}

    async def upload(self, file: str, text: bytes) -> str:
        """Its SHA-256."""
        packed = await self.maps.pack(text)
        await self.maps.keep(packed)
        self.files[file] = packed.sha256
        return packed.sha256

    async def frames(self, one: Stack) -> list[dict[str, Any]]:
        """The frames of a stack as they are shown."""
        return list(loaded(await self.maps.resolve(one))["frames"])


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    shop = Shop(database_url)
    yield shop
    await shop.maps.stop()


def original(frame: dict[str, Any]) -> tuple[Any, ...]:
    names = ("File", "Line", "Column", "Function")
    wanted = [
        f"original{name}{'Number' if name in ('Line', 'Column') else 'Name'}" for name in names
    ]
    return (frame["resolved"], *(frame[name] for name in wanted))


UNRESOLVED = (False, None, None, None, None)

# -- resolving -----------------------------------------------------------------------------------


async def test_a_frame_is_shown_with_its_original_place(shop: Shop) -> None:
    await shop.upload("a.js", text_of())
    found = await shop.frames(stack(frame(2, 9), frame(5), frame(1)))
    assert [original(one) for one in found] == [
        (True, "src/a.ts", 2, 1, "first"),
        (True, "src/a.ts", 5, 1, "third"),
        (True, "src/a.ts", 1, 1, "first"),
    ]


@pytest.mark.parametrize(
    "one",
    [
        frame(2, file="https://cdn/other.js"),
        frame(2, file=None),
        frame(2, column=None),
        frame(None),
        frame(0),
        frame(2**40),
        frame(True),
        frame("2"),
        frame(7),
        {},
    ],
)
async def test_a_frame_that_no_map_knows_stays_as_it_is(shop: Shop, one: dict[str, Any]) -> None:
    await shop.upload("a.js", text_of())
    (shown,) = await shop.frames(stack(one))
    assert original(shown) == UNRESOLVED
    assert {name: shown[name] for name in one} == one


async def test_a_map_of_another_version_resolves_nothing(shop: Shop) -> None:
    await shop.upload("a.js", text_of())
    for version in (None, "2.0"):
        (shown,) = await shop.frames(stack(frame(2), version=version))
        assert original(shown) == UNRESOLVED


async def test_frames_are_read_from_the_text_where_no_client_has_read_them(shop: Shop) -> None:
    await shop.upload("a.js", text_of())
    trace = "Error: x\n    at f (https://cdn/a.js:2:9)\n    at https://cdn/a.js:5:1"
    shown = loaded(await shop.maps.resolve(Stack("shop", "1.0", trace=trace)))
    assert [one["originalLineNumber"] for one in shown["frames"]] == [2, 5]
    assert (shown["raw"], shown["parser"]) == (trace, "unknown")


@pytest.mark.parametrize("trace", [None, "", "it went wrong"])
async def test_what_is_no_stack_is_null(shop: Shop, trace: str | None) -> None:
    assert await shop.maps.resolve(Stack("shop", "1.0", trace=trace)) == NULL


async def test_a_map_of_sections_is_one_map(shop: Shop) -> None:
    second = ONE_TO_ONE | {"sources": ["src/b.ts"], "sourcesContent": None}
    sections = [
        {"offset": {"line": 0, "column": 0}, "map": ONE_TO_ONE},
        {"offset": {"line": 10, "column": 0}, "map": second},
    ]
    await shop.upload("a.js", json.dumps({"version": 3, "sections": sections}).encode())
    found = await shop.frames(stack(frame(2), frame(12)))
    assert [original(one)[1:3] for one in found] == [("src/a.ts", 2), ("src/b.ts", 2)]


async def test_without_sources_the_caller_tells_the_functions_name(shop: Shop) -> None:
    """Unless it waits: then it has not called the frame before it."""
    named = {"sourcesContent": None, "names": ["original"], "mappings": "AAAA;AACAA"}
    await shop.upload("a.js", text_of(named))
    called = await shop.frames(stack(frame(1), frame(2)))
    waited = await shop.frames(stack(frame(1), frame(2, raw="at async f (a.js:2:1)")))
    assert [one["originalFunctionName"] for one in called] == ["original", None]
    assert [one["originalFunctionName"] for one in waited] == [None, None]


async def test_many_stacks_look_a_version_up_once(shop: Shop) -> None:
    await shop.upload("a.js", text_of())
    found = await shop.maps.resolve_all([stack(frame(line)) for line in (1, 2, 3)])
    assert [loaded(one)["frames"][0]["originalLineNumber"] for one in found] == [1, 2, 3]
    assert shop.lookups == 1


async def test_frames_beyond_a_number_stay_as_they_are(shop: Shop) -> None:
    await shop.upload("a.js", text_of())
    found = await shop.frames(stack(*[frame(2)] * (MAX_FRAMES + 1)))
    assert [one["resolved"] for one in found] == [True] * MAX_FRAMES + [False]


async def test_a_text_that_is_gone_resolves_nothing(shop: Shop) -> None:
    shop.files["a.js"] = "00" * 32
    (shown,) = await shop.frames(stack(frame(2)))
    assert original(shown) == UNRESOLVED


async def test_memory_for_maps_is_bounded(database_url: str) -> None:
    """Whatever is not remembered is read again."""
    weight = ParsedMap(text_of()).weight
    shop = Shop(database_url, cache_bytes=2 * weight + weight // 2)
    for number in range(5):
        await shop.upload(f"{number}.js", text_of({"file": f"{number}.js"}))
    for _ in range(2):
        for number in range(5):
            (shown,) = await shop.frames(stack(frame(2, file=f"{number}.js")))
            assert original(shown) == (True, "src/a.ts", 2, 1, "first")
    assert 1 <= len(shop.maps._maps) <= 2
    await shop.maps.stop()


async def test_without_postgres_it_says_so() -> None:
    shop = Shop("postgresql://nobody@localhost:1/none")
    shop.files["a.js"] = "00" * 32
    with pytest.raises(Unavailable):
        await shop.frames(stack(frame(2)))
    await shop.maps.stop()


# -- keeping -------------------------------------------------------------------------------------


async def test_a_text_is_kept_once_under_its_hash(shop: Shop, database_url: str) -> None:
    sha256 = await shop.upload("a.js", text_of())
    assert await shop.upload("b.js", text_of()) == sha256 == hashlib.sha256(text_of()).hexdigest()
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT sha256, body, size FROM source_maps_blobs").fetchall()
    assert [(one[0].hex(), inflated(one[1]), one[2]) for one in rows] == [
        (sha256, text_of(), len(text_of()))
    ]


async def test_what_nobody_names_is_swept_after_a_day(
    shop: Shop, store: EventStore, database_url: str
) -> None:
    kept = {name: await shop.upload(name, text_of({"file": name})) for name in "abcd"}
    named = UploadSourceMap(
        app="shop", app_version="1.0", file_name="a.js", sha256=kept["a"], size=1
    )
    await store.execute(named, SOMEBODY)
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute(
            "UPDATE source_maps_blobs SET put_at = now() - interval '25 hours'"
            " WHERE encode(sha256, 'hex') <> %s",
            (kept["c"],),
        )
        await shop.upload("d", text_of({"file": "d"}))
        sweep(session)
        rows = session.execute("SELECT encode(sha256, 'hex') FROM source_maps_blobs").fetchall()
    assert {one for (one,) in rows} == {kept[name] for name in "acd"}


async def test_nothing_is_swept_while_a_state_cannot_be_read(
    shop: Shop, store: EventStore, database_url: str
) -> None:
    sha256 = await shop.upload("a.js", text_of())
    named = UploadSourceMap(app="shop", app_version="1.0", file_name="a.js", sha256=sha256, size=1)
    await store.execute(named, SOMEBODY)
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("UPDATE source_maps_blobs SET put_at = now() - interval '25 hours'")
        session.execute("UPDATE streams SET state = '{}', state_schema = 0")
        sweep(session)
        assert session.execute("SELECT count(*) FROM source_maps_blobs").fetchone() == (1,)


@pytest.mark.parametrize("mappings", ["!", "AEAA", "AAAAC", "gggggggggggggB", "DDDD"])
async def test_mappings_that_cannot_be_read_are_no_map(shop: Shop, mappings: str) -> None:
    with pytest.raises(NotASourceMap, match="cannot be read"):
        await shop.maps.pack(text_of({"mappings": mappings}))


@given(st.text(";,ABCDgh+/", max_size=40))
def test_any_mappings_are_read_or_refused(mappings: str) -> None:
    try:
        parsed = ParsedMap(text_of({"mappings": mappings}))
    except NotASourceMap:
        return
    for line in (1, 2, 2**32):
        found = parsed.token(line, 3)
        assert found is None or found.file == "src/a.ts"


# -- functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("function f() { HERE }", "f"),
        ("async function* f() { HERE }", "f"),
        ("const f = () => HERE", "f"),
        ("const f = function () { HERE }", "f"),
        ("const f = function g() { HERE }", "g"),
        ("a.b = () => { HERE }", "a.b"),
        ("x({ 'on-click': () => HERE })", "on-click"),
        ("x({ m() { HERE } })", "m"),
        ("class A { m(a: number): void { HERE } }", "A.m"),
        ("class A { #m = () => { HERE } }", "A.#m"),
        ("class A { constructor() { HERE } }", "new A"),
        ("abstract class A { static m() { HERE } }", "A.m"),
        ("x(class B { get m() { HERE } })", "B.m"),
        ("function f() { list.map(() => HERE) }", None),
        ("function f() { } HERE", None),
        ("const f = <T,>(a: T) => { HERE }", "f"),
        ("const F = () => <div onClick={g}>{HERE}</div>", "F"),
        ('const s = "\U0001f375\U0001f375"; function f() { HERE }', "f"),
        ("function f() { HERE", "f"),
    ],
)
def test_how_functions_come_to_their_names(source: str, name: str | None) -> None:
    before = source.partition("HERE")[0]
    column = len(before.encode("utf-16-le")) // 2
    functions = functions_of("x.tsx", f"\n{source}")
    assert (functions.known, functions.name_at(1, column)) == (True, name)


def test_casts_of_typescript_are_no_jsx() -> None:
    source = "function f(a: any) { const b = <string>a; HERE }"
    assert functions_of("src/x.ts", source).name_at(0, source.index("HERE")) == "f"


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("x.ts", None),
        ("x.vue", "<script>function f() {}</script>"),
        ("x.ts", " " * (MAX_SOURCE + 1)),
        ("x.js", "'" * MAX_SOURCE),
    ],
)
def test_some_sources_have_no_functions_that_we_know(file: str, source: str | None) -> None:
    """The last one would take any parser too long."""
    functions = functions_of(file, source)
    assert (functions.known, functions.name_at(0, 0)) == (False, None)


@given(st.text(max_size=200))
def test_any_source_is_read(source: str) -> None:
    functions_of("x.tsx", source).name_at(0, 10)


# -- what is remembered --------------------------------------------------------------------------


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    kept: Weighed[str, int] = Weighed(10)
    kept.put("a", 1, 4)
    kept.put("b", 2, 4)
    assert kept.get("a") == 1
    kept.put("c", 3, 4)
    assert [kept.get(key) for key in "abc"] == [1, None, 3]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12))))
def test_the_weight_is_that_of_what_is_remembered(puts: list[tuple[int, int]]) -> None:
    kept: Weighed[int, int] = Weighed(10)
    weights: dict[int, int] = {}
    for key, weight in puts:
        kept.put(key, weight, weight)
        weights[key] = weight
    remembered = [key for key in range(6) if kept.get(key) is not None]
    assert kept.weight == sum(kept.get(key) or 0 for key in remembered) <= 10
