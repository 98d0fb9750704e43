"""What the command line shows of the past: answers as of a moment, and what changed between two. No
printing here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from api.analytics import stats_body
from api.container import Container
from api.monitoring import uptime_body
from api.past_ports import Building, Moment, Past
from domain.failures import Invalid
from domain.service import ERRATA
from errata import bootstrap
from errata.past import NoPlace
from infra.settings import Settings
from projections.differences import Differences
from projections.directory.incidents import IncidentFilter
from projections.directory.rules import RuleFilter
from projections.error_groups import ErrorFilter
from projections.paging import Wanted

T = TypeVar("T")

Asked = int | datetime
"""A position of the log, or a time."""

Observer = Callable[[Building], None]
"""Told how far an answer has come, while it is being prepared."""

_POLL_SECONDS = 0.1


class Wish(msgspec.Struct, frozen=True):
    """What of a list somebody wants to see."""

    app: str | None
    limit: int
    at: datetime


class View(NamedTuple):
    """One thing to look at: the read model behind it, and what it answers, ready for JSON."""

    read_model: str
    fetch: Callable[[Container, Wish], Awaitable[Any]]


async def _stats(past: Container, wish: Wish) -> Any:
    return stats_body(await past.stats.numbers(wish.app, wish.at))


async def _trends(past: Container, wish: Wish) -> Any:
    return (await past.stats.trend(wish.app, "week", "day", wish.at)).points


async def _errors(past: Container, wish: Wish) -> Any:
    page = await past.errors.list(ErrorFilter(app=wish.app), limit=wish.limit)
    return [msgspec.json.decode(document) for document in page.documents]


async def _codes(past: Container, wish: Wish) -> Any:
    return (await past.dashboard.codes.of_app(wish.app or "default"))[: wish.limit]


async def _rules(past: Container, wish: Wish) -> Any:
    return (await past.rules.list(RuleFilter(app=wish.app), Wanted(limit=wish.limit))).entries


async def _incidents(past: Container, wish: Wish) -> Any:
    wanted = Wanted(limit=wish.limit)
    return (await past.incidents.list(IncidentFilter(app=wish.app), wanted)).entries


async def _keys(past: Container, wish: Wish) -> Any:
    return (await past.api_keys.all(wish.app))[: wish.limit]


async def _team(past: Container, wish: Wish) -> Any:
    return (await past.members.all())[: wish.limit]


async def _uptime(past: Container, wish: Wish) -> Any:
    return uptime_body(ERRATA, await past.monitoring.uptime.of_errata(wish.at), wish.at)


VIEWS: dict[str, View] = {
    "stats": View("stats", _stats),
    "errors": View("error_groups", _errors),
    "trends": View("stats", _trends),
    "codes": View("codes", _codes),
    "rules": View("alert_rules", _rules),
    "incidents": View("incidents", _incidents),
    "keys": View("api_keys", _keys),
    "team": View("members", _team),
    "uptime": View("uptime", _uptime),
}


async def as_of(
    settings: Settings,
    asked: Asked,
    view: View,
    app: str | None,
    limit: int,
    observe: Observer,
) -> tuple[Moment, Any]:
    """What a view showed at a moment. Raises Invalid for one yet to come, Unavailable."""
    async with _past(settings) as (live, past):
        moment = await _moment(past, "TIME", asked)
        read_models = (view.read_model,)
        found = await _when_ready(lambda: past.container(live, moment, read_models, None), observe)
        return moment, await view.fetch(found, Wish(app, limit, moment.at))


async def difference(
    settings: Settings, first: Asked, second: Asked, observe: Observer
) -> tuple[Moment, Moment, Differences]:
    """What changed between two moments. Raises Invalid, Unavailable."""
    async with _past(settings) as (_, past):
        start, end = await _moment(past, "FROM", first), await _moment(past, "TO", second)
        if start.position > end.position:
            raise Invalid("FROM", "must not lie after TO")
        found = await _when_ready(lambda: past.difference(start, end), observe)
        return start, end, found


@asynccontextmanager
async def _past(settings: Settings) -> AsyncIterator[tuple[Container, Past]]:
    """A container that is not started: only its past is used."""
    live = bootstrap.container(settings)
    assert live.past is not None
    try:
        yield live, live.past
    finally:
        for stop in live.shutdown:
            await stop()


async def _moment(past: Past, name: str, asked: Asked) -> Moment:
    try:
        return await past.moment(asked)
    except ValueError as error:
        raise Invalid(name, str(error)) from None


async def _when_ready(ask: Callable[[], Awaitable[T | Building]], observe: Observer) -> T:
    while True:
        try:
            found = await ask()
        except NoPlace:
            continue  # it has waited for a place
        if not isinstance(found, Building):
            return found
        observe(found)
        await asyncio.sleep(_POLL_SECONDS)


def columns_of(view: str) -> Sequence[str]:
    """The fields that a table shows of each entry of a list."""
    return _COLUMNS[view]


_COLUMNS: dict[str, tuple[str, ...]] = {
    "errors": ("id", "app", "level", "resolved", "count", "last_seen", "message"),
    "trends": ("timestamp", "error_count", "resolved_count", "critical_count"),
    "codes": ("code", "count"),
    "rules": ("id", "settings.name", "settings.app", "settings.enabled", "settings.condition"),
    "incidents": ("id", "app", "facts.title", "facts.severity", "facts.status", "created_at"),
    "keys": ("id", "name", "app", "key_preview", "permissions", "created_at"),
    "team": ("id", "email", "name", "role", "status", "created_at"),
}
