"""Times as text: RFC 3339 in UTC, and nothing else."""

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,18})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def rfc3339(moment: datetime) -> str:
    """`moment` in UTC with `Z`, with microseconds only where it has some.

    Raises ValueError for a naive time: its zone would be a guess.
    """
    if moment.utcoffset() is None:
        raise ValueError(f"time without zone: {moment.isoformat()}")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def milliseconds(moment: datetime) -> str:
    """`moment`, an aware time, in UTC with `Z` and three decimals, the rest cut off."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The time that `text` names, in UTC; digits beyond the microsecond are cut off.

    Raises ValueError for anything but a full RFC 3339 date and time with its zone.
    """
    problem = f"not an RFC 3339 time with zone, such as 2026-01-31T12:00:00Z: {text[:40]!r}"
    if not _RFC3339.fullmatch(text):
        raise ValueError(problem)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(problem) from error
