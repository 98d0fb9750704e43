"""Random logs with random rules, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from domain.failures import DomainError
from tests.projections.alerting.logs import Log

APPS = ("default", "shop")
RULES = ("first", "second", "third")
GAPS = (0.0, 0.0, 1.0, 1.0, 20.0, 20.0, 59.999999, 60.0, 61.0, 120.0, 300.0, 900.0)


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    """One comparison, of any metric."""
    metric = draw(
        st.sampled_from(
            "error_count error_count critical_count warning_count new_errors regressions"
            " affected_users affected_users error_rate resolved_count service_down".split()
        )
    )
    sign = draw(st.sampled_from((">", ">", ">", ">=", ">=", "<", "<=", "==", "!=")))
    limit = draw(st.sampled_from(("0", "0.5", "1", "1", "2", "3")))
    window = draw(st.sampled_from(("1m", "2m", "5m")))
    text = f"{metric} {sign} {limit} in {window}"
    where = draw(st.lists(st.sampled_from(FILTERS), max_size=2, unique=True))
    if not where or draw(st.booleans()) or metric == "service_down":
        return text
    return f"{text} where {' and '.join(where)}"


FILTERS = (
    "level = error",
    "source in (web, api)",
    "environment = production",
    "app = shop",
    'message contains "a"',
    "code = E1",
    "fingerprint in (a, b)",
)


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, Any]:
    """What a rule says; not everything that this makes is allowed."""
    condition = draw(comparisons())
    if not draw(st.integers(0, 3)):
        condition += f" {draw(st.sampled_from(('and', 'or')))} {draw(comparisons())}"
    if "service_down" not in condition and draw(st.booleans()):
        condition += " per error"
    channels: list[str] = draw(
        st.lists(st.sampled_from(("email", "slack")), unique=True, max_size=2)
    )
    return {
        "condition": condition,
        "app": draw(st.sampled_from(("*", "*", "default", "shop"))),
        "cooldown": draw(st.sampled_from((None, "1m", "3m", "10m"))),
        "notifications": tuple(channels),
        "open_incident": draw(st.booleans()),
        "enabled": draw(st.sampled_from((True, True, True, False))),
    }


@st.composite
def wishes_per_error(draw: st.DrawFn) -> dict[str, Any]:
    """A rule that is likely to say something of several errors."""
    metric = draw(st.sampled_from(("error_count", "new_errors", "affected_users", "regressions")))
    window = draw(st.sampled_from(("1m", "5m")))
    return {
        "condition": f"{metric} > {draw(st.sampled_from((0, 0, 1, 2)))} in {window} per error",
        "app": "*",
        "cooldown": draw(st.sampled_from((None, "1m", "3m", "10m"))),
        "notifications": ("email",),
        "open_incident": draw(st.booleans()),
    }


REPORTS = st.fixed_dictionaries(
    {
        "name": st.sampled_from("aaabc"),
        "times": st.sampled_from((1, 1, 2, 4)),
        "app": st.sampled_from(APPS),
        "level": st.sampled_from(("error", "error", "warning", "info")),
        "source": st.sampled_from(("web", "worker")),
        "environment": st.sampled_from(("production", "test")),
        "message": st.sampled_from(("a failure", "none", "broken")),
        "code": st.sampled_from((None, "E1", "E2")),
        "user_id": st.sampled_from((None, "u1", "u2", "u3", "u4")),
    }
)

_names, _apps = st.sampled_from("aabc"), st.sampled_from(APPS)
_rules = st.sampled_from(RULES)

STEPS = st.one_of(
    *[st.tuples(st.just("report"), REPORTS)] * 8,
    *[st.tuples(st.just("resolve"), st.fixed_dictionaries({"name": _names, "app": _apps}))] * 2,
    st.tuples(
        st.just("mute"),
        st.one_of(
            st.fixed_dictionaries(
                {"name": _names, "app": _apps, "count": st.sampled_from((None, 1, 3))}
            ),
            st.fixed_dictionaries(
                {"name": _names, "app": _apps, "seconds": st.sampled_from((60.0, 200.0))}
            ),
        ),
    ),
    st.tuples(
        st.just("service"),
        st.fixed_dictionaries({"name": st.sampled_from("xy"), "up": st.booleans()}),
    ),
    st.tuples(
        st.just("silence"),
        st.fixed_dictionaries(
            {"seconds": st.sampled_from((None, 30.0, 200.0, 2_000.0)), "name": _rules}
        ),
    ),
    st.tuples(st.just("create"), wishes().map(lambda w: {"name": "second", **w})),
    st.tuples(
        st.just("change"),
        st.one_of(
            wishes(),
            st.sampled_from(({"cooldown": "1m"}, {"cooldown": "5m"}, {"severity": "high"})),
            st.sampled_from(({"enabled": False}, {"enabled": True})),
        ).flatmap(lambda w: _rules.map(lambda name: {"name": name, **w})),
    ),
    st.tuples(st.just("delete"), st.fixed_dictionaries({"name": _rules})),
)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log of 5 to 35 steps. Refused commands leave nothing in it."""
    log = Log()
    steps: list[tuple[str, dict[str, Any]]] = [
        ("create", {"name": "first", **draw(wishes())}),
        ("create", {"name": "second", **draw(wishes())}),
        ("create", {"name": "third", **draw(wishes_per_error())}),
    ]
    steps += draw(st.lists(STEPS, min_size=5, max_size=35))
    for step, arguments in steps:
        log.after(draw(st.sampled_from(GAPS)))
        try:
            getattr(log, step)(**arguments)
        except DomainError:
            continue
    return log
