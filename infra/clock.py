"""The time of day, as something that can be replaced in tests."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Decisions never ask it: the time arrives in the command."""

    def now(self) -> datetime:
        """The present, with zone UTC."""
        ...


def utc_now() -> datetime:
    """The present by the system's clock, with zone UTC."""
    return datetime.now(UTC)


class SystemClock:
    """The system's clock. It may jump when it is set; durations need `time.monotonic`."""

    def now(self) -> datetime:
        """The present by the system's clock, with zone UTC."""
        return utc_now()
