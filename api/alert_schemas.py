"""The shapes of alert rules and incidents, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from api.schemas import NOT_BLANK, ShortText, Time
from domain.condition import MAX_THRESHOLD, WINDOW_FORMS, Metric, Operator
from domain.condition_parser import MAX_CONDITION
from domain.incident import MAX_DESCRIPTION, Status
from domain.vocabulary import Channel, Severity
from projections.directory.incidents import TimelineEntry

ConditionText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_CONDITION,
        pattern=NOT_BLANK,
        description="What to watch, such as `error_count > 50 in 5 minutes`.",
    ),
]
Threshold = Annotated[
    Annotated[float, Meta(ge=0, le=MAX_THRESHOLD)] | None,
    Meta(description="What `threshold` stands for. Absent: the number in the condition."),
]
TimeWindow = Annotated[
    str | None,
    Meta(
        description=f"What `time_window` stands for: {WINDOW_FORMS}. Absent: the condition's own."
    ),
]
Cooldown = Annotated[
    str | None,
    Meta(description="How long to stay silent after an alert. Absent or null: the time window."),
]
Channels = Annotated[
    Annotated[list[Channel], Meta(extra_json_schema={"uniqueItems": True})] | None,
    Meta(description="Whom to tell, each channel once. Absent: nobody."),
]
AppName = Annotated[
    Annotated[str, Meta(min_length=1, max_length=100)] | None,
    Meta(description='The application, or "*" for all, for keys that may act on several.'),
]
Description = Annotated[str, Meta(max_length=MAX_DESCRIPTION)]


class AlertRuleRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A new rule. Unknown fields are ignored; null is the same as absent."""

    name: ShortText
    condition: ConditionText
    threshold: Threshold = None
    time_window: TimeWindow = None
    enabled: bool | None = None
    notifications: Channels = None
    severity: Severity | None = None
    cooldown: Cooldown = None
    open_incident: bool | None = None
    app: AppName = None


class AlertRuleChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What shall differ. What is absent, or null, stays; only a null `cooldown` goes back to
    being the time window."""

    name: ShortText | None = None
    condition: ConditionText | None = None
    threshold: Threshold = None
    time_window: TimeWindow = None
    enabled: bool | None = None
    notifications: Channels = None
    severity: Severity | None = None
    cooldown: Cooldown = None
    open_incident: bool | None = None
    app: AppName = None


class SilenceRequest(msgspec.Struct, kw_only=True):
    """Until when a rule shall send nothing: a time that lies in the future, or null to end the
    silence."""

    until: Time | None


class AlertRuleBody(msgspec.Struct, kw_only=True):
    """A rule. `condition_explained` is the condition as it was understood; `last_triggered` is null
    until it triggers; `firing` is how many of its alerts fire now: more than one under `per error`
    only; `silenced_until` is the end of its silence, which may lie in the past; `version` counts
    the changes from 1. In the answer to a write `last_triggered` and `firing` are null while Redis
    is away."""

    id: UUID
    name: str
    condition: str
    condition_explained: str
    threshold: float | int
    time_window: str
    enabled: bool
    notifications: tuple[Channel, ...]
    severity: Severity
    cooldown: str
    open_incident: bool
    app: str
    last_triggered: Time | None
    firing: Annotated[int, Meta(ge=0)] | None
    silenced_until: Time | None
    version: Annotated[int, Meta(ge=1)]
    created_at: Time
    updated_at: Time


class MeasuredBody(msgspec.Struct, kw_only=True):
    """One comparison of a condition with the value it found; `at_least`: more was there than was
    kept count of."""

    metric: Metric
    value: float | int
    operator: Operator
    threshold: float | int
    window: str
    at_least: bool


class TriggerBody(msgspec.Struct, kw_only=True):
    """Why an alert was triggered. `value` is that of the condition's first comparison, `values`
    are those of all; `at_least`: more was there than was kept count of. `since` is when the oldest
    entry that counted was recorded; the positions are those of the oldest and the newest.
    `reminder`: it was firing already. `silenced`: nobody was told. `measured` are all comparisons.
    `elsewhere`: not all that counted came from `environment` and `source`, which are the newest
    one's. `services` names up to five that were down; `latest_error_id` and `latest_message` are
    of the newest that counted, where the alert is not about one error. Alerts of earlier versions
    leave these empty, and `firing_since`, when the first trigger of this firing was, null."""

    rule_version: int
    severity: Severity
    condition: str
    explained: str
    value: float | int
    values: tuple[float | int, ...]
    threshold: float | int
    window: str
    at_least: bool
    since: Time
    first_position: int
    last_position: int
    error_message: str | None
    environment: str | None
    source: str | None
    silenced: bool
    reminder: bool
    incident_id: UUID | None
    measured: list[MeasuredBody]
    firing_since: Time | None
    elsewhere: bool
    services: tuple[str, ...]
    latest_error_id: UUID | None
    latest_message: str | None


class RecoveryBody(msgspec.Struct, kw_only=True):
    """How an alert ended, when it began (`triggered_at`), and how often it triggered meanwhile."""

    reason: str
    triggered_at: Time
    triggers: Annotated[int, Meta(ge=1)]
    silenced: bool
    incident_id: UUID | None


class AttemptBody(msgspec.Struct, kw_only=True):
    """One attempt to send a message. A failed one says why, and when the next will be made; null:
    never, it is given up."""

    attempt: int
    at: Time
    succeeded: bool
    reason: str | None
    next_attempt_at: Time | None


class NotificationBody(msgspec.Struct, kw_only=True):
    """A message on its way, and what became of it. Its `id` is the key by which receivers know a
    repetition; `alerts` is how many it tells of: more than one make a digest. One that had to wait
    with others may go out in another, `summed_up_by`."""

    id: UUID
    channel: Channel
    status: Literal["queued", "retrying", "sent", "given_up", "summed_up"]
    title: str
    text: str
    alerts: Annotated[int, Meta(ge=0)]
    attempts: list[AttemptBody]
    summed_up_by: UUID | None


class HistoryEntryBody(msgspec.Struct, kw_only=True):
    """One thing that a rule has done: of `triggered`, `recovered` and `notification` the one that
    `kind` names is there. `at` is the instant that it follows from, by recorded time;
    `recorded_at` is when it was stored, at `position`."""

    kind: Literal["triggered", "recovered", "notification"]
    position: Annotated[int, Meta(ge=1)]
    at: Time
    recorded_at: Time
    error_id: UUID | None
    triggered: TriggerBody | None
    recovered: RecoveryBody | None
    notification: NotificationBody | None


class AlertHistoryBody(msgspec.Struct, kw_only=True):
    """A page of what a rule has done, newest first; `next_cursor` is null at the end."""

    history: list[HistoryEntryBody]
    limit: int
    next_cursor: str | None


class AlertRuleListBody(msgspec.Struct, kw_only=True):
    """A page of rules, oldest first."""

    rules: list[AlertRuleBody]
    total: Annotated[int, Meta(ge=0)]
    page: Annotated[int, Meta(ge=1)]
    limit: int
    offset: int
    next_cursor: str | None


class IncidentRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A new incident; it is open. Unknown fields are ignored; null is the same as absent."""

    title: ShortText
    severity: Severity | None = None
    description: Description | None = None
    assigned_to: Annotated[UUID | None, Meta(description="A member's id.")] = None
    app: AppName = None


class IncidentChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What shall differ; what is absent stays. Null takes the description or the assignee away."""

    title: ShortText | None = None
    severity: Severity | None = None
    status: Status | None = None
    description: Description | None = None
    assigned_to: Annotated[UUID | None, Meta(description="A member's id.")] = None


class IncidentBody(msgspec.Struct, kw_only=True):
    """An incident. `assigned_to` is a member's id, `rule_id` that of the alert rule that opened it;
    `version` counts the changes from 1."""

    id: UUID
    title: str
    severity: Severity
    status: Status
    description: str | None
    assigned_to: UUID | None
    rule_id: UUID | None
    app: str
    version: Annotated[int, Meta(ge=1)]
    created_at: Time
    updated_at: Time


class IncidentDetailBody(IncidentBody, kw_only=True):
    """An incident with all that happened to it, oldest first."""

    timeline: list[TimelineEntry]


class IncidentListBody(msgspec.Struct, kw_only=True):
    """A page of incidents, newest first."""

    incidents: list[IncidentBody]
    total: Annotated[int, Meta(ge=0)]
    page: Annotated[int, Meta(ge=1)]
    limit: int
    offset: int
    next_cursor: str | None
