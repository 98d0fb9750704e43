"""The API as one ASGI application: routes, the guard before them, the edge around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State

from api.answers import Answer
from api.applications import Applications
from api.auth import VISITOR, KeyRing, Principal, development_keys, presents_key
from api.cache import Cache
from api.call import MAX_BODY, Call, Envelope, Parts
from api.container import Container
from api.edge import Edge
from api.failures import answer_to
from api.key_usage import UsageFlush
from api.limits import count
from api.openapi import operation_of
from api.operations import Operation
from api.own_writes import OwnWrites
from api.past import look_back
from api.reading import APPS, PATIENCE
from api.routes import (
    alert_history,
    alerts,
    analytics,
    audit,
    checks,
    consistency,
    dashboard,
    diff,
    docs,
    errors,
    health,
    histories,
    incidents,
    ingest,
    monitoring,
    mutes,
    occurrences,
    rebuilds,
    reports,
    settings_apps,
    settings_integrations,
    settings_keys,
    settings_team,
    source_maps,
    trials,
)
from domain.failures import Unavailable

OPEN_ROUTES = [
    health.root,
    health.health,
    health.live,
    health.ready,
    health.metrics,
    docs.docs,
    docs.openapi,
    settings_team.accept_invite,
]

GUARDED_ROUTES = [
    reports.report_error,
    ingest.ingest,
    ingest.test_key,
    errors.list_errors,
    errors.change_errors,
    errors.get_error,
    errors.delete_error,
    errors.resolve_error,
    errors.reopen_error,
    mutes.mute_error,
    mutes.unmute_error,
    occurrences.list_occurrences,
    alerts.list_rules,
    alerts.create_rule,
    alerts.get_rule,
    alerts.change_rule,
    alerts.delete_rule,
    alerts.silence_rule,
    trials.explain_rule,
    trials.preview_rule,
    alert_history.get_history,
    incidents.list_incidents,
    incidents.open_incident,
    incidents.get_incident,
    incidents.change_incident,
    analytics.get_stats,
    analytics.get_trends,
    monitoring.get_performance,
    monitoring.list_services,
    monitoring.get_metrics,
    monitoring.get_uptime,
    checks.list_checks,
    checks.create_check,
    checks.get_check,
    checks.change_check,
    checks.delete_check,
    settings_keys.list_api_keys,
    settings_keys.create_api_key,
    settings_keys.revoke_api_key,
    settings_team.list_members,
    settings_team.invite_member,
    settings_team.change_role,
    settings_team.remove_member,
    settings_integrations.list_integrations,
    settings_integrations.get_integration,
    settings_integrations.configure_integration,
    settings_integrations.test_integration,
    settings_apps.list_apps,
    settings_apps.register_app,
    source_maps.upload_source_map,
    source_maps.upload_source_maps,
    source_maps.list_source_maps,
    source_maps.delete_source_maps,
    rebuilds.list_rebuilds,
    rebuilds.request_rebuild,
    rebuilds.roll_back,
    rebuilds.get_rebuild,
    rebuilds.cancel_rebuild,
    rebuilds.follow_rebuild,
    diff.get_diff,
    consistency.get_consistency,
    histories.error_history,
    histories.rule_changes,
    histories.incident_history,
    histories.check_history,
    histories.key_history,
    histories.member_history,
    histories.integration_history,
    histories.app_history,
    audit.list_events,
]


DASHBOARD_ROUTES = [
    dashboard.list_dashboard_errors,
    dashboard.get_dashboard_error,
    dashboard.get_dashboard_trends,
    dashboard.list_dashboard_codes,
    dashboard.list_dashboard_apps,
]


def create_app(container: Container) -> Litestar:
    """The application. It starts and stops the container's parts with itself."""
    built_in = () if container.production else development_keys()
    own_writes = OwnWrites(container.store, container.positions)
    container = replace(container, store=own_writes)
    keys = KeyRing(container.key_source, container.clock, built_in)
    usage = UsageFlush(keys, container.key_usage)
    applications = Applications(container.apps, lambda: _apps_caught_up(container))
    # A guard of Litestar would do the same, but copies the handler for every request.
    api = Router("/api", route_handlers=GUARDED_ROUTES, before_request=authorise)
    dashboard_api = Router(
        "/dashboard/api", route_handlers=DASHBOARD_ROUTES, before_request=authorise
    )
    app = Litestar(
        [*OPEN_ROUTES, api, dashboard_api],
        request_class=Call,
        exception_handlers={Exception: _failed},
        on_startup=[*container.startup, keys.start, usage.start],
        on_shutdown=[usage.stop, keys.stop, *container.shutdown],
        state=State({"parts": Parts(container, keys, applications, Cache(), own_writes)}),
        request_max_body_size=MAX_BODY,
        openapi_config=None,
        logging_config=None,
    )
    app.asgi_handler = Edge(app.asgi_handler, container.meter, container.cors_origins)
    return app


async def authorise(request: Request[Any, Any, Any]) -> Answer | Response[None] | None:
    """Recognise the key, count the request against its limit, and require the permission that
    the route documents; then go back to the moment that it asks about. An answer stands in for the
    route's own: that moment is still being prepared.

    A route that documents none is a mistake and is refused: TypeError, which is a 500. But OPTIONS,
    which every path has, is answered to anybody."""
    call = cast("Call", request)
    operation = operation_of(call.route_handler)
    if operation is None or operation.permission is None:
        if call.scope["method"] == "OPTIONS":
            return _options(call)
        raise TypeError(f"{call.route_handler} needs a key, and documents no permission")
    principal = _principal(call, operation)
    if (limiter := call.container.limiter) is not None:
        await count(call, limiter, principal.key_id, operation)
    principal.require(operation.permission)
    call.scope["auth"] = principal
    return await look_back(call, operation.as_of)


def _options(call: Call) -> Response[None]:
    """The methods of a path. Litestar's own answer knows only those that were registered first."""
    template = call.scope["path_template"]
    methods = next(one.methods for one in call.app.routes if one.path_format == template)
    return Response(None, status_code=204, headers={"allow": ", ".join(sorted(methods))})


def _principal(call: Call, operation: Operation) -> Principal:
    """Who calls. Raises Unauthorized."""
    headers = call.envelope.headers
    if operation.without_key and not call.container.production and not presents_key(headers):
        return VISITOR
    return call.parts.keys.recognise(headers)


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    envelope: Envelope = request.scope["state"]["envelope"]
    answer = answer_to(
        error,
        method=request.scope["method"],
        path=request.scope["path"],
        request_id=envelope.request_id,
    )
    headers = {
        name.decode(): value.decode()
        for name, value in answer.headers
        if name not in (b"content-type", b"content-length")
    }
    return Response(
        answer.body,
        status_code=answer.status,
        headers=headers,
        media_type="application/json",
    )


async def _apps_caught_up(container: Container) -> None:
    head = await container.store.head()
    if not await container.positions.wait(APPS, head, PATIENCE):
        raise Unavailable("projections", "the read model apps is behind the log")
