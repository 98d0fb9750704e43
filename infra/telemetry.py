"""What Errata tells about itself while it runs: logs and metrics."""

from infra.logs import configure_logging
from infra.metrics import Metrics

__all__ = ["Metrics", "configure_logging"]
