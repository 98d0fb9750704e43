"""What the text of a condition says, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.condition import (
    FIELDS,
    LEVELS,
    METRICS,
    OPERATORS,
    Comparison,
    Condition,
    Filter,
    Window,
    explain,
    parse_window,
)
from domain.condition_parser import MAX_CONDITION, parse
from domain.failures import Invalid

FIVE_MINUTES = Window(5, "m")


def understood(text: str) -> Condition:
    """The condition of a rule with the threshold 50 and the time window 5m."""
    return parse(text).completed(50, FIVE_MINUTES)


def refusal(text: str) -> str:
    """What is said of a wrong condition."""
    with pytest.raises(Invalid) as caught:
        parse(text)
    return caught.value.reason


def test_both_forms_of_the_document_say_the_same() -> None:
    said = Condition(
        comparisons=(
            Comparison(metric="error_count", operator=">", threshold=50, window=FIVE_MINUTES),
        )
    )
    assert understood("error_count > threshold in time_window") == said
    assert understood("error_count > 50 in 5 minutes") == said


def test_a_condition_tells_which_names_it_uses() -> None:
    named, numbered = (
        parse("error_count > threshold in time_window"),
        parse("error_count > 1 in 1h"),
    )
    assert (named.names_threshold, named.names_window) == (True, True)
    assert (numbered.names_threshold, numbered.names_window) == (False, False)


def test_filters_belong_to_the_comparison_before_them() -> None:
    first, second = understood(
        "error_count > 5 in 5m where level = error and source in (api, web)"
        " and new_errors >= 1 in 1d where app = shop and environment = production"
    ).comparisons
    assert first.where == (Filter("level", ("error",)), Filter("source", ("api", "web")))
    assert second.where == (Filter("app", ("shop",)), Filter("environment", ("production",)))


def test_text_in_quotes_may_hold_anything() -> None:
    text = r'error_count > 5 in 5m where message contains "a \"b\" (\\) and" and source = "x, y"'
    (comparison,) = understood(text).comparisons
    assert comparison.where == (
        Filter("message", (r'a "b" (\) and',)),
        Filter("source", ("x, y",)),
    )


def test_per_error_stands_for_the_whole_condition() -> None:
    assert understood("error_count > 5 in 5m per error").per_error
    assert understood("error_count > 5 in 5m or regressions > 0 in 1h per error").per_error
    assert not understood("error_count > 5 in 5m").per_error


def test_keywords_metrics_and_units_may_be_written_in_any_case() -> None:
    assert understood("ERROR_COUNT>50 IN 5Minutes") == understood("error_count > 50 in 5m")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("error_count > 50 in 5 minutes", "More than 50 occurrences within 5 minutes."),
        ("critical_count >= 1 in 1h", "At least 1 occurrence of level error within 1 hour."),
        ("warning_count < 10 in 30d", "Fewer than 10 occurrences of level warning within 30 days."),
        ("new_errors <= 2 in 1d", "At most 2 new errors within 1 day."),
        ("regressions == 1 in 2 h", "Exactly 1 resolved error that came back within 2 hours."),
        ("affected_users != 0 in 1m", "Any number but 0 affected users within 1 minute."),
        ("error_rate > 2.50 in 5m", "More than 2.5 occurrences a minute within 5 minutes."),
        ("resolved_count < 1 in 5m", "Fewer than 1 error resolved within 5 minutes."),
        ("service_down > 0 in 5m", "More than 0 services down within 5 minutes."),
        (
            'error_count > 5 in 5m where level in (error, warning) and message contains "time out"'
            " per error",
            "More than 5 occurrences of level error or warning whose message contains"
            ' "time out" within 5 minutes, counted for each error on its own.',
        ),
        (
            'error_count > 5 in 5m where source = "my app" or regressions > 0 in 1h',
            'More than 5 occurrences from source "my app" within 5 minutes or more than 0'
            " resolved errors that came back within 1 hour.",
        ),
    ],
)
def test_a_condition_is_explained_in_words(text: str, words: str) -> None:
    assert explain(understood(text)) == words


_METRIC = (
    "a metric (error_count, critical_count, warning_count, new_errors, regressions, "
    "affected_users, error_rate, resolved_count, service_down)"
)
_FIELD = "a field (level, source, environment, app, message, code, fingerprint)"
_NUMBER = "a number from 0 to 1000000000000 with at most 4 decimal places"
_TIME = "1 minute to 30 days, written as 5m, 1h, 30d or '5 minutes'"


@pytest.mark.parametrize(
    ("text", "position", "expected", "found"),
    [
        ("", 1, _METRIC, "the end"),
        ("errors > 5 in 5m", 1, _METRIC, "'errors'"),
        ("error_count", 12, "one of > >= < <= == !=", "the end"),
        ("error_count = 5 in 5m", 13, "one of > >= < <= == !=", "'='"),
        ("error_count ! 5 in 5m", 13, "one of > >= < <= == !=", "'!'"),
        ("error_count > abc", 15, "a number or 'threshold'", "'abc'"),
        ("error_count > -5 in 5m", 15, _NUMBER, "'-5'"),
        ("error_count > 1e3 in 5m", 15, _NUMBER, "'1e3'"),
        ("error_count > 0.12345 in 5m", 15, _NUMBER, "'0.12345'"),
        ("error_count > 99999999999999 in 5m", 15, _NUMBER, "'99999999999999'"),
        (
            "error_count > 9999999999999 in 5m",
            15,
            _NUMBER,
            "'9999999999999'",
        ),
        ("error_count > 5", 16, "'in'", "the end"),
        ("error_count > 5 in soon", 20, "a time or 'time_window'", "'soon'"),
        ("error_count > 5 in 5", 21, "minutes, hours or days", "the end"),
        ("error_count > 5 in 5 parsecs", 22, "minutes, hours or days", "'parsecs'"),
        ("error_count > 5 in 5s", 20, "minutes, hours or days", "'5s'"),
        ("error_count > 5 in 0m", 20, _TIME, "'0m'"),
        ("error_count > 5 in 31 days", 20, _TIME, "'31'"),
        ("error_count > 5 in 5m for", 23, "'where', 'and', 'or', 'per error' or the end", "'for'"),
        ("error_count > 5 in 5m and", 26, _METRIC, "the end"),
        ("error_count > 5 in 5m per group", 27, "'error'", "'group'"),
        ("error_count > 5 in 5m per error x", 33, "the end", "'x'"),
        ("error_count > 5 in 5m where", 28, _FIELD, "the end"),
        ("error_count > 5 in 5m where level = error and x = 1", 47, _FIELD, "'x'"),
        ("error_count > 5 in 5m where level == error", 35, "'=' or 'in'", "'=='"),
        ("error_count > 5 in 5m where level in error", 38, "'('", "'error'"),
        ("error_count > 5 in 5m where app in (a b)", 39, "',' or ')'", "'b'"),
        ("error_count > 5 in 5m where app in ()", 37, "a word or text in double quotes", "')'"),
        ('error_count > 5 in 5m where app = ""', 35, "text that is not blank", '""'),
        ("error_count > 5 in 5m where message = x", 37, "'contains'", "'='"),
        (
            "error_count > 5 in 5m where level = fatal",
            37,
            "one of error, warning, info, debug",
            "'fatal'",
        ),
        (
            'error_count > 5 in 5m where source = "api',
            38,
            "a word or text in double quotes",
            "a quote that is not closed",
        ),
        (
            "error_count > 5 in 5m where app = a and app = b",
            41,
            "another field, for 'app' is there already",
            "'app'",
        ),
        (
            "error_count > 1 in 5m or error_count > 2 in 5m or error_count > 3 in 5m",
            48,
            "'where', 'per error' or the end",
            "'or'",
        ),
        (
            "service_down > 0 in 5m where app = a",
            24,
            "no 'where', for 'service_down' counts services",
            "'where'",
        ),
        (
            "service_down > 0 in 5m and error_count > 5 in 5m per error",
            50,
            "no 'per', for 'service_down' counts services",
            "'per'",
        ),
    ],
)
def test_a_wrong_condition_is_told_where_what_was_expected(
    text: str, position: int, expected: str, found: str
) -> None:
    assert refusal(text) == f"condition: at {position}: expected {expected}, found {found}"


def test_every_example_of_the_guide_is_understood() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "conditions.md").read_text(encoding="utf-8")
    lines = [line.strip() for line in guide.splitlines() if line.startswith("    ")]
    examples = [line for line in lines if line.startswith(METRICS)]
    assert len(examples) >= 5
    for example in examples:
        parse(example)


def test_a_condition_has_an_end() -> None:
    assert refusal("x" * (MAX_CONDITION + 1)) == "condition: must have at most 1000 characters"


@given(st.text(max_size=60) | st.text('error_count > 5 in 5m where (,)"\\=!and', max_size=60))
def test_any_text_is_understood_or_refused_with_its_position(text: str) -> None:
    try:
        parse(text)
    except Invalid as refused:
        position = int(refused.problem.split()[1].rstrip(":"))
        assert 1 <= position <= len(text) + 1


WORDS = st.text("abcxyz059_-./", min_size=1, max_size=8) | st.text(min_size=1).filter(str.strip)
WINDOWS = st.builds(Window, st.integers(1, 30), st.sampled_from(["m", "h", "d"]))


@st.composite
def filters(draw: st.DrawFn) -> tuple[Filter, ...]:
    """Filters on different fields."""
    fields = draw(st.lists(st.sampled_from(FIELDS), unique=True, max_size=3))
    found = []
    for field in fields:
        words = st.sampled_from(LEVELS) if field == "level" else WORDS
        most = 1 if field == "message" else 3
        values = draw(st.lists(words, min_size=1, max_size=most, unique=True))
        found.append(Filter(field, tuple(values)))
    return tuple(found)


COMPARISONS = st.builds(
    Comparison,
    metric=st.sampled_from([metric for metric in METRICS if metric != "service_down"]),
    operator=st.sampled_from(OPERATORS),
    threshold=st.integers(0, 10**12),
    window=WINDOWS,
    where=filters(),
)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """Any condition with short values."""
    comparisons = draw(st.lists(COMPARISONS, min_size=1, max_size=2))
    joined = draw(st.sampled_from(["and", "or"])) if len(comparisons) == 2 else None
    return Condition(comparisons=tuple(comparisons), joined=joined, per_error=draw(st.booleans()))


def written(condition: Condition) -> str:
    """A condition as text."""
    parts = []
    for one in condition.comparisons:
        text = f"{one.metric} {one.operator} {one.threshold} in {one.window.text}"
        if one.where:
            text += " where " + " and ".join(map(_written, one.where))
        parts.append(text)
    return f" {condition.joined} ".join(parts) + (" per error" if condition.per_error else "")


def _written(one: Filter) -> str:
    values = ['"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in one.values]
    if one.field == "message":
        return f"message contains {values[0]}"
    return f"{one.field} in ({', '.join(values)})"


@given(conditions())
def test_what_is_written_is_what_is_understood(condition: Condition) -> None:
    text = written(condition)
    if len(text) <= MAX_CONDITION:
        assert parse(text).completed(0, FIVE_MINUTES) == condition


@pytest.mark.parametrize(
    ("text", "short", "words", "seconds"),
    [
        ("5m", "5m", "5 minutes", 300),
        ("5 minutes", "5m", "5 minutes", 300),
        ("1 Hour", "1h", "1 hour", 3600),
        ("60min", "60m", "60 minutes", 3600),
        ("30d", "30d", "30 days", 2_592_000),
    ],
)
def test_a_window_keeps_the_unit_it_was_written_in(
    text: str, short: str, words: str, seconds: int
) -> None:
    window = parse_window(text)
    assert (window.text, window.words, window.seconds) == (short, words, seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "0m", "59s", "31d", "721h", "1.5h", "5m5m", "-5m"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        parse_window(text)
