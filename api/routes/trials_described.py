"""What the routes that explain and try alert rules say of themselves."""

from __future__ import annotations

from typing import Any

from api.operations import AS_OF, Body, Operation, Parameter, Reply
from api.routes.alerts_described import FILTERED_RULE, RULE
from api.trial_schemas import ExplanationBody, PreviewBody, PreviewRequest
from domain.permissions import Permission

_RULE_ID = "0c5a4d5e-6a0f-4b7e-9d57-3f6f1f9b7c21"
_ERROR_ID = "0d9e4f0b-8a6b-5a3c-9d6e-0b1f4c2a7e11"

_EXPLANATION: dict[str, Any] = {
    "rule_id": _RULE_ID,
    "version": 1,
    "condition": RULE["condition"],
    "explained": "More than 50 occurrences within 5 minutes.",
    "at": "2025-08-29T12:30:00Z",
    "error_id": None,
    "since": "2025-08-29T12:00:00Z",
    "verdict": False,
    "words": "error_count is 3 in 5m; asked is error_count > 50: false.",
    "joined": None,
    "comparisons": [
        {
            "metric": "error_count",
            "operator": ">",
            "threshold": 50,
            "window": "5m",
            "window_start": "2025-08-29T12:25:00Z",
            "value": 3,
            "holds": False,
            "waits_until": None,
            "counted": 3,
            "positions": [141, 140, 127],
        }
    ],
    "firing_since": None,
    "last_triggered": None,
    "triggers": 0,
    "cooldown_until": None,
    "false_since": None,
    "recovers_at": None,
    "silenced": False,
}

EXPLAIN_RULE = Operation(
    summary="Explain an alert rule",
    tag="alerts",
    permission=Permission.READ,
    description=(
        "Why the rule was true or false at a moment: its version then, each comparison with its "
        "window, value and the positions of the newest 1,000 entries that counted, what fires, the "
        "cooldown and the silence. A rule with `per error` is explained for `error_id`; without "
        "it, the errors are named that have counted most. Windows are counted afresh from the log; "
        "what was triggered is what the log says was."
    ),
    parameters=(
        Parameter(
            "at",
            AS_OF.schema,
            "The moment: a time, or a position of the log; now by default.",
            142,
        ),
        Parameter(
            "error_id",
            {"type": "string", "format": "uuid"},
            "The error, for a rule that looks at each.",
            None,
        ),
    ),
    replies={
        200: Reply(
            "The rule at that moment.",
            ExplanationBody,
            example={
                "rule_id": _RULE_ID,
                "name": RULE["name"],
                "app": "default",
                "version": 1,
                "enabled": True,
                "condition": RULE["condition"],
                "condition_explained": "More than 50 occurrences within 5 minutes.",
                "position": 142,
                "at": "2025-08-29T12:30:00Z",
                "looked_at_from": 120,
                "explanation": _EXPLANATION,
                "errors": [],
            },
        )
    },
    failures=(400, 404, 503),
)

_TOTALS = {"triggers": 1, "reminders": 0, "recoveries": 1, "incidents": 0, "notifications": 2}
_NO_TOTALS = dict.fromkeys(_TOTALS, 0)
_TRIGGERED: dict[str, Any] = {
    "rule_version": 1,
    "severity": "medium",
    "condition": RULE["condition"],
    "explained": "More than 50 occurrences within 5 minutes.",
    "value": 51,
    "values": [51],
    "threshold": 50,
    "window": "5m",
    "at_least": False,
    "since": "2025-08-29T12:10:04Z",
    "first_position": 900,
    "last_position": 950,
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
            "at_least": False,
        }
    ],
    "firing_since": "2025-08-29T12:12:31Z",
    "elsewhere": False,
    "services": [],
    "latest_error_id": _ERROR_ID,
    "latest_message": "Payment refused",
}
_OUTCOME: dict[str, Any] = {
    "name": RULE["name"],
    "condition": RULE["condition"],
    "condition_explained": "More than 50 occurrences within 5 minutes.",
    "threshold": 50,
    "time_window": "5m",
    "cooldown": "5m",
    "totals": _TOTALS,
    "steps": [
        {
            "kind": "triggered",
            "at": "2025-08-29T12:12:31Z",
            "position": 950,
            "error_id": None,
            "triggered": _TRIGGERED,
            "notification": None,
        },
        {
            "kind": "notification",
            "at": "2025-08-29T12:12:31Z",
            "position": 950,
            "error_id": None,
            "triggered": None,
            "notification": {
                "channel": "email",
                "title": "[medium] Alert: High Error Rate",
                "text": "Alert: High Error Rate\n\nHow many: 51 occurrences within 5m (> 50)\n...",
                "alerts": 1,
            },
        },
    ],
    "more": 0,
    "series": [{"at": "2025-08-29T12:00:00Z", "value": 0, "at_least": False}],
}

PREVIEW_RULE = Operation(
    summary="Try an alert rule on the past",
    tag="alerts",
    permission=Permission.READ,
    description=(
        "What the rule would have done had it come into force at `since`: the same engine that "
        "decides live goes through the log, cooldown and digest included. Nothing is sent and "
        "nothing is stored. With the `id` of a stored rule the fields given are tried in the place "
        "of its own, and both outcomes are shown. A period holds at most 30 days and 1,000,000 "
        "events; two trials run at a time in a process."
    ),
    body=Body(
        PreviewRequest,
        {
            "rule": {
                **RULE,
                "since": "2025-08-29T00:00:00Z",
                "until": "2025-08-29T12:00:00Z",
            },
            "filtered": FILTERED_RULE,
            "stored": {"id": _RULE_ID, "threshold": 20},
        },
    ),
    replies={
        200: Reply(
            "What it would have done.",
            PreviewBody,
            example={
                "since": "2025-08-29T00:00:00Z",
                "until": "2025-08-29T12:00:00Z",
                "first_position": 1,
                "last_position": 1200,
                "preview": _OUTCOME,
                "stored": {
                    **_OUTCOME,
                    "threshold": 500,
                    "totals": _NO_TOTALS,
                    "steps": [],
                },
                "difference": _TOTALS,
            },
        )
    },
    failures=(400, 404, 413, 415, 503),
)
