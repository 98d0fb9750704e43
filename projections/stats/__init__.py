"""The read model of numbers: statistics, and trends over time, both from the same counts.

- `layout`: which Redis keys there are, and how occurrences and resolutions become slots
- `fold`: events in, one script with what they add and take out
- `script`: that script
- `periods`: periods of time and the buckets they are cut into
- `queries`: what the API asks
"""

from projections.stats.fold import Stats
from projections.stats.periods import BUCKETS, PERIODS, Bucket, Period, ending, fits
from projections.stats.queries import Numbers, StatsQueries, Trend, TrendPoint

__all__ = [
    "BUCKETS",
    "PERIODS",
    "Bucket",
    "Numbers",
    "Period",
    "Stats",
    "StatsQueries",
    "Trend",
    "TrendPoint",
    "ending",
    "fits",
]
