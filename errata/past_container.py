"""A container whose queries answer as of a moment: routes are given it in place of the live one,
and none of them knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn
from uuid import UUID

import redis.asyncio as async_redis

from api.container import Container, MapContents
from api.past_ports import Moment
from domain.message import Command, Committed, Context
from projections.codes import CodeQueries
from projections.dashboard_trends import DashboardTrendQueries
from projections.directory.alert_history import HistoryQueries
from projections.directory.api_keys import ApiKeyQueries
from projections.directory.apps import AppQueries
from projections.directory.incidents import IncidentQueries
from projections.directory.integrations import IntegrationQueries
from projections.directory.members import MemberQueries
from projections.directory.rules import RuleQueries
from projections.error_groups import ErrorQueries
from projections.occurrences import OccurrenceQueries, StreamReader
from projections.past import Goal
from projections.positions import Positions, Rebuild
from projections.projection import Keyspace
from projections.registry import by_name
from projections.stats import StatsQueries
from projections.uptime import UptimeQueries

SOURCE_MAPS = "source_maps"
"""Any route may show stacks; which maps a version had then is folded from its own stream."""


def past_container(
    live: Container,
    client: async_redis.Redis,
    moment: Moment,
    read_models: Sequence[str],
    stream: UUID | None,
    read_stream: StreamReader,
    map_contents: MapContents,
) -> Container:
    """The live container with the private keyspaces of a moment. Only `read_models` may be asked,
    for only they are built; the events of streams come from `read_stream`, and `map_contents` says
    which source maps there were."""

    def at(name: str) -> Keyspace:
        return Goal(by_name(name), moment.position, stream).keyspace

    index = live.dashboard.index.as_of(moment.position, moment.at)
    return replace(
        live,
        clock=lambda: moment.at,
        store=PastStore(moment.position),
        positions=Still(moment.position, (*read_models, SOURCE_MAPS)),
        errors=ErrorQueries(client, at("error_groups")),
        occurrences=OccurrenceQueries(read_stream),
        stats=StatsQueries(client, at("stats")),
        apps=AppQueries(client, at("apps")),
        api_keys=ApiKeyQueries(client, at("api_keys")),
        rules=RuleQueries(client, at("alert_rules")),
        alert_history=HistoryQueries(client, at("alert_history")),
        incidents=IncidentQueries(client, at("incidents")),
        members=MemberQueries(client, at("members")),
        integrations=IntegrationQueries(client, at("integrations")),
        history=live.history.as_of(moment.position),
        source_maps=live.source_maps.asking(map_contents),
        monitoring=replace(live.monitoring, uptime=UptimeQueries(client, at("uptime"))),
        dashboard=replace(
            live.dashboard,
            index=index,
            codes=CodeQueries(client, at("codes")),
            trends=DashboardTrendQueries(client, at("dashboard_trends"), index.distinct),
        ),
        key_usage=NoUsage(),
    )


class PastStore:
    """The log as it was: its head lies in the past, and nothing is written there."""

    def __init__(self, position: int) -> None:
        self._position = position

    async def head(self) -> int:
        """The position of the moment."""
        return self._position

    async def execute(self, command: Command, context: Context) -> NoReturn:
        """Raises TypeError: a route that answers as of a moment only reads."""
        raise TypeError(f"nobody can {type(command).__name__} in the past")

    async def execute_all(
        self, commands: Sequence[Command], context: Context
    ) -> Sequence[Committed]:
        """Raises TypeError."""
        raise TypeError("nobody can change the past")


class NoUsage:
    """When keys were last used is no event: of the past it is not known."""

    async def record(self, minutes: Mapping[str, int]) -> None:
        """Nothing."""

    async def minutes(self) -> Mapping[str, int]:
        """Of no key."""
        return {}


class Still(Positions):
    """The positions of some read models at one moment; asking for another one's is a mistake of
    the route that did not say what it reads: LookupError."""

    def __init__(self, position: int, names: Sequence[str]) -> None:
        self._position = position
        self._names = tuple(names)

    @property
    def names(self) -> tuple[str, ...]:
        """The read models that are there."""
        return self._names

    @property
    def certain(self) -> bool:
        """The past does not change."""
        return True

    def position(self, name: str) -> int:
        """The position of the moment."""
        if name not in self._names:
            raise LookupError(f"the route does not say that it reads {name} as of a moment")
        return self._position

    def edition(self, name: str) -> tuple[int, int]:
        """Another one than any of the present."""
        return -1, self.position(name)

    def rebuilding(self, name: str) -> Rebuild | None:
        """None: it is whole."""
        return None

    async def wait(self, name: str, position: int, within: float) -> bool:
        """Whether the moment is not before a position; that will not change."""
        return position <= self.position(name)

    async def look(self) -> None:
        """Nothing to be seen."""
