"""What the routes of /api/alerts/rules say of themselves."""

from __future__ import annotations

from typing import Any

from api.alert_schemas import (
    AlertHistoryBody,
    AlertRuleBody,
    AlertRuleChange,
    AlertRuleListBody,
    AlertRuleRequest,
    SilenceRequest,
)
from api.directory import OFFSET
from api.operations import CURSOR, LIMIT, MIN_POSITION, AsOf, Body, Operation, Reply, choice, text
from api.versions import IF_MATCH
from domain.permissions import Permission

_LANGUAGE = (
    "A condition is `metric operator number in time`, such as `error_count > 50 in 5 minutes`; "
    "`threshold` and `time_window` may stand for the rule's own values. Metrics: error_count, "
    "critical_count, warning_count, new_errors, regressions, affected_users, error_rate (a "
    "minute), resolved_count, service_down. Operators: > >= < <= == !=. Then, if wanted, "
    '`where level = error and environment in (production, staging) and message contains "..."` '
    "(also source, app, code, fingerprint), one `and` or `or` with a second comparison, and "
    "`per error`. A wrong one is 400 with the position (the first character is 1), what was "
    "expected there and what was found."
)

RULE: dict[str, Any] = {
    "name": "High Error Rate",
    "condition": "error_count > threshold in time_window",
    "threshold": 50,
    "time_window": "5m",
    "notifications": ["email", "slack"],
    "enabled": True,
}

FILTERED_RULE: dict[str, Any] = {
    "name": "Payments fail",
    "condition": 'error_count >= 5 in 10m where level = error and message contains "payment"',
    "notifications": ["webhook"],
    "severity": "critical",
    "cooldown": "1h",
    "open_incident": True,
}

RULE_ANSWER: dict[str, Any] = {
    "id": "0c5a4d5e-6a0f-4b7e-9d57-3f6f1f9b7c21",
    **RULE,
    "condition_explained": "More than 50 occurrences within 5 minutes.",
    "severity": "medium",
    "cooldown": "5m",
    "open_incident": False,
    "app": "default",
    "last_triggered": None,
    "firing": 0,
    "silenced_until": None,
    "version": 1,
    "created_at": "2025-08-29T12:00:00Z",
    "updated_at": "2025-08-29T12:00:00Z",
}

LIST_RULES = Operation(
    summary="List alert rules",
    tag="alerts",
    permission=Permission.READ,
    description="Oldest first.",
    parameters=(
        LIMIT,
        OFFSET,
        CURSOR,
        choice("enabled", ("true", "false"), "Only those switched on, or off.", "true"),
        text("app", 'The rules of one application; "*": those for all.', "default"),
        MIN_POSITION,
    ),
    replies={
        200: Reply(
            "A page of rules.",
            AlertRuleListBody,
            example={
                "rules": [RULE_ANSWER],
                "total": 1,
                "page": 1,
                "limit": 50,
                "offset": 0,
                "next_cursor": None,
            },
        )
    },
    failures=(400, 503),
    as_of=AsOf(("alert_rules",)),
)

CREATE_RULE = Operation(
    summary="Create an alert rule",
    tag="alerts",
    permission=Permission.WRITE,
    description=_LANGUAGE,
    parameters=(text("app", "The application, unless the body names it.", None),),
    body=Body(AlertRuleRequest, {"rule": RULE, "filtered": FILTERED_RULE}),
    replies={201: Reply("The rule.", AlertRuleBody, example=RULE_ANSWER, position=True)},
    failures=(400, 413, 415, 503),
)

GET_RULE = Operation(
    summary="Get one alert rule",
    tag="alerts",
    permission=Permission.READ,
    parameters=(MIN_POSITION,),
    replies={200: Reply("The rule.", AlertRuleBody, example=RULE_ANSWER)},
    failures=(400, 404, 503),
    as_of=AsOf(("alert_rules",)),
)

CHANGE_RULE = Operation(
    summary="Change an alert rule",
    tag="alerts",
    permission=Permission.WRITE,
    description=(
        "Changes what is given and leaves the rest. Where the condition holds its own number and "
        "time, `threshold` and `time_window` follow it. A change to what is so already is no event."
    ),
    parameters=(IF_MATCH,),
    body=Body(AlertRuleChange, {"all": RULE, "switch off": {"enabled": False}}),
    replies={
        200: Reply(
            "The rule after the change.",
            AlertRuleBody,
            example={**RULE_ANSWER, "enabled": False, "version": 2},
            position=True,
        )
    },
    failures=(400, 404, 409, 413, 415, 503),
)

