"""Recorded times as whole microseconds since 1970, for what is compared millions of times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SECOND = 1_000_000


def micros(moment: datetime) -> int:
    """An aware time as microseconds since 1970 UTC."""
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * SECOND + passed.microseconds


def moment(instant: int) -> datetime:
    """The time, in UTC, of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=instant)
