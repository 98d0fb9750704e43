"""/api/stats and /api/analytics/trends: numbers, as of now."""

from __future__ import annotations

from datetime import datetime

from litestar import get

from api.analytics import TrendsQuery, stats_body, trends_json, trends_query
from api.answers import Answer, encode_json, success
from api.applications import for_reading
from api.cache import STATISTICS, TRENDS, Computed, cached
from api.call import Call
from api.query import app_of
from api.reading import STATS, caught_up, up_to_date
from api.routes.analytics_described import GET_STATS, GET_TRENDS
from projections.stats import ending


@get("/stats", opt={"operation": GET_STATS})
async def get_stats(request: Call) -> Answer:
    """How many errors there are, and how they are dealt with."""
    app = for_reading(request.auth, app_of(request.scope["query_string"]))
    await up_to_date(request, STATS)
    now = request.container.clock()
    # All windows of the statistics end at the same hours, so one of them stands for the time.
    question = (app, ending(now, "day"))
    body = await cached(request, STATISTICS, [STATS], question, lambda: _stats(request, app, now))
    return success(body)


@get("/analytics/trends", opt={"operation": GET_TRENDS})
async def get_trends(request: Call) -> Answer:
    """What happened in each bucket of a period."""
    query = trends_query(request.scope["query_string"])
    app = for_reading(request.auth, query.app)
    await up_to_date(request, STATS)
    now = request.container.clock()
    question = (app, query.group_by, query.period, ending(now, query.period))
    body = await cached(
        request, TRENDS, [STATS], question, lambda: _trend(request, app, query, now)
    )
    return success(body)


async def _stats(request: Call, app: str | None, now: datetime) -> Computed:
    numbers = await request.container.stats.numbers(app, now)
    if not numbers.errors:
        # Nothing at all may mean that Redis was emptied a moment ago: that is no answer.
        await caught_up(request, STATS)
        numbers = await request.container.stats.numbers(app, now)
    return Computed(encode_json(stats_body(numbers)), settled=numbers.errors > 0)


async def _trend(request: Call, app: str | None, query: TrendsQuery, now: datetime) -> Computed:
    ask = request.container.stats.trend
    trend = await ask(app, query.period, query.group_by, now)
    if not trend.errors:
        await caught_up(request, STATS)
        trend = await ask(app, query.period, query.group_by, now)
    return Computed(trends_json(query, trend), settled=trend.errors > 0)
