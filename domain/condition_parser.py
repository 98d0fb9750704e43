"""From the text of a condition to what it says: tokens, then recursive descent.

    condition  = comparison [ ( "and" | "or" ) comparison ] [ "per" "error" ]
    comparison = metric operator value "in" time [ "where" filter { "and" filter } ]
    value      = number | "threshold"
    time       = number unit | "time_window"
    filter     = "message" "contains" word
               | field ( "=" word | "in" "(" word { "," word } ")" )

A word is a run of characters without blanks, brackets, commas, quotes and operators, or text in
double quotes with \\" and \\\\ inside. Metrics, keywords and units may be written in any case. An
`and` behind a filter goes on with the filters where a field follows it, and with the second
comparison where a metric does.

Rules in the log keep their text, so the grammar may only ever grow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple, NoReturn, cast

import msgspec

from domain.condition import (
    FIELDS,
    LEVELS,
    MAX_THRESHOLD,
    METRICS,
    OPERATORS,
    UNITS,
    WINDOW_FORMS,
    Comparison,
    Condition,
    Field,
    Filter,
    Metric,
    Number,
    Operator,
    Window,
    plain,
    window_of,
)
from domain.failures import Invalid

MAX_CONDITION = 1_000
"""Characters."""
NUMBERS = f"a number from 0 to {MAX_THRESHOLD} with at most 4 decimal places"

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\["\\])*")
      | (?P<sign>>=|<=|==|!=|[<>=(),])
      | (?P<word>[^\s()",<>=!]+)
      | (?P<stray>\S)
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,4})?")
_LIKE_A_NUMBER = re.compile(r"[-+]?\.?[0-9]")
_AMOUNT = re.compile(r"([0-9]{1,6})([A-Za-z]*)")
_ESCAPED = re.compile(r"\\(.)")


class WrittenComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison as written: None stands where it says `threshold` or `time_window`. `where_at`
    are the places of the filters in the text, from 1."""

    metric: Metric
    operator: Operator
    threshold: Number | None
    window: Window | None
    where: tuple[Filter, ...]
    where_at: tuple[int, ...] = ()


