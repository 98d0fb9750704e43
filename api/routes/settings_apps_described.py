"""What the routes of /api/settings/apps say of themselves."""

from __future__ import annotations

from api.operations import MIN_POSITION, AsOf, Body, Operation, Reply
from api.settings_schemas import AppListBody, AppRequest, NewAppBody
from domain.permissions import Permission

_APP = {"id": "shop", "name": "The Shop", "created_at": "2025-08-29T12:00:00Z"}

LIST_APPS = Operation(
    summary="List applications",
    tag="settings",
    permission=Permission.ADMIN,
    description="A key of one application sees that one.",
    parameters=(MIN_POSITION,),
    replies={200: Reply("The applications.", AppListBody, example={"apps": [_APP]})},
    failures=(400,),
    as_of=AsOf(("apps",)),
)

REGISTER_APP = Operation(
    summary="Register an application",
    tag="settings",
    permission=Permission.ADMIN,
    description="The answer holds the application's ingest key, this once. 409: the id is taken.",
    body=Body(AppRequest, {"shop": {"id": "shop", "name": "The Shop"}}),
    replies={
        201: Reply(
            "The application, with its ingest key.",
            NewAppBody,
            example={
                **_APP,
                "api_key": "ei_3q2-7wQ0mZ0bWf0c9Yl1oJr8e5tXvK2uHs4dGa6n7890",
                "key_id": "0d9f3c1e-6a0b-4d0e-8f5a-3f1f7c2b9a10",
            },
            position=True,
        )
    },
    failures=(400, 409, 413, 415),
)
