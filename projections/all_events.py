"""All events there are, by aggregate, so that read models can say which they leave aside.

A read model names the aggregates that it looks at: `ignores = ALL_EVENTS - check.EVENTS`. Of those
it folds each event, or ignores it by its name. The events of all others it ignores because their
aggregates stand here. What stands nowhere, nobody ignores: every read model stops at it, and a test
finds that first.
"""

from __future__ import annotations

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
from domain.message import Event

ALL_EVENTS: frozenset[type[Event]] = (
    error_group.EVENTS
    | app.EVENTS
    | api_key.EVENTS
    | member.EVENTS
    | integration.EVENTS
    | alert_rule.EVENTS
    | alert.EVENTS
    | delivery.EVENTS
    | incident.EVENTS
    | check.EVENTS
    | service.EVENTS
    | source_maps.EVENTS
)
