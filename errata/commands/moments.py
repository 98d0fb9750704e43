"""Moments as options and arguments name them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import rich_click as click

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TIMES = "2025-08-29T12:00:00Z, 2025-08-29, now, 24h (so long ago)"


class MomentType(click.ParamType[int | datetime]):
    """A time (RFC 3339; without an offset it is UTC), how long ago, or a position of the log."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | datetime:
        """The moment that a text names."""
        text = str(value).strip()
        if isinstance(value, int) or (text.isdecimal() and len(text) < 19):
            return int(text)
        found = _time(value)
        if found is None:
            problem = f"{text!r} is no moment: give {_TIMES}, or a position of the log"
            self.fail(problem, param, ctx)
        return found


class TimeType(click.ParamType[datetime]):
    """A time, or how long ago."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time that a text names."""
        found = _time(value)
        if found is None:
            self.fail(f"{value!r} is no time: give {_TIMES}", param, ctx)
        return found


MOMENT = MomentType()
TIME = TimeType()


def _time(value: Any) -> datetime | None:
    """The time that a text names; None for one that names none."""
    if isinstance(value, datetime):
        return value
    text = str(value).strip()
    if text == "now":
        return datetime.now(UTC)
    try:
        if ago := _AGO.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
