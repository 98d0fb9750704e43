"""What the routes of /api/v1/sourcemaps say of themselves."""

from __future__ import annotations

from api.operations import MIN_POSITION, Body, Operation, Parameter, Reply, text
from api.source_map_schemas import (
    SourceMapBatchRequest,
    SourceMapListBody,
    SourceMapRequest,
    SourceMapsDeletedBody,
    UploadedBody,
)
from domain.permissions import Permission

_APP_ID = Parameter(
    "appId",
    {"type": "string", "minLength": 1, "maxLength": 100, "pattern": r"\S"},
    "The application, for keys that may act on several; `default` where it is not given.",
    "test-app",
)
_MAP = '{"version":3,"sources":["src/shop.ts"],"names":[],"mappings":"AAAA"}'
_SHA256 = "4d5b1a2a2c4c9c3e2f1e6a3f0c8f5b7d9e0a1b2c3d4e5f60718293a4b5c6d7e8"

_RULES = (
    "At most 16 MiB after decompression. A map is JSON of version 3, flat or with its sections in "
    "it; anything else is 400, and says why. The same map again changes nothing, another one for "
    "the same file takes its place. A frame belongs to a map when its file's path ends with "
    "`fileName`, or `fileName` ends with it, segment by segment, without scheme, host, query and "
    "a final `.map`. Frames are resolved when they are shown: a map that comes late resolves what "
    "was reported before it. Needs no more than the application's ingest key."
)

UPLOAD_SOURCE_MAP = Operation(
    summary="Upload a source map",
    tag="source maps",
    permission=Permission.INGEST,
    description=_RULES,
    parameters=(_APP_ID,),
    body=Body(
        SourceMapRequest,
        {"map": {"appVersion": "1.0.0", "fileName": "app.min.js", "sourceMap": _MAP}},
    ),
    replies={
        200: Reply(
            "The map is kept.",
            UploadedBody,
            enveloped=False,
            example={
                "success": True,
                "message": "source maps of version 1.0.0 kept: app.min.js",
                "uploaded": 1,
            },
            position=True,
        )
    },
    failures=(400, 409, 413, 415),
)

UPLOAD_SOURCE_MAPS = Operation(
    summary="Upload several source maps of a version",
    tag="source maps",
    permission=Permission.INGEST,
    description=f"1 to 20 maps, kept together or not at all. {_RULES}",
    parameters=(_APP_ID,),
    body=Body(
        SourceMapBatchRequest,
        {
            "two maps": {
                "appVersion": "1.0.0",
                "sourceMaps": [
                    {"fileName": "app.min.js", "sourceMap": _MAP},
                    {"fileName": "vendor.min.js", "sourceMap": _MAP},
                ],
            }
        },
    ),
    replies={
        200: Reply(
            "The maps are kept.",
            UploadedBody,
            enveloped=False,
            example={
                "success": True,
                "message": "source maps of version 1.0.0 kept: app.min.js, vendor.min.js",
                "uploaded": 2,
            },
            position=True,
        )
    },
    failures=(400, 409, 413, 415),
)

LIST_SOURCE_MAPS = Operation(
    summary="List source maps",
    tag="source maps",
    permission=Permission.INGEST,
    description="Newest first. A version that has none has an empty list.",
    parameters=(
        text("appVersion", "Only this version; all where it is not given.", "1.0.0"),
        _APP_ID,
        MIN_POSITION,
    ),
    replies={
        200: Reply(
            "The maps.",
            SourceMapListBody,
            enveloped=False,
            example={
                "success": True,
                "sourceMaps": [
                    {
                        "fileName": "app.min.js",
                        "appVersion": "1.0.0",
                        "createdAt": "2024-01-15T10:30:00.000Z",
                        "size": 18211,
                        "sha256": _SHA256,
                    }
                ],
            },
        )
    },
    failures=(400,),
)

DELETE_SOURCE_MAPS = Operation(
    summary="Delete the source maps of a version",
    tag="source maps",
    permission=Permission.INGEST,
    description=(
        "Its frames are shown as they were reported from then on. A version that has no maps is "
        "answered with `deleted` 0."
    ),
    parameters=(_APP_ID,),
    replies={
        200: Reply(
            "They are gone.",
            SourceMapsDeletedBody,
            enveloped=False,
            example={
                "success": True,
                "message": "2 source maps of version 1.0.0 deleted",
                "deleted": 2,
            },
            position=True,
        )
    },
    failures=(400,),
)
