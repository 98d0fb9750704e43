"""/api/v1/sourcemaps: maps by which the frames of compiled code are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from litestar import delete, get, post

from api.answers import Answer, Problem, plain
from api.call import Call
from api.failures import BadRequest
from api.query import Parameters, parameters
from api.reading import SOURCE_MAPS, caught_up, up_to_date
from api.routes.source_maps_described import (
    DELETE_SOURCE_MAPS,
    LIST_SOURCE_MAPS,
    UPLOAD_SOURCE_MAP,
    UPLOAD_SOURCE_MAPS,
)
from api.source_map_schemas import SourceMapsDeletedBody, UploadedBody, list_body
from api.source_maps import Uploads, read_batch, read_upload
from domain.source_map_files import NotASourceMap, PackedMap
from domain.source_maps import MAX_VERSION, DeleteSourceMaps, UploadSourceMap
from projections.directory.source_maps import ListedSourceMap

MAX_UPLOAD = 16_777_216
"""Bytes: 16 MiB, compressed and not."""

_PATH = "/api/v1/sourcemaps/"


@post("/v1/sourcemaps/upload", status_code=200, opt={"operation": UPLOAD_SOURCE_MAP})
async def upload_source_map(request: Call) -> Answer:
    """Keep one map."""
    return await _upload(request, read_upload)


@post("/v1/sourcemaps/upload-batch", status_code=200, opt={"operation": UPLOAD_SOURCE_MAPS})
async def upload_source_maps(request: Call) -> Answer:
    """Keep several maps of one version, or none."""
    return await _upload(request, read_batch)


@get("/v1/sourcemaps/list", opt={"operation": LIST_SOURCE_MAPS})
async def list_source_maps(request: Call) -> Answer:
    """The maps of a version, or of all."""
    read = Parameters(parameters(request.scope["query_string"]))
    version = read.text("appVersion", MAX_VERSION)
    app = await _app(request, read)

    async def look() -> list[ListedSourceMap]:
        maps = request.container.source_map_list
        return await (maps.of_app(app) if version is None else maps.of_version(app, version))

    await up_to_date(request, SOURCE_MAPS)
    found = await look()
    if not found:
        await caught_up(request, SOURCE_MAPS)
        found = await look()
    return plain(list_body(found))


@delete("/v1/sourcemaps/{app_version:path}", status_code=200, opt={"operation": DELETE_SOURCE_MAPS})
async def delete_source_maps(request: Call) -> Answer:
    """Take all maps of a version away; of one that has none, none."""
    # From the path itself: a version may hold slashes, and such a parameter is a Path.
    version = request.scope["path"].partition(_PATH)[2]
    if len(version) > MAX_VERSION or not version.strip() or "\0" in version:
        raise BadRequest.field("appVersion", f"must have 1 to {MAX_VERSION} characters")
    app = await _app(request, Parameters(parameters(request.scope["query_string"])))
    command = DeleteSourceMaps(app=app, app_version=version)
    committed = await request.container.store.execute(command, request.context)
    count = sum(one.event.count for one in committed.events)
    maps = "source map" if count == 1 else "source maps"
    message = f"{count} {maps} of version {version} deleted"
    return plain(SourceMapsDeletedBody(message=message, deleted=count), position=committed.position)


async def _upload(request: Call, read: Callable[[bytes], Uploads]) -> Answer:
    app = await _app(request, Parameters(parameters(request.scope["query_string"])))
    uploads = await asyncio.to_thread(read, await request.json_body(MAX_UPLOAD))
    packed = await _packed(request, uploads)
    # The texts first: an event never names a map that is not there.
    for one in packed:
        await request.container.source_maps.keep(one)
    commands = [
        UploadSourceMap(
            app=app,
            app_version=uploads.app_version,
            file_name=upload.file_name,
            sha256=one.sha256,
            size=one.size,
        )
        for upload, one in zip(uploads.maps, packed, strict=True)
    ]
    committed = await request.container.store.execute_all(commands, request.context)
    files = ", ".join(upload.file_name for upload in uploads.maps)
    message = f"source maps of version {uploads.app_version} kept: {files}"
    body = UploadedBody(message=message, uploaded=len(commands))
    return plain(body, position=committed[-1].position)


async def _packed(request: Call, uploads: Uploads) -> list[PackedMap]:
    """The maps ready to be kept. Raises BadRequest naming each that is none."""
    packed: list[PackedMap] = []
    problems: list[Problem] = []
    for upload in uploads.maps:
        try:
            packed.append(await request.container.source_maps.pack(upload.text))
        except NotASourceMap as flaw:
            problems.append(Problem(upload.field, str(flaw)))
    if problems:
        raise BadRequest.of(problems)
    return packed


async def _app(request: Call, read: Parameters) -> str:
    """The application that the maps are of: the key's own, or the one that the query names."""
    named = read.text("appId")
    read.check()
    return await request.parts.applications.for_report(request.auth, named, field="appId")
