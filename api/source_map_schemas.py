"""The shapes of /api/v1/sourcemaps, under the second document's names."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from api.answers import PlainSuccess
from api.dashboard_schemas import Milliseconds
from api.schemas import NOT_BLANK
from domain.source_maps import MAX_FILE_NAME, MAX_VERSION
from domain.times import milliseconds
from projections.directory.source_maps import ListedSourceMap

MAX_MAPS = 20
"""Of one batch."""

AppVersion = Annotated[str, Meta(min_length=1, max_length=MAX_VERSION, pattern=NOT_BLANK)]
FileName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_FILE_NAME,
        pattern=NOT_BLANK,
        description="The compiled file, by its name, its path or its URL.",
    ),
]
MapText = Annotated[
    str, Meta(min_length=1, description="The map itself: the text of its JSON, version 3.")
]


class SourceMapRequest(msgspec.Struct, kw_only=True, rename="camel"):
    """A map and the file it belongs to."""

    app_version: AppVersion
    file_name: FileName
    source_map: MapText


class SourceMapOfBatch(msgspec.Struct, kw_only=True, rename="camel"):
    """One map of a batch."""

    file_name: FileName
    source_map: MapText


class SourceMapBatchRequest(msgspec.Struct, kw_only=True, rename="camel"):
    """Several maps of one version, kept together or not at all."""

    app_version: AppVersion
    source_maps: Annotated[list[SourceMapOfBatch], Meta(min_length=1, max_length=MAX_MAPS)]


class UploadedBody(PlainSuccess, kw_only=True):
    """How many maps are kept."""

    message: str
    uploaded: int


class SourceMapBody(msgspec.Struct, kw_only=True, rename="camel"):
    """A map that is kept. `size` is in bytes, `sha256` that of its text, in hex."""

    file_name: str
    app_version: str
    created_at: Milliseconds
    size: int
    sha256: str


class SourceMapListBody(PlainSuccess, kw_only=True, rename="camel"):
    """The maps, newest first."""

    source_maps: list[SourceMapBody]


class SourceMapsDeletedBody(PlainSuccess, kw_only=True):
    """How many maps are gone; 0 where there were none."""

    message: str
    deleted: int


def list_body(maps: list[ListedSourceMap]) -> SourceMapListBody:
    """The maps under the names of the document."""
    return SourceMapListBody(
        source_maps=[
            SourceMapBody(
                file_name=one.file_name,
                app_version=one.app_version,
                created_at=milliseconds(one.created_at),
                size=one.size,
                sha256=one.sha256,
            )
            for one in maps
        ]
    )