DELETE_RULE = Operation(
    summary="Delete an alert rule",
    tag="alerts",
    permission=Permission.WRITE,
    parameters=(IF_MATCH,),
    replies={204: Reply("It is gone.", position=True)},
    failures=(400, 404, 409, 503),
)

SILENCE_RULE = Operation(
    summary="Silence an alert rule",
    tag="alerts",
    permission=Permission.WRITE,
    description=(
        "Until the time given, the rule's alerts are still recorded, and neither send messages nor "
        "open incidents; null ends that. What the rule says, and so its version, stays."
    ),
    parameters=(IF_MATCH,),
    body=Body(SilenceRequest, {"until": {"until": "2099-01-01T00:00:00Z"}, "end": {"until": None}}),
    replies={
        200: Reply(
            "The rule.",
            AlertRuleBody,
            example={**RULE_ANSWER, "silenced_until": "2099-01-01T00:00:00Z"},
            position=True,
        )
    },
    failures=(400, 404, 409, 413, 415, 503),
)

_TRIGGERED: dict[str, Any] = {
    "kind": "triggered",
    "position": 4711,
    "at": "2025-08-29T12:30:00.25Z",
    "recorded_at": "2025-08-29T12:30:01Z",
    "error_id": None,
    "triggered": {
        "rule_version": 1,
        "severity": "medium",
        "condition": RULE["condition"],
        "explained": "More than 50 occurrences within 5 minutes.",
        "value": 51,
        "values": [51],
        "threshold": 50,
        "window": "5m",
        "at_least": True,
        "since": "2025-08-29T12:26:10Z",
        "first_position": 4655,
        "last_position": 4709,
        "error_message": None,
        "environment": "production",
        "source": "backend",
        "silenced": False,
        "reminder": False,
        "incident_id": None,
        "measured": [
            {
                "metric": "error_count",
                "value": 51,
                "operator": ">",
                "threshold": 50,
                "window": "5m",
                "at_least": True,
            }
        ],
        "firing_since": "2025-08-29T12:30:00.25Z",
        "elsewhere": False,
        "services": [],
        "latest_error_id": "0d9e4f0b-8a6b-5a3c-9d6e-0b1f4c2a7e11",
        "latest_message": "Payment refused",
    },
    "recovered": None,
    "notification": None,
}

_NOTIFICATION: dict[str, Any] = {
    "kind": "notification",
    "position": 4712,
    "at": "2025-08-29T12:30:00.25Z",
    "recorded_at": "2025-08-29T12:30:01Z",
    "error_id": None,
    "triggered": None,
    "recovered": None,
    "notification": {
        "id": "b4b7d1a6-3c0e-5f0b-9c64-6a5a1e8b2f10",
        "channel": "slack",
        "status": "retrying",
        "title": "[medium] Alert: High Error Rate",
        "text": "Alert: High Error Rate\n\nHow many: 51 occurrences within 5m (> 50)\n...",
        "alerts": 1,
        "attempts": [
            {
                "attempt": 1,
                "at": "2025-08-29T12:30:11Z",
                "succeeded": False,
                "reason": "no answer within 10 s",
                "next_attempt_at": "2025-08-29T12:30:16Z",
            }
        ],
        "summed_up_by": None,
    },
}

GET_HISTORY = Operation(
    summary="What an alert rule has done",
    tag="alerts",
    permission=Permission.READ,
    description=(
        "Its triggers, recoveries and notifications with every attempt to send them, newest first. "
        "A rule keeps its newest 1,000, and so do the 100 rules that were deleted last; what was "
        "done to the rule itself is under `changes`."
    ),
    parameters=(LIMIT, CURSOR, MIN_POSITION),
    replies={
        200: Reply(
            "A page of its history.",
            AlertHistoryBody,
            example={"history": [_NOTIFICATION, _TRIGGERED], "limit": 50, "next_cursor": None},
        )
    },
    failures=(400, 404, 503),
    as_of=AsOf(("alert_rules", "alert_history")),
)
