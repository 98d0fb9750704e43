"""What the routes of /api/alerts/rules say of themselves."""

from __future__ import annotations

from typing import Any

from api.alert_schemas import AlertRuleBody, AlertRuleChange, AlertRuleListBody, AlertRuleRequest
from api.directory import OFFSET
from api.operations import CURSOR, LIMIT, MIN_POSITION, Body, Operation, Reply, choice, text
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
