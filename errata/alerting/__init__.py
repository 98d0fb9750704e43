"""Alerting: the part of the leading scheduler that follows the log, decides and tells people."""

from errata.alerting.running import Surroundings, run_alerting

__all__ = ["Surroundings", "run_alerting"]
