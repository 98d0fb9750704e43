"""The map is complete: every command is decided, every event has a name that never changes."""

from __future__ import annotations

from domain import catalog
from domain.message import Command, Event
from projections.registry import READ_MODELS

NAMES_FOR_EVER = {
    "ErrorReported",
    "ErrorResolved",
    "ErrorReopened",
    "ErrorRegressed",
    "ErrorDeleted",
    "AppRegistered",
    "ApiKeyIssued",
    "ApiKeyRevoked",
    "ApiKeyRoleChanged",
    "MemberInvited",
    "MemberJoined",
    "MemberRoleChanged",
    "MemberRemoved",
    "IntegrationConfigured",
    "IntegrationCleared",
    "IntegrationTested",
    "AlertRuleCreated",
    "AlertRuleChanged",
    "AlertRuleDeleted",
    "IncidentOpened",
    "IncidentChanged",
    "CheckCreated",
    "CheckChanged",
    "CheckDeleted",
    "ServiceWatched",
    "ServiceWentDown",
    "ServiceRecovered",
    "ServiceUnwatched",
    "SourceMapUploaded",
    "SourceMapsDeleted",
    "AlertTriggered",
    "AlertRuleSilenced",
    "ErrorMuted",
    "ErrorWoke",
    "AlertRecovered",
    "NotificationQueued",
    "NotificationSent",
    "NotificationFailed",
}


def _leaves(base: type) -> set[type]:
    """All classes below `base` that are not themselves a base with a leading underscore."""
    found = set()
    for child in base.__subclasses__():
        found |= _leaves(child)
        if child.__module__.startswith("domain.") and not child.__name__.startswith("_"):
            found.add(child)
    return found


def test_every_event_has_a_name_in_the_log() -> None:
    assert set(catalog.EVENTS.values()) == _leaves(Event)


def test_every_command_has_a_decider() -> None:
    assert set(catalog.DECIDERS) == _leaves(Command)


def test_no_name_that_was_ever_written_is_gone() -> None:
    assert set(catalog.EVENTS) >= NAMES_FOR_EVER


def test_every_read_model_folds_or_ignores_every_event_by_name() -> None:
    for model in READ_MODELS:
        assert model.folds | model.ignores == set(catalog.EVENTS.values()), model.name
        assert not model.folds & model.ignores, model.name
