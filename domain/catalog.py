"""The map of the domain: which command is decided where, and what each event is called in the log.

Read this first. Names are short constants and never change; classes may move as they like.
An event whose shape had to change in a way that old bytes cannot follow gets an upcaster here:
it turns the JSON object of version n into that of version n+1. `metadata` of an event names the
version it was written with, absent meaning 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from domain import api_key, app, error_group
from domain.decider import Decider
from domain.message import Command, Event

DECIDERS: Mapping[type[Command], Decider[Any]] = {
    error_group.ReportError: error_group.decider,
    error_group.ResolveError: error_group.decider,
    error_group.ReopenError: error_group.decider,
    error_group.DeleteError: error_group.decider,
    app.RegisterApp: app.decider,
    api_key.IssueApiKey: api_key.decider,
    api_key.RevokeApiKey: api_key.decider,
}

EVENTS: Mapping[str, type[Event]] = {
    "ErrorReported": error_group.ErrorReported,
    "ErrorResolved": error_group.ErrorResolved,
    "ErrorReopened": error_group.ErrorReopened,
    "ErrorRegressed": error_group.ErrorRegressed,
    "ErrorDeleted": error_group.ErrorDeleted,
    "AppRegistered": app.AppRegistered,
    "ApiKeyIssued": api_key.ApiKeyIssued,
    "ApiKeyRevoked": api_key.ApiKeyRevoked,
}

NAMES: Mapping[type[Event], str] = {event: name for name, event in EVENTS.items()}

KINDS: Mapping[str, Decider[Any]] = {decider.kind: decider for decider in DECIDERS.values()}

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: Mapping[str, tuple[Upcaster, ...]] = {}
"""Per event name, the steps from version 1 to 2, from 2 to 3, and so on."""


def event_version(name: str) -> int:
    """The version in which events of this name are written today."""
    return 1 + len(UPCASTERS.get(name, ()))
