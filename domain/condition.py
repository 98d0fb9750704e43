"""The condition of an alert rule, understood: what is counted, over which time, and the limit.

Text becomes a condition in `domain.condition_parser`, where the grammar stands. A condition is
complete: the names `threshold` and `time_window` have given way to the rule's own values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

import msgspec

from domain.vocabulary import Level

Metric = Literal[
    "error_count",
    "critical_count",
    "warning_count",
    "new_errors",
    "regressions",
    "affected_users",
    "error_rate",
    "resolved_count",
    "service_down",
]
Operator = Literal[">", ">=", "<", "<=", "==", "!="]
Field = Literal["level", "source", "environment", "app", "message", "code", "fingerprint"]
Unit = Literal["m", "h", "d"]
Number = int | float

METRICS: tuple[Metric, ...] = get_args(Metric)
OPERATORS: tuple[Operator, ...] = get_args(Operator)
FIELDS: tuple[Field, ...] = get_args(Field)
LEVELS: tuple[str, ...] = get_args(Level)

MAX_THRESHOLD = 1_000_000_000_000
SHORTEST, LONGEST = 60, 30 * 86_400
"""Seconds: the bounds of a window."""
WINDOW_FORMS = "1 minute to 30 days, written as 5m, 1h, 30d or '5 minutes'"

_SECONDS: Mapping[Unit, int] = MappingProxyType({"m": 60, "h": 3_600, "d": 86_400})
_UNIT_WORDS: Mapping[Unit, str] = MappingProxyType({"m": "minute", "h": "hour", "d": "day"})
UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        **{unit: unit for unit in _SECONDS},
        **{word: unit for unit, word in _UNIT_WORDS.items()},
        **{f"{word}s": unit for unit, word in _UNIT_WORDS.items()},
        "min": "m",
        "mins": "m",
    }
)
"""Every way to write a unit of time, in lower case."""

_WINDOW = re.compile(r"([0-9]{1,6})\s*([A-Za-z]+)")
_BARE_WORD = re.compile(r"[\w./:@#-]+")


class Window(msgspec.Struct, frozen=True):
    """A span of time, in the unit in which somebody wrote it."""

    amount: int
    unit: Unit

    @property
    def seconds(self) -> int:
        """Its length."""
        return self.amount * _SECONDS[self.unit]

    @property
    def text(self) -> str:
        """Its short form, such as "5m"."""
        return f"{self.amount}{self.unit}"

    @property
    def words(self) -> str:
        """Its long form, such as "5 minutes"."""
        return f"{self.amount} {_UNIT_WORDS[self.unit]}{'' if self.amount == 1 else 's'}"


class Filter(msgspec.Struct, frozen=True):
    """What counts: where the field is one of the values; `message`, where it contains the value."""

    field: Field
    values: tuple[str, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over the last `window`, of what passes all filters, against a number."""

    metric: Metric
    operator: Operator
    threshold: Number
    window: Window
    where: tuple[Filter, ...] = ()


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison, or two that are `joined`; `per_error` evaluates them for each error."""

    comparisons: tuple[Comparison, ...]
    joined: Literal["and", "or"] | None = None
    per_error: bool = False


def parse_window(text: str) -> Window:
    """The window that "5m", "1h", "30d" or "5 minutes" names.

    Raises ValueError for another form, and for less than a minute or more than 30 days."""
    match = _WINDOW.fullmatch(text.strip())
    unit = UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise ValueError(f"not a time: {text[:40]!r}")
    return window_of(int(match[1]), unit)


def window_of(amount: int, unit: Unit) -> Window:
    """A window. Raises ValueError for less than a minute or more than 30 days."""
    window = Window(amount, unit)
    if not SHORTEST <= window.seconds <= LONGEST:
        raise ValueError(f"not within 1 minute and 30 days: {window.text}")
    return window


def plain(number: Number) -> Number:
    """A number as people write it: without a fraction where it has none."""
    return int(number) if number == int(number) else number


# -- in words ------------------------------------------------------------------------------------

_NOUNS: Mapping[Metric, tuple[str, str]] = MappingProxyType(
    {
        "error_count": ("occurrence", "occurrences"),
        "critical_count": ("occurrence of level error", "occurrences of level error"),
        "warning_count": ("occurrence of level warning", "occurrences of level warning"),
        "new_errors": ("new error", "new errors"),
        "regressions": ("resolved error that came back", "resolved errors that came back"),
        "affected_users": ("affected user", "affected users"),
        "error_rate": ("occurrence a minute", "occurrences a minute"),
        "resolved_count": ("error resolved", "errors resolved"),
        "service_down": ("service down", "services down"),
    }
)

_QUANTITIES: Mapping[Operator, str] = MappingProxyType(
    {
        ">": "more than",
        ">=": "at least",
        "<": "fewer than",
        "<=": "at most",
        "==": "exactly",
        "!=": "any number but",
    }
)

_FILTER_WORDS: Mapping[Field, str] = MappingProxyType(
    {
        "level": "of level",
        "source": "from source",
        "environment": "in environment",
        "app": "of application",
        "message": "whose message contains",
        "code": "with code",
        "fingerprint": "with fingerprint",
    }
)


def explain(condition: Condition) -> str:
    """A condition as a sentence: "More than 50 occurrences within 5 minutes."."""
    sentence = f" {condition.joined} ".join(map(_comparison, condition.comparisons))
    if condition.per_error:
        sentence += ", counted for each error on its own"
    return f"{sentence[0].upper()}{sentence[1:]}."


def amount(metric: Metric, value: Number) -> str:
    """So much of what a metric counts: "4 affected users"."""
    singular, plural = _NOUNS[metric]
    return f"{value} {singular if value == 1 else plural}"


def _comparison(comparison: Comparison) -> str:
    singular, plural = _NOUNS[comparison.metric]
    noun = singular if comparison.threshold == 1 else plural
    filters = [_filter(one) for one in comparison.where]
    quantity = f"{_QUANTITIES[comparison.operator]} {comparison.threshold}"
    return " ".join([quantity, noun, *filters, "within", comparison.window.words])


def _filter(one: Filter) -> str:
    bare = one.field != "message"
    values = [v if bare and _BARE_WORD.fullmatch(v) else _quoted(v) for v in one.values]
    return f"{_FILTER_WORDS[one.field]} {' or '.join(values)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