class WrittenCondition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition as written; what it names, the rule has to give."""

    comparisons: tuple[WrittenComparison, ...]
    joined: Literal["and", "or"] | None
    per_error: bool

    @property
    def names_threshold(self) -> bool:
        """Whether it says `threshold` somewhere."""
        return any(one.threshold is None for one in self.comparisons)

    @property
    def names_window(self) -> bool:
        """Whether it says `time_window` somewhere."""
        return any(one.window is None for one in self.comparisons)

    def completed(self, threshold: Number, window: Window) -> Condition:
        """The condition with these in the place of the names."""
        return Condition(
            comparisons=tuple(
                Comparison(
                    metric=one.metric,
                    operator=one.operator,
                    threshold=threshold if one.threshold is None else one.threshold,
                    window=one.window or window,
                    where=one.where,
                )
                for one in self.comparisons
            ),
            joined=self.joined,
            per_error=self.per_error,
        )


@lru_cache(maxsize=1024)
def parse(text: str) -> WrittenCondition:
    """What a text says; remembered, for lists of rules explain each of them in every answer.

    Raises Invalid("condition", ...) with the position (the first character is 1), what was
    expected there and what was found."""
    if len(text) > MAX_CONDITION:
        raise Invalid("condition", f"must have at most {MAX_CONDITION} characters")
    return _Parser(_tokens(text)).condition()


class _Token(NamedTuple):
    kind: str
    text: str
    position: int

    @property
    def shown(self) -> str:
        """How a message names it."""
        if self.kind == "end":
            return "the end"
        if self.text == '"':
            return "a quote that is not closed"
        return self.text if self.kind == "quoted" else f"'{self.text}'"


def _tokens(text: str) -> list[_Token]:
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        assert kind is not None
        tokens.append(_Token(kind, match[kind], match.start(kind) + 1))
        if kind in ("stray", "end"):
            break
    return tokens


class _Parser:
    """One method for each rule of the grammar."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._index = 0

    def condition(self) -> WrittenCondition:
        """All of the text."""
        comparisons = [self._comparison(last=False)]
        joined = self._keyword("and", "or")
        if joined:
            comparisons.append(self._comparison(last=True))
        per_error = self._per_error(comparisons)
        if self._token.kind != "end":
            self._refuse(self._may_follow(comparisons, per_error))
        return WrittenCondition(
            comparisons=tuple(comparisons),
            joined=cast('Literal["and", "or"] | None', joined),
            per_error=per_error,
        )

    def _may_follow(self, comparisons: list[WrittenComparison], per_error: bool) -> str:
        if per_error:
            return "the end"
        follow = ["'where'"] if not comparisons[-1].where else []
        follow += ["'and'", "'or'"] if len(comparisons) == 1 else []
        if len(comparisons) == 2 and comparisons[-1].where:
            follow.append("'and'")
        return ", ".join([*follow, "'per error'"]) + " or the end"

    def _comparison(self, *, last: bool) -> WrittenComparison:
        metric = cast("Metric", self._one_of(METRICS, "a metric"))
        operator = cast("Operator", self._sign(*OPERATORS))
        threshold = self._value()
        if not self._keyword("in"):
            self._refuse("'in'")
        window = self._time()
        self._no_services(metric, "where")
        filters = self._filters(last=last) if self._keyword("where") else {}
        return WrittenComparison(
            metric=metric,
            operator=operator,
            threshold=threshold,
            window=window,
            where=tuple(filters.values()),
            where_at=tuple(filters),
        )

    def _value(self) -> Number | None:
        if self._keyword("threshold"):
            return None
        token = self._token
        if token.kind != "word" or not _NUMBER.fullmatch(token.text):
            a_number = token.kind == "word" and _LIKE_A_NUMBER.match(token.text)
            self._refuse(NUMBERS if a_number else "a number or 'threshold'")
        number = plain(float(token.text))
        if number > MAX_THRESHOLD:
            self._refuse(NUMBERS)
        self._index += 1
        return number

    def _time(self) -> Window | None:
        if self._keyword("time_window"):
            return None
        start = self._token
        match = _AMOUNT.fullmatch(start.text) if start.kind == "word" else None
        if match is None:
            self._refuse("a time or 'time_window'")
        self._index += 1
        unit = UNITS.get((match[2] or self._word_here()).lower())
        if unit is None:
            if match[2]:
                self._refuse("minutes, hours or days", start)
            self._refuse("minutes, hours or days")
        if not match[2]:
            self._index += 1
        try:
            return window_of(int(match[1]), unit)
        except ValueError:
            self._refuse(WINDOW_FORMS, start)

    def _filters(self, *, last: bool) -> dict[int, Filter]:
        """By their places in the text."""
        filters: dict[int, Filter] = {}
        more: str | None = "where"
        while more:
            at = self._token.position
            filters[at] = self._filter(filters.values())
            more = None if self._and_a_metric() and not last else self._keyword("and")
        return filters

    def _and_a_metric(self) -> bool:
        """Whether the second comparison begins here."""
        following = self._tokens[self._index + 1 : self._index + 2]
        return self._word_here().lower() == "and" and any(
            token.text.lower() in METRICS for token in following
        )

    def _filter(self, before: Iterable[Filter]) -> Filter:
        start = self._token
        field = cast("Field", self._one_of(FIELDS, "a field"))
        if any(one.field == field for one in before):
            self._refuse(f"another field, for '{field}' is there already", start)
        if field == "message":
            if not self._keyword("contains"):
                self._refuse("'contains'")
            return Filter(field, (self._filter_value(field),))
        if not self._keyword("in"):
            self._sign("=", instead="'=' or 'in'")
            return Filter(field, (self._filter_value(field),))
        self._sign("(", instead="'('")
        values = [self._filter_value(field)]
        while self._sign(",", ")", instead="',' or ')'") == ",":
            values.append(self._filter_value(field))
        return Filter(field, tuple(dict.fromkeys(values)))

    def _filter_value(self, field: Field) -> str:
        token = self._token
        if token.kind not in ("word", "quoted"):
            self._refuse("a word or text in double quotes")
        quoted = token.kind == "quoted"
        value = _ESCAPED.sub(r"\1", token.text[1:-1]) if quoted else token.text
        if not value.strip():
            self._refuse("text that is not blank")
        if field == "level" and value not in LEVELS:
            self._refuse(f"one of {', '.join(LEVELS)}")
        self._index += 1
        return value

    def _per_error(self, comparisons: list[WrittenComparison]) -> bool:
        for comparison in comparisons:
            self._no_services(comparison.metric, "per")
        if not self._keyword("per"):
            return False
        if not self._keyword("error"):
            self._refuse("'error'")
        return True

    def _no_services(self, metric: Metric, keyword: str) -> None:
        """Services have neither level nor source, nor do they belong to an error."""
        if metric == "service_down" and self._word_here().lower() == keyword:
            self._refuse(f"no '{keyword}', for 'service_down' counts services")

    @property
    def _token(self) -> _Token:
        return self._tokens[self._index]

    def _word_here(self) -> str:
        return self._token.text if self._token.kind == "word" else ""

    def _keyword(self, *wanted: str) -> str | None:
        """Takes one of these words if it is next."""
        word = self._word_here().lower()
        if word not in wanted:
            return None
        self._index += 1
        return word

    def _one_of(self, words: tuple[str, ...], what: str) -> str:
        found = self._keyword(*words)
        if found is None:
            self._refuse(f"{what} ({', '.join(words)})")
        return found

    def _sign(self, *wanted: str, instead: str | None = None) -> str:
        token = self._token
        if token.kind != "sign" or token.text not in wanted:
            self._refuse(instead or f"one of {' '.join(wanted)}")
        self._index += 1
        return token.text

    def _refuse(self, expected: str, token: _Token | None = None) -> NoReturn:
        at = token or self._token
        raise Invalid("condition", f"at {at.position}: expected {expected}, found {at.shown}")
