"""/api/settings/api-keys: which keys there are, new ones, and the end of old ones."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, cast

from litestar import delete, get, post
from msgspec import UnsetType

from api.answers import Answer, deleted, encode_json, success
from api.call import Call
from api.directory import chosen_app
from api.form import Form
from api.key_usage import known_minutes, used_at
from api.new_keys import new_key
from api.query import app_of
from api.reading import caught_up, up_to_date
from api.routes.settings_keys_described import CREATE_API_KEY, LIST_API_KEYS, REVOKE_API_KEY
from api.settings_schemas import (
    ApiKeyBody,
    ApiKeyListBody,
    NewApiKeyBody,
    PermissionName,
    RoleName,
)
from domain.api_key import ApiKeyIssued, IssueApiKey, RevokeApiKey, key_hash, key_preview
from domain.message import Recorded
from domain.permissions import DEFAULT_PERMISSIONS, parse_permissions
from domain.times import parse_rfc3339
from domain.vocabulary import ANY_APP
from projections.directory.api_keys import ListedApiKey

API_KEYS = "api_keys"


@get("/settings/api-keys", opt={"operation": LIST_API_KEYS})
async def list_api_keys(request: Call) -> Answer:
    """All keys; for a key of one application, that application's."""
    app = None if request.auth.app == ANY_APP else request.auth.app
    await up_to_date(request, API_KEYS)
    keys = await request.container.api_keys.all(app)
    if not keys:
        await caught_up(request, API_KEYS)
        keys = await request.container.api_keys.all(app)
    minutes = await known_minutes(request.container.key_usage)
    body = ApiKeyListBody([_shown(key, used_at(minutes, key.id)) for key in keys])
    return success(encode_json(body))


@post("/settings/api-keys", opt={"operation": CREATE_API_KEY})
async def create_api_key(request: Call) -> Answer:
    """A new key, shown this once."""
    now = request.container.clock()
    wish = _wish(Form(await request.json_body()), now)
    key = new_key(wish.permissions)
    command = IssueApiKey(
        key_id=request.container.new_id(),
        key_name=wish.name,
        key_hash=key_hash(key),
        key_preview=key_preview(key),
        app=await _app(request, wish.app),
        permissions=wish.permissions,
        granted_by=request.auth.permissions,
        issued_at=now,
        expires_at=wish.expires_at,
    )
    committed = await request.container.store.execute(command, request.context)
    issued: Recorded[ApiKeyIssued] = committed.events[0]
    event = issued.event
    body = NewApiKeyBody(
        id=event.key_id,
        name=event.key_name,
        api_key=key,
        key_preview=event.key_preview,
        permissions=cast("list[PermissionName]", list(event.permissions)),
        expires_at=event.expires_at,
        created_at=issued.recorded_at,
        app=event.app,
    )
    return success(encode_json(body), status=201, position=committed.position)


@delete("/settings/api-keys/{key_id:str}", status_code=200, opt={"operation": REVOKE_API_KEY})
async def revoke_api_key(request: Call) -> Answer:
    """The end of a key; one that has ended already stays so."""
    command = RevokeApiKey(
        key_id=request.path_id("key_id"), within=request.auth.app, by_owner=request.auth.owner
    )
    return deleted((await request.container.store.execute(command, request.context)).position)


class _Wish(NamedTuple):
    name: str
    permissions: tuple[str, ...]
    expires_at: datetime | None
    app: str | UnsetType


def _wish(form: Form, now: datetime) -> _Wish:
    """What a body asks for. Raises BadRequest with all that is wrong."""
    wish = _Wish(
        name=form.required_text("name"),
        permissions=_permissions(form),
        expires_at=_expiry(form, now),
        app=form.text("app"),
    )
    form.check()
    return wish


def _permissions(form: Form) -> tuple[str, ...]:
    given = form.texts("permissions")
    try:
        return DEFAULT_PERMISSIONS if isinstance(given, UnsetType) else parse_permissions(given)
    except ValueError as error:
        form.wrong("permissions", str(error))
        return ()


def _expiry(form: Form, now: datetime) -> datetime | None:
    text = form.text("expires_at")
    if isinstance(text, UnsetType):
        return None
    try:
        moment = parse_rfc3339(text)
    except ValueError as error:
        form.wrong("expires_at", str(error))
        return None
    if moment <= now:
        form.wrong("expires_at", "must lie in the future")
    return moment


async def _app(request: Call, named: str | UnsetType) -> str:
    """The application of the new key; unless one is named, all that the asking key may act on."""
    nobody_says = isinstance(named, UnsetType) and app_of(request.scope["query_string"]) is None
    if nobody_says and request.auth.app == ANY_APP:
        return ANY_APP
    return await chosen_app(request, named)


def _shown(key: ListedApiKey, last_used: datetime | None) -> ApiKeyBody:
    return ApiKeyBody(
        id=key.id,
        name=key.name,
        key_preview=key.key_preview,
        permissions=cast("list[PermissionName]", list(key.permissions)),
        expires_at=key.expires_at,
        last_used=last_used,
        created_at=key.created_at,
        app=key.app,
        member_id=key.member_id,
        role=cast("RoleName | None", key.role),
    )
