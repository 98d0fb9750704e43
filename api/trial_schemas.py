"""The shapes of explained and tried rules, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from api.alert_schemas import (
    AppName,
    Channels,
    ConditionText,
    Cooldown,
    Threshold,
    TimeWindow,
    TriggerBody,
)
from api.schemas import ShortText, Time
from domain.vocabulary import Channel, Severity
from projections.alerting.explain import Explanation, Watched
from projections.alerting.replay import Bucket

Count = Annotated[int, Meta(ge=0)]


class ExplanationBody(msgspec.Struct, kw_only=True):
    """A rule at a moment of the log: `position` and `at` name it. The log was gone through after
    position `looked_at_from`. A rule on each error is explained for the error that is asked for;
    without one, `explanation` is null and `errors` are those that have counted most."""

    rule_id: UUID
    name: str
    app: str
    version: Annotated[int, Meta(ge=1)]
    enabled: bool
    condition: str
    condition_explained: str
    position: Count
    at: Time
    looked_at_from: Count
    explanation: Explanation | None
    errors: list[Watched]


class PreviewRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A rule to try, and a period: the last 24 hours unless told otherwise, 30 days at most. With
    the `id` of a stored rule, what is left out is as that one has it, and both are tried."""

    id: UUID | None = None
    since: Time | None = None
    until: Time | None = None
    name: ShortText | None = None
    condition: ConditionText | None = None
    threshold: Threshold = None
    time_window: TimeWindow = None
    notifications: Channels = None
    severity: Severity | None = None
    cooldown: Cooldown = None
    open_incident: bool | None = None
    app: AppName = None


class TrialMessageBody(msgspec.Struct, kw_only=True):
    """A message that would have been sent; `alerts` is how many it tells of: more than one make a
    digest."""

    channel: Channel
    title: str
    text: str
    alerts: Count


class StepBody(msgspec.Struct, kw_only=True):
    """Something that the rule would have done at the instant `at`, after the event at `position`.
    `triggered` and `notification` say more where the kind has more to say."""

    kind: Literal["triggered", "recovered", "incident_opened", "incident_resolved", "notification"]
    at: Time
    position: Count
    error_id: UUID | None = None
    triggered: TriggerBody | None = None
    notification: TrialMessageBody | None = None


class TotalsBody(msgspec.Struct, kw_only=True):
    """How often. `triggers` counts reminders too."""

    triggers: int
    reminders: int
    recoveries: int
    incidents: int
    notifications: int


class OutcomeBody(msgspec.Struct, kw_only=True):
    """What a rule would have done. `steps` holds the first 1,000 of all, `more` is how many were
    left out. `series` is the value of the first comparison over time: in each bucket the one
    nearest to the condition, null where nothing was known."""

    name: str
    condition: str
    condition_explained: str
    threshold: float | int
    time_window: str
    cooldown: str
    totals: TotalsBody
    steps: list[StepBody]
    more: Count
    series: list[Bucket]


class PreviewBody(msgspec.Struct, kw_only=True):
    """A rule tried on the past: positions `first_position` to `last_position`. `stored` is what the
    rule with the given id would have done, `difference` by how much the tried one differs."""

    since: Time
    until: Time
    first_position: Count
    last_position: Count
    preview: OutcomeBody
    stored: OutcomeBody | None
    difference: TotalsBody | None
