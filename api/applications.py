"""Which applications exist, remembered: an application never goes away once it is registered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from api.auth import Principal
from api.failures import BadRequest
from domain.failures import Forbidden
from domain.vocabulary import ANY_APP, DEFAULT_APP

if TYPE_CHECKING:
    from projections.directory.apps import AppQueries

CatchUp = Callable[[], Awaitable[None]]
"""Waits until the read model of applications has seen all that is in the log."""


class Applications:
    """Chooses the application that a request acts on."""

    def __init__(self, apps: AppQueries, catch_up: CatchUp) -> None:
        self._apps = apps
        self._catch_up = catch_up
        self._known = {DEFAULT_APP}

    async def for_report(self, principal: Principal, named: str | None, field: str = "app") -> str:
        """The application a report belongs to: the key's own, or the one it names in `field`.

        Raises Forbidden for a key of another application, BadRequest for an unknown one, and
        RedisError where only the read model could tell. The applications that keys belong to, and
        `default`, are known without asking.
        """
        if principal.app != ANY_APP:
            if named not in (None, principal.app):
                raise Forbidden(f"the key belongs to the application {principal.app!r}")
            return principal.app
        app = named or DEFAULT_APP
        if app not in self._known:
            await self._look_up(app, field)
        return app

    async def _look_up(self, app: str, field: str) -> None:
        if await self._apps.one(app) is None:
            await self._catch_up()
            if await self._apps.one(app) is None:
                raise BadRequest.field(field, f"{app!r} is not a registered application")
        self._known.add(app)


def for_reading(principal: Principal, named: str | None) -> str | None:
    """The application whose errors a list shows; None for all. Raises Forbidden."""
    if principal.app == ANY_APP:
        return named
    if named not in (None, principal.app):
        raise Forbidden(f"the key belongs to the application {principal.app!r}")
    return principal.app
