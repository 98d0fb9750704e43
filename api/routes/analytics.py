"""/api/stats and /api/analytics/trends: numbers, as of now."""

from __future__ import annotations

from litestar import get

from api.analytics import stats_body, trends_json, trends_query
from api.answers import Answer, encode_json, success
from api.applications import for_reading
from api.call import Call
from api.query import app_of
from api.reading import STATS, caught_up, up_to_date
from api.routes.analytics_described import GET_STATS, GET_TRENDS


@get("/stats", opt={"operation": GET_STATS})
async def get_stats(request: Call) -> Answer:
    """How many errors there are, and how they are dealt with."""
    app = for_reading(request.auth, app_of(request.scope["query_string"]))
    await up_to_date(request, STATS)
    ask = request.container.stats.numbers
    numbers = await ask(app, request.container.clock())
    if not numbers.errors:
        # Nothing at all may mean that Redis was emptied a moment ago: that is no answer.
        await caught_up(request, STATS)
        numbers = await ask(app, request.container.clock())
    return success(encode_json(stats_body(numbers)))


@get("/analytics/trends", opt={"operation": GET_TRENDS})
async def get_trends(request: Call) -> Answer:
    """What happened in each bucket of a period."""
    query = trends_query(request.scope["query_string"])
    app = for_reading(request.auth, query.app)
    await up_to_date(request, STATS)
    ask = request.container.stats.trend
    trend = await ask(app, query.period, query.group_by, request.container.clock())
    if not trend.errors:
        await caught_up(request, STATS)
        trend = await ask(app, query.period, query.group_by, request.container.clock())
    return success(trends_json(query, trend))
