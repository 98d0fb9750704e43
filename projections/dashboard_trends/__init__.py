"""The read model of the dashboard's trends.

- `layout`: which Redis keys there are, and how exact numbers are
- `fold`: events in, one script with what they add and take out
- `script`: that script
- `queries`: what the API asks
"""

from projections.dashboard_trends.fold import DashboardTrends
from projections.dashboard_trends.layout import Granularity, bounds
from projections.dashboard_trends.queries import DashboardBucket, DashboardTrendQueries

__all__ = [
    "DashboardBucket",
    "DashboardTrendQueries",
    "DashboardTrends",
    "Granularity",
    "bounds",
]
