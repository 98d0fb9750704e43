"""An integration: a way in which Errata tells people (slack, email, webhook, sms).

Its configuration is sealed before it gets here: events hold the ciphertext, a digest that tells
equal configurations apart from different ones, and a preview without secrets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

import msgspec

from domain.decider import Decider
from domain.failures import Conflict, NotFound
from domain.message import Command, Event, Recorded, derived_id
from domain.vocabulary import CHANNELS, Channel

IntegrationStatus = Literal["not_configured", "configured", "connected", "failing"]

Preview = dict[str, str | list[str]]
"""A configuration as it may be shown: by field, secrets masked."""


class Sealed(msgspec.Struct, frozen=True):
    """A configuration that only the holder of the secret key can read. Sealing the same one again
    gives another `ciphertext` and the same `digest`."""

    ciphertext: str
    digest: str


# -- commands ------------------------------------------------------------------------------------


class _IntegrationCommand(Command, frozen=True, kw_only=True):
    integration: Channel

    @property
    def stream_id(self) -> UUID:
        """The integration's stream."""
        return STREAMS[self.integration]


class ConfigureIntegration(_IntegrationCommand, frozen=True, kw_only=True):
    """Somebody says where messages go. Replaces what was configured before, as a whole."""

    preview: Preview
    sealed: Sealed


class ClearIntegration(_IntegrationCommand, frozen=True, kw_only=True):
    """Somebody takes the configuration away."""


class RecordIntegrationTest(_IntegrationCommand, frozen=True, kw_only=True):
    """A message was sent to try the configuration with this digest; `reason` says why it failed."""

    digest: str
    succeeded: bool
    reason: str | None = None


# -- events --------------------------------------------------------------------------------------


class IntegrationConfigured(Event, frozen=True, kw_only=True):
    """Messages go there from here on; whether they arrive is not known yet."""

    integration: Channel
    preview: Preview
    sealed: Sealed


class IntegrationCleared(Event, frozen=True, kw_only=True):
    """Messages go nowhere."""

    integration: Channel


class IntegrationTested(Event, frozen=True, kw_only=True):
    """A test message arrived, or did not and why. The configuration it tried is here for those
    who show it."""

    integration: Channel
    succeeded: bool
    reason: str | None = None
    preview: Preview
    sealed: Sealed


EVENTS: frozenset[type[Event]] = frozenset(
    {IntegrationConfigured, IntegrationCleared, IntegrationTested}
)

# -- state ---------------------------------------------------------------------------------------


class Integration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An integration as it stands. Nothing sealed: not configured; `succeeded` is how the last
    test of this configuration ended, and None before there was one."""

    preview: Preview = {}
    sealed: Sealed | None = None
    succeeded: bool | None = None
    reason: str | None = None
    tested_at: datetime | None = None

    @property
    def status(self) -> IntegrationStatus:
        """What to say of it."""
        if self.sealed is None:
            return "not_configured"
        if self.succeeded is None:
            return "configured"
        return "connected" if self.succeeded else "failing"


def evolve(state: Integration, recorded: Recorded[Event]) -> Integration:
    """Fold one event into the integration's state."""
    event = recorded.event
    match event:
        case IntegrationConfigured():
            return Integration(preview=event.preview, sealed=event.sealed)
        case IntegrationCleared():
            return Integration()
        case IntegrationTested():
            return msgspec.structs.replace(
                state,
                succeeded=event.succeeded,
                reason=event.reason,
                tested_at=recorded.recorded_at,
            )
    return state


# -- decisions -----------------------------------------------------------------------------------


def decide(state: Integration, command: Command) -> Sequence[Event]:
    """The events that follow from a command; none where nothing changes.

    Raises Conflict for a test of what is configured no more.
    """
    match command:
        case ConfigureIntegration():
            return _configure(state, command)
        case ClearIntegration():
            cleared = IntegrationCleared(integration=command.integration)
            return () if state.sealed is None else (cleared,)
        case RecordIntegrationTest():
            return _record_test(state, command)
    raise TypeError(f"an integration cannot decide {type(command).__name__}")


def _configure(state: Integration, command: ConfigureIntegration) -> Sequence[Event]:
    if state.sealed is not None and state.sealed.digest == command.sealed.digest:
        return ()
    return (
        IntegrationConfigured(
            integration=command.integration, preview=command.preview, sealed=command.sealed
        ),
    )


def _record_test(state: Integration, command: RecordIntegrationTest) -> Sequence[Event]:
    if state.sealed is None or state.sealed.digest != command.digest:
        raise Conflict("the configuration was changed while it was being tested; test it again")
    return (
        IntegrationTested(
            integration=command.integration,
            succeeded=command.succeeded,
            reason=command.reason,
            preview=state.preview,
            sealed=state.sealed,
        ),
    )


def channel(name: str) -> Channel:
    """The integration of this name. Raises NotFound."""
    for known in CHANNELS:
        if known == name:
            return known
    raise NotFound(f"no integration {name[:40]!r}; there are {', '.join(CHANNELS)}")


STREAMS: Mapping[Channel, UUID] = MappingProxyType(
    {name: derived_id("integration", name) for name in CHANNELS}
)

decider = Decider(
    kind="integration",
    state_type=Integration,
    state_schema=1,
    initial=Integration(),
    evolve=evolve,
    decide=decide,
)
