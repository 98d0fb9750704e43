"""/dashboard/api: what the second document's dashboard shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from litestar import get

from api.answers import Answer, plain
from api.applications import for_reading
from api.auth import VISITOR
from api.call import Call
from api.dashboard import (
    AHEAD,
    EventsQuery,
    TrendsQuery,
    app_query,
    events_query,
    trends_query,
)
from api.dashboard_schemas import (
    DashboardErrorBody,
    DashboardErrorsBody,
    Pagination,
    apps_body,
    codes_body,
    event_body,
    trends_body,
)
from api.failures import Unauthorized
from api.intake import report_id
from api.reading import APPS, CODES, DASHBOARD_TRENDS, OCCURRENCES, caught_up, up_to_date
from api.routes.dashboard_described import (
    GET_DASHBOARD_ERROR,
    GET_DASHBOARD_TRENDS,
    LIST_DASHBOARD_APPS,
    LIST_DASHBOARD_CODES,
    LIST_DASHBOARD_ERRORS,
)
from api.stacks import shown_stacks
from domain.error_group import ErrorReported
from domain.failures import NotFound
from domain.message import Recorded
from projections.dashboard_trends import DashboardBucket
from projections.occurrence_index import Place

T = TypeVar("T")


@get("/errors", opt={"operation": LIST_DASHBOARD_ERRORS})
async def list_dashboard_errors(request: Call) -> Answer:
    """A page of occurrences: places from the index, payloads from the log."""
    query = events_query(request.scope["query_string"], request.container.clock())
    _check_app(request, query.filter.app)
    look = partial(_page, request, query)
    page = await _looked_up(request, OCCURRENCES, look, lambda found: found.errors)
    return plain(page)


@get("/errors/{event_id:str}", opt={"operation": GET_DASHBOARD_ERROR})
async def get_dashboard_error(request: Call) -> Answer:
    """One occurrence."""
    event_id = request.path_id("event_id")
    app = app_query(request.scope["query_string"])
    _check_app(request, app)
    # Under the id that the application gave it, or the log's own.
    ids = (report_id(app, str(event_id)), event_id)

    async def look() -> Recorded[ErrorReported] | None:
        found = await request.container.dashboard.events.known_event(ids)
        if found is None or not isinstance(found.event, ErrorReported) or found.event.app != app:
            return None
        place = Place(found.event.occurrence.timestamp, found.position)
        return found if await request.container.dashboard.index.holds(app, place) else None

    found = await _looked_up(request, OCCURRENCES, look, lambda one: one)
    if found is None:
        raise NotFound("no such error")
    (stack,) = await shown_stacks(request, [found])
    return plain(DashboardErrorBody(error=event_body(found, stack)))


@get("/trends", opt={"operation": GET_DASHBOARD_TRENDS})
async def get_dashboard_trends(request: Call) -> Answer:
    """What happened in each hour or day."""
    query = trends_query(request.scope["query_string"], request.container.clock())
    _check_app(request, query.app)
    buckets = await _looked_up(
        request,
        DASHBOARD_TRENDS,
        partial(_trend, request, query),
        lambda found: any(bucket.count for bucket in found),
    )
    return plain(trends_body(buckets))


@get("/codes", opt={"operation": LIST_DASHBOARD_CODES})
async def list_dashboard_codes(request: Call) -> Answer:
    """How often each code was reported."""
    app = app_query(request.scope["query_string"])
    _check_app(request, app)
    look = partial(request.container.dashboard.codes.of_app, app)
    return plain(codes_body(await _looked_up(request, CODES, look, len)))


@get("/apps", opt={"operation": LIST_DASHBOARD_APPS})
async def list_dashboard_apps(request: Call) -> Answer:
    """The applications that the key may see."""
    apps = await _looked_up(request, APPS, request.container.apps.all, len)
    return plain(apps_body([app for app in apps if request.auth.may_see(app.id)]))


async def _looked_up(
    request: Call, read_model: str, look: Callable[[], Awaitable[T]], found: Callable[[T], object]
) -> T:
    """What a look at a read model shows. One that found nothing is repeated when the read model
    has seen the whole log, for nothing may mean that it was written, or lost, a moment ago."""
    await up_to_date(request, read_model)
    seen = await look()
    if not found(seen):
        await caught_up(request, read_model)
        seen = await look()
    return seen


async def _page(request: Call, query: EventsQuery) -> DashboardErrorsBody:
    dashboard = request.container.dashboard
    page = await dashboard.index.page(
        query.filter, after=query.after, offset=query.offset, limit=query.limit
    )
    events = await dashboard.events.events_at([place.position for place in page.places])
    there = [events[at.position] for at in page.places if at.position in events]
    stacks = await shown_stacks(request, there)
    return DashboardErrorsBody(
        errors=[event_body(*one) for one in zip(there, stacks, strict=True)],
        pagination=Pagination(
            limit=query.limit,
            offset=query.offset,
            has_more=page.more,
            next_cursor=query.cursor(page.places[-1]) if page.more else None,
        ),
    )


async def _trend(request: Call, query: TrendsQuery) -> list[DashboardBucket]:
    """The buckets up to the one that holds now; and one more where a clock that runs ahead has
    stamped something there."""
    now = request.container.clock()
    until = query.until or now + AHEAD
    ask = request.container.dashboard.trends.trend
    buckets = await ask(query.app, query.since, until, query.granularity)
    if query.until is None and buckets and buckets[-1].time > now and not buckets[-1].count:
        buckets.pop()
    return buckets


def _check_app(request: Call, app: str) -> None:
    """Raises Forbidden for another application than the key's, Unauthorized without a key."""
    if request.auth is VISITOR and not VISITOR.may_see(app):
        raise Unauthorized(f"without a key only the application {VISITOR.app!r} is shown")
    for_reading(request.auth, app)
