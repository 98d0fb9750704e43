"""Alerts: what the rules have to say of the log, and what has to be done about it."""

from projections.alerting.acting import Action
from projections.alerting.manager import Alerting

__all__ = ["Action", "Alerting"]
