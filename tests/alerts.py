"""Alerts that many tests share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.alert import AlertFacts, Measured
from tests.projections.helpers import START


def facts(**changes: Any) -> AlertFacts:
    """More than 5 occurrences within 5 minutes, of the rule with id 1, with changes."""
    at = changes.get("at", START)
    fields = {
        "rule_id": UUID(int=1),
        "rule_version": 1,
        "rule_name": "Rule",
        "app": "default",
        "severity": "medium",
        "condition": "error_count > 5 in 5m",
        "explained": "More than 5 occurrences within 5 minutes.",
        "at": at,
        "value": 6,
        "values": (6,),
        "threshold": 5,
        "window": "5m",
        "measured": (
            Measured(metric="error_count", value=6, operator=">", threshold=5, window="5m"),
        ),
        "since": at - timedelta(minutes=1),
        "first_position": 1,
        "last_position": 6,
    }
    return AlertFacts(**(fields | changes))
