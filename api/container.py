"""What the API is given by the front door: the ports it calls, and nothing it has to build."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Protocol
from uuid import UUID

import msgspec

from api.consistency_ports import Consistency
from api.dashboard_ports import Dashboard
from api.history_ports import History
from api.monitoring_ports import Monitoring
from api.past_ports import Past
from api.trial_ports import Trials
from domain.api_key import ApiKey
from domain.integration import Sealed
from domain.integration_config import Config
from domain.message import Command, Committed, Context
from domain.notification import Message, Outcome
from domain.rate_limit import Allowance, Rate
from domain.resolved_stack import Stack
from domain.scrubbing import Scrubber
from domain.source_map_files import PackedMap
from projections.directory.alert_history import HistoryQueries
from projections.directory.api_keys import ApiKeyQueries
from projections.directory.apps import AppQueries
from projections.directory.incidents import IncidentQueries
from projections.directory.integrations import IntegrationQueries
from projections.directory.members import MemberQueries
from projections.directory.rules import RuleQueries
from projections.directory.source_maps import SourceMapQueries
from projections.error_groups import ErrorQueries
from projections.occurrences import OccurrenceQueries
from projections.positions import Positions
from projections.rebuilds import Rebuilds
from projections.stats import StatsQueries


class Store(Protocol):
    """The way of every command. `execute` returns once the events are committed.

    Raises DomainError where the decision refuses, and Unavailable where the log cannot be
    reached ("postgres") or too much waits already ("queue").
    """

    async def execute(self, command: Command, context: Context) -> Committed:
        """Decide and commit one command."""
        ...

    async def execute_all(
        self, commands: Sequence[Command], context: Context
    ) -> Sequence[Committed]:
        """Decide and commit several commands together, or none of them."""
        ...

    async def head(self) -> int:
        """The position of the last committed event, asked of the log."""
        ...


class KeySource(Protocol):
    """Where the key ring learns which keys exist: the keys' own states beside the log."""

    async def version(self) -> int:
        """A number that changes whenever any key changes; cheap to ask."""
        ...

    async def load(self) -> Sequence[ApiKey]:
        """The state of every key ever issued."""
        ...


class KeyUsage(Protocol):
    """When keys were last used, by key id: the minute, as Unix time / 60. Raises RedisError."""

    async def record(self, minutes: Mapping[str, int]) -> None:
        """Take note of uses; an earlier minute never replaces a later one."""
        ...

    async def minutes(self) -> Mapping[str, int]:
        """The last use of every key that was ever used."""
        ...


class Secrets(Protocol):
    """Seals what must not stand in the log in plain."""

    def seal(self, plain: bytes) -> Sealed:
        """What may stand in an event."""
        ...

    def open(self, sealed: Sealed) -> bytes:
        """The plain value. Raises Conflict where it was sealed with another key."""
        ...


class Notifier(Protocol):
    """Sends messages to people."""

    async def send(self, config: Config, message: Message) -> Outcome:
        """Send one message; what became of it, within about ten seconds."""
        ...


class Limiter(Protocol):
    """Counts the requests of keys."""

    async def take(self, key_id: str, rate: Rate) -> Allowance | None:
        """Count one request of a key; None, which lets it pass, where nobody can count it."""
        ...


MapContents = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""(application, version) -> file name -> SHA-256 of its map."""


class SourceMaps(Protocol):
    """Keeps source maps, and reads stacks by them."""

    def asking(self, contents: MapContents) -> SourceMaps:
        """The same maps, where another than the read model says which of them a version has."""
        ...

    async def pack(self, text: bytes) -> PackedMap:
        """A map ready to be kept. Raises NotASourceMap, with the reason."""
        ...

    async def keep(self, packed: PackedMap) -> None:
        """Keep a map, before the event that names it. Raises Unavailable("postgres")."""
        ...

    async def resolve_all(self, stacks: Sequence[Stack]) -> list[msgspec.Raw]:
        """Stacks as JSON, their frames with the original places (domain.resolved_stack); null for
        one without frames. Raises Unavailable("postgres") and RedisError."""
        ...


class Meter(Protocol):
    """Where the API counts its own requests."""

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request; `route` is the path template, never the path."""
        ...

    def cached(self, cache: str, *, hit: bool) -> None:
        """One question that could have been answered from memory, and whether it was."""
        ...

    def exposition(self) -> tuple[bytes, str]:
        """All metrics of all processes as Prometheus text, and its content type."""
        ...


@dataclass(frozen=True)
class Health:
    """One look at the parts: each "up" or "down", and the reasons where something is wrong. Of the
    projections "unknown" is said where those who keep them up to date cannot be asked."""

    postgres: str
    redis: str
    projections: str
    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all parts are up."""
        return (self.postgres, self.redis, self.projections) == ("up", "up", "up")


@dataclass(frozen=True)
class Container:
    """All that create_app needs. `production` decides whether development keys work."""

    store: Store
    positions: Positions
    errors: ErrorQueries
    occurrences: OccurrenceQueries
    stats: StatsQueries
    apps: AppQueries
    api_keys: ApiKeyQueries
    rules: RuleQueries
    alert_history: HistoryQueries
    incidents: IncidentQueries
    members: MemberQueries
    integrations: IntegrationQueries
    monitoring: Monitoring
    dashboard: Dashboard
    rebuilds: Rebuilds
    history: History
    source_maps: SourceMaps
    source_map_list: SourceMapQueries
    key_source: KeySource
    key_usage: KeyUsage
    secrets: Secrets
    notifier: Notifier
    scrubber: Scrubber
    meter: Meter
    health: Callable[[], Awaitable[Health]]
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]
    production: bool
    cors_origins: tuple[str, ...]
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    version: str
    limiter: Limiter | None = None
    past: Past | None = None
    trials: Trials | None = None
    consistency: Consistency | None = None
    startup: Sequence[Callable[[], Awaitable[Any]]] = ()
    shutdown: Sequence[Callable[[], Awaitable[Any]]] = ()
