"""What the source maps of a version decide, and which of them belongs to a frame's file."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain import source_maps
from domain.source_map_files import Candidates, NotASourceMap, check_source_map, segments
from domain.source_maps import (
    MAX_FILES,
    DeleteSourceMaps,
    SourceMapsDeleted,
    SourceMapUploaded,
    UploadSourceMap,
)
from tests.spec import given

UPLOAD = UploadSourceMap(app="shop", app_version="1.0", file_name="a.js", sha256="00", size=10)
UPLOADED = SourceMapUploaded(app="shop", app_version="1.0", file_name="a.js", sha256="00", size=10)
DELETE = DeleteSourceMaps(app="shop", app_version="1.0")
DELETED = SourceMapsDeleted(app="shop", app_version="1.0", count=1)

MAP: dict[str, Any] = {"version": 3, "sources": ["a.ts"], "names": [], "mappings": "AAAA"}


def test_the_same_content_again_changes_nothing() -> None:
    given(source_maps.decider).when(UPLOAD).then(UPLOADED)
    given(source_maps.decider, UPLOADED).when(UPLOAD).then_nothing()


def test_other_content_takes_the_place_of_the_first() -> None:
    other = msgspec.structs.replace(UPLOAD, sha256="01")
    happened = given(source_maps.decider, UPLOADED).when(other, UPLOAD)
    happened.then(msgspec.structs.replace(UPLOADED, sha256="01"), UPLOADED)


def test_a_deletion_takes_all_maps_of_the_version() -> None:
    other = msgspec.structs.replace(UPLOADED, file_name="b.js")
    both = given(source_maps.decider, UPLOADED, other)
    both.when(DELETE).then(msgspec.structs.replace(DELETED, count=2))


def test_a_deletion_of_nothing_changes_nothing() -> None:
    given(source_maps.decider).when(DELETE).then_nothing()
    given(source_maps.decider, UPLOADED, DELETED).when(DELETE).then_nothing()


def test_what_was_deleted_may_come_again() -> None:
    given(source_maps.decider, UPLOADED, DELETED).when(UPLOAD).then(UPLOADED)


@pytest.mark.parametrize(
    "wrong",
    [{"file_name": ""}, {"file_name": "x" * 501}, {"app_version": " "}, {"app_version": "1" * 201}],
)
def test_a_name_says_something(wrong: dict[str, str]) -> None:
    command = msgspec.structs.replace(UPLOAD, **wrong)
    given(source_maps.decider).when(command).then_refused("invalid")


def test_a_version_has_a_bounded_number_of_maps() -> None:
    many = [msgspec.structs.replace(UPLOADED, file_name=str(at)) for at in range(MAX_FILES)]
    full = given(source_maps.decider, *many)
    full.when(UPLOAD).then_refused("conflict")
    full.when(msgspec.structs.replace(UPLOAD, file_name="7", sha256="new")).then_kinds(
        SourceMapUploaded
    )


# -- which map -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "uploaded"),
    [
        ("https://cdn/x/app.min.js?v=1", "app.min.js"),
        ("https://cdn/x/app.min.js#top", "app.min.js.map"),
        ("app:///main.jsbundle", "main.jsbundle"),
        ("http://localhost:8081/index.bundle//&platform=ios&dev=true", "index.bundle"),
        ("/srv/www/static/js/app.js", "static/js/app.js"),
        ("C:\\shop\\dist\\app.js", "dist/app.js"),
        ("app.js", "https://cdn.example.com/static/app.js"),
        ("file:///tmp/app.js", "/tmp/app.js"),
        ("//cdn.example.com/app.js", "~/app.js"),
    ],
)
def test_a_map_is_found_where_one_path_ends_with_the_other(file: str, uploaded: str) -> None:
    assert Candidates({uploaded: "this"}).best(file) == "this"


@pytest.mark.parametrize(
    ("file", "uploaded"),
    [
        ("https://cdn/x/app.min.js", "min.js"),
        ("https://cdn/one/app.js", "two/app.js"),
        ("https://cdn/", "cdn"),
        ("", "app.js"),
        ("app.js", ".map"),
    ],
)
def test_no_map_is_found_where_neither_does(file: str, uploaded: str) -> None:
    assert Candidates({uploaded: "this"}).best(file) is None


def test_the_longest_common_end_wins() -> None:
    maps = Candidates({"app.js": "short", "two/app.js": "long", "one/app.js": "other"})
    assert maps.best("https://cdn/two/app.js") == "long"


def test_a_tie_is_left_open_unless_both_are_the_same_map() -> None:
    assert Candidates({"one/app.js": "1", "two/app.js": "2"}).best("app.js") is None
    assert Candidates({"one/app.js": "1", "two/app.js": "1"}).best("app.js") == "1"


@for_all(st.text(max_size=30))
def test_any_text_has_segments(file: str) -> None:
    assert all("/" not in one and one for one in segments(file))


# -- what a map is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"names": None},
        {"sources": [None], "sourcesContent": [None]},
        {"sections": [{"offset": {"line": 0, "column": 0}, "map": MAP}], "mappings": None},
    ],
)
def test_what_is_a_map(changes: dict[str, Any]) -> None:
    check_source_map(msgspec.json.encode(MAP | changes))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b"[" * 100_000, "must be a JSON object"),
        (b'{"version":3,"sources":' + b"[" * 100_000, "is not JSON"),
        (b"{}", "must have version 3"),
        (b'{"version":"3"}', "must have version 3"),
        (b'{"version":3}', "must have mappings"),
        (b'{"version":3,"mappings":[],"sources":[]}', "must have mappings"),
        (b'{"version":3,"mappings":""}', "must have sources"),
        (b'{"version":3,"mappings":"","sources":[1]}', "must have sources"),
        (b'{"version":3,"mappings":"","sources":[],"names":1}', "may have names"),
        (
            b'{"version":3,"mappings":"","sources":[],"sourcesContent":{}}',
            "may have sourcesContent",
        ),
        (b'{"version":3,"sections":{}}', "must have sections"),
        (b'{"version":3,"sections":[{"url":"x"}]}', "and no URL of it"),
        (b'{"version":3,"sections":[{"map":{}}]}', "version 3 in section 0"),
    ],
)
def test_what_is_none_is_told_why(text: bytes, problem: str) -> None:
    with pytest.raises(NotASourceMap, match=problem):
        check_source_map(text)
