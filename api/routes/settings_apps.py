"""/api/settings/apps: which applications there are, and new ones."""

from __future__ import annotations

from litestar import get, post

from api.answers import Answer, encode_json, success
from api.call import Call
from api.form import Form
from api.new_keys import new_key
from api.reading import APPS, caught_up, up_to_date
from api.routes.settings_apps_described import LIST_APPS, REGISTER_APP
from api.settings_schemas import AppBody, AppListBody, NewAppBody
from domain.api_key import IssueApiKey, key_hash, key_preview
from domain.app import APP_ID_RULE, RegisterApp, is_app_id
from domain.permissions import Permission


@get("/settings/apps", opt={"operation": LIST_APPS})
async def list_apps(request: Call) -> Answer:
    """All applications; for a key of one, that one."""
    await up_to_date(request, APPS)
    apps = await request.container.apps.all()
    if not apps:
        await caught_up(request, APPS)
        apps = await request.container.apps.all()
    seen = [
        AppBody(one.id, one.name, one.created_at) for one in apps if request.auth.may_see(one.id)
    ]
    return success(encode_json(AppListBody(seen)))


@post("/settings/apps", opt={"operation": REGISTER_APP})
async def register_app(request: Call) -> Answer:
    """A new application with its ingest key, which is shown this once: both, or neither."""
    request.auth.require_all_apps()
    form = Form(await request.json_body())
    app, name = form.required_text("id"), form.required_text("name")
    if app and not is_app_id(app):
        form.wrong("id", APP_ID_RULE)
    form.check()
    permissions = (Permission.INGEST.value,)
    key = new_key(permissions)
    issue = IssueApiKey(
        key_id=request.container.new_id(),
        key_name=f"{name} ingest"[:200],
        key_hash=key_hash(key),
        key_preview=key_preview(key),
        app=app,
        permissions=permissions,
        granted_by=request.auth.permissions,
        issued_at=request.container.clock(),
    )
    register = RegisterApp(app=app, app_name=name, only_new=True)
    registered, issued = await request.container.store.execute_all(
        (register, issue), request.context
    )
    body = NewAppBody(
        id=app,
        name=name,
        created_at=registered.state.registered_at,
        api_key=key,
        key_id=issue.key_id,
    )
    return success(encode_json(body), status=201, position=issued.position)
