"""The map of the domain: which command is decided where, and what each event is called in the log.

Read this first. Names are short constants and never change; classes may move as they like.
An event whose shape had to change in a way that old bytes cannot follow gets an upcaster here:
it turns the JSON object of version n into that of version n+1. `metadata` of an event names the
version it was written with, absent meaning 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from domain import (
    alert,
    alert_rule,
    api_key,
    app,
    check,
    delivery,
    error_group,
    incident,
    integration,
    member,
    service,
    source_maps,
)
from domain.decider import Decider
from domain.message import Command, Event

DECIDERS: Mapping[type[Command], Decider[Any]] = {
    error_group.ReportError: error_group.decider,
    error_group.ResolveError: error_group.decider,
    error_group.ReopenError: error_group.decider,
    error_group.DeleteError: error_group.decider,
    error_group.MuteError: error_group.decider,
    error_group.UnmuteError: error_group.decider,
    error_group.WakeError: error_group.decider,
    app.RegisterApp: app.decider,
    api_key.IssueApiKey: api_key.decider,
    api_key.RevokeApiKey: api_key.decider,
    api_key.ChangePersonalKey: api_key.decider,
    api_key.RevokePersonalKey: api_key.decider,
    member.InviteMember: member.decider,
    member.AcceptInvite: member.decider,
    member.ChangeRole: member.decider,
    member.RemoveMember: member.decider,
    integration.ConfigureIntegration: integration.decider,
    integration.ClearIntegration: integration.decider,
    integration.RecordIntegrationTest: integration.decider,
    alert_rule.CreateAlertRule: alert_rule.decider,
    alert_rule.ChangeAlertRule: alert_rule.decider,
    alert_rule.DeleteAlertRule: alert_rule.decider,
    alert_rule.SilenceAlertRule: alert_rule.decider,
    incident.OpenIncident: incident.decider,
    incident.ChangeIncident: incident.decider,
    check.CreateCheck: check.decider,
    check.ChangeCheck: check.decider,
    check.DeleteCheck: check.decider,
    service.NoteServiceUp: service.decider,
    service.NoteServiceDown: service.decider,
    service.StopWatching: service.decider,
    source_maps.UploadSourceMap: source_maps.decider,
    source_maps.DeleteSourceMaps: source_maps.decider,
    alert.TriggerAlert: alert.decider,
    alert.RecoverAlert: alert.decider,
    delivery.QueueNotification: delivery.decider,
    delivery.RecordSent: delivery.decider,
    delivery.RecordFailed: delivery.decider,
}

EVENTS: Mapping[str, type[Event]] = {
    "ErrorReported": error_group.ErrorReported,
    "ErrorResolved": error_group.ErrorResolved,
    "ErrorReopened": error_group.ErrorReopened,
    "ErrorRegressed": error_group.ErrorRegressed,
    "ErrorDeleted": error_group.ErrorDeleted,
    "ErrorMuted": error_group.ErrorMuted,
    "ErrorWoke": error_group.ErrorWoke,
    "AppRegistered": app.AppRegistered,
    "ApiKeyIssued": api_key.ApiKeyIssued,
    "ApiKeyRoleChanged": api_key.ApiKeyRoleChanged,
    "ApiKeyRevoked": api_key.ApiKeyRevoked,
    "MemberInvited": member.MemberInvited,
    "MemberJoined": member.MemberJoined,
    "MemberRoleChanged": member.MemberRoleChanged,
    "MemberRemoved": member.MemberRemoved,
    "IntegrationConfigured": integration.IntegrationConfigured,
    "IntegrationCleared": integration.IntegrationCleared,
    "IntegrationTested": integration.IntegrationTested,
    "AlertRuleCreated": alert_rule.AlertRuleCreated,
    "AlertRuleChanged": alert_rule.AlertRuleChanged,
    "AlertRuleDeleted": alert_rule.AlertRuleDeleted,
    "AlertRuleSilenced": alert_rule.AlertRuleSilenced,
    "IncidentOpened": incident.IncidentOpened,
    "IncidentChanged": incident.IncidentChanged,
    "CheckCreated": check.CheckCreated,
    "CheckChanged": check.CheckChanged,
    "CheckDeleted": check.CheckDeleted,
    "ServiceWatched": service.ServiceWatched,
    "ServiceWentDown": service.ServiceWentDown,
    "ServiceRecovered": service.ServiceRecovered,
    "ServiceUnwatched": service.ServiceUnwatched,
    "SourceMapUploaded": source_maps.SourceMapUploaded,
    "SourceMapsDeleted": source_maps.SourceMapsDeleted,
    "AlertTriggered": alert.AlertTriggered,
    "AlertRecovered": alert.AlertRecovered,
    "NotificationQueued": delivery.NotificationQueued,
    "NotificationSent": delivery.NotificationSent,
    "NotificationFailed": delivery.NotificationFailed,
}

NAMES: Mapping[type[Event], str] = {event: name for name, event in EVENTS.items()}

KINDS: Mapping[str, Decider[Any]] = {decider.kind: decider for decider in DECIDERS.values()}

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: Mapping[str, tuple[Upcaster, ...]] = {}
"""Per event name, the steps from version 1 to 2, from 2 to 3, and so on."""


def event_version(name: str) -> int:
    """The version in which events of this name are written today."""
    return 1 + len(UPCASTERS.get(name, ()))
