"""What an alert rule says, and what somebody may ask it to say.

A rule keeps its condition as it was written. The names in it, `threshold` and `time_window`, stand
for the rule's own fields; where the condition says a number instead, the field is filled from its
first comparison, and a field that says something else is refused.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from domain.condition import (
    MAX_THRESHOLD,
    WINDOW_FORMS,
    Condition,
    Number,
    Window,
    parse_window,
    plain,
)
from domain.condition_parser import NUMBERS, WrittenCondition, parse
from domain.failures import Invalid
from domain.vocabulary import ANY_APP, CHANNELS, DEFAULT_APP, SEVERITIES, Channel, Severity
from domain.wish import Policy, broken, given, one_of, short_text


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rule says. `app` is the application it watches, or "*" for all of them; `cooldown`
    None means the time window; windows are in their short form ("5m")."""

    name: str
    condition: str
    threshold: Number
    time_window: str
    enabled: bool = True
    notifications: tuple[Channel, ...] = ()
    app: str = DEFAULT_APP
    severity: Severity = "medium"
    cooldown: str | None = None
    open_incident: bool = False


class RuleWish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks a rule to be. UNSET is left as it is, or filled in."""

    name: str | UnsetType = UNSET
    condition: str | UnsetType = UNSET
    threshold: Number | UnsetType = UNSET
    time_window: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    notifications: tuple[str, ...] | UnsetType = UNSET
    app: str | UnsetType = UNSET
    severity: str | UnsetType = UNSET
    cooldown: str | UnsetType | None = UNSET
    open_incident: bool | UnsetType = UNSET


# -- from wish to settings -------------------------------------------------------------------------


def merged(wish: RuleWish, before: RuleSettings) -> RuleWish:
    """The wish on top of what the rule says. A threshold or window that only repeated the old
    condition does not survive it."""
    fields = msgspec.structs.asdict(before) | given(wish)
    whole = RuleWish(**fields)
    written = _written(whole)
    if written is not None and not written.names_threshold:
        whole = msgspec.structs.replace(whole, threshold=wish.threshold)
    if written is not None and not written.names_window:
        whole = msgspec.structs.replace(whole, time_window=wish.time_window)
    return whole


def settled(wish: RuleWish) -> RuleSettings:
    """The settings that a wish amounts to. Raises Invalid."""
    for flaw in [*missing(wish), *flaws(wish)]:
        raise flaw
    written = _written(wish)
    assert written is not None
    first = written.comparisons[0]
    threshold = wish.threshold if written.names_threshold else first.threshold
    window = _window(wish.time_window) if written.names_window else first.window
    cooldown = _window(wish.cooldown)
    assert isinstance(threshold, Number)
    assert window is not None
    filled = {
        "threshold": plain(threshold),
        "time_window": window.text,
        "cooldown": cooldown and cooldown.text,
    }
    return RuleSettings(**(given(wish) | filled))


def condition_of(settings: RuleSettings) -> Condition:
    """What a rule waits for, with its own threshold and window in the place of their names."""
    written = parse(settings.condition)
    return written.completed(settings.threshold, parse_window(settings.time_window))


# -- what a wish has to keep ---------------------------------------------------------------------


def missing(wish: RuleWish) -> list[Invalid]:
    """What a rule needs and the wish leaves out."""
    needed = [field for field in ("name", "condition") if getattr(wish, field) is UNSET]
    problems = [Invalid(field, "is required") for field in needed]
    written = _written(wish)
    if written is not None and written.names_threshold and wish.threshold is UNSET:
        problems.append(Invalid("threshold", "is required, for the condition names it"))
    if written is not None and written.names_window and wish.time_window is UNSET:
        problems.append(Invalid("time_window", "is required, for the condition names it"))
    return problems


def flaws(wish: RuleWish) -> list[Invalid]:
    """Every rule that the values of a wish break."""
    return broken(_POLICIES, wish)


def _condition(wish: RuleWish) -> Invalid | None:
    if isinstance(wish.condition, str):
        try:
            parse(wish.condition)
        except Invalid as flaw:
            return flaw
    return None


def _watches_its_own_application(wish: RuleWish) -> Invalid | None:
    written = _written(wish)
    if written is None or wish.app in (UNSET, ANY_APP):
        return None
    for comparison in written.comparisons:
        for at, one in zip(comparison.where_at, comparison.where, strict=True):
            if one.field == "app" and wish.app not in one.values:
                found = " or ".join(map(repr, one.values))
                expected = f"the rule's own application {wish.app!r}"
                return Invalid("condition", f"at {at}: expected {expected}, found {found}")
    return None


def _threshold(wish: RuleWish) -> Invalid | None:
    number = wish.threshold
    if isinstance(number, UnsetType):
        return None
    if not 0 <= number <= MAX_THRESHOLD or round(number, 4) != number:
        return Invalid("threshold", f"must be {NUMBERS}")
    written = _written(wish)
    if written is None or written.names_threshold:
        return None
    said = written.comparisons[0].threshold
    if number == said:
        return None
    advice = "leave it out, or write 'threshold' in the condition"
    return Invalid("threshold", f"is {number}, and the condition says {said}: {advice}")


def _time_window(wish: RuleWish) -> Invalid | None:
    if isinstance(wish.time_window, UnsetType):
        return None
    window = _window(wish.time_window)
    if window is None:
        return Invalid("time_window", f"must be {WINDOW_FORMS}")
    written = _written(wish)
    if written is None or written.names_window:
        return None
    said = written.comparisons[0].window
    if said is None or window.seconds == said.seconds:
        return None
    advice = "leave it out, or write 'time_window' in the condition"
    problem = f"is {window.words}, and the condition says {said.words}: {advice}"
    return Invalid("time_window", problem)


def _cooldown(wish: RuleWish) -> Invalid | None:
    if isinstance(wish.cooldown, str) and _window(wish.cooldown) is None:
        return Invalid("cooldown", f"must be {WINDOW_FORMS}")
    return None


def _notifications(wish: RuleWish) -> Invalid | None:
    channels = wish.notifications
    if isinstance(channels, UnsetType):
        return None
    unknown = [channel for channel in channels if channel not in CHANNELS]
    if unknown:
        problem = f"holds {unknown[0][:40]!r}; the channels are {', '.join(CHANNELS)}"
        return Invalid("notifications", problem)
    if len(set(channels)) < len(channels):
        return Invalid("notifications", "names a channel twice")
    return None


_POLICIES: tuple[Policy[RuleWish], ...] = (
    lambda wish: short_text("name", wish.name),
    _condition,
    _watches_its_own_application,
    _threshold,
    _time_window,
    _cooldown,
    _notifications,
    lambda wish: one_of("severity", wish.severity, SEVERITIES),
)


def _written(wish: RuleWish) -> WrittenCondition | None:
    """The condition as written; None where the wish gives none, or a wrong one."""
    if isinstance(wish.condition, UnsetType) or _condition(wish) is not None:
        return None
    return parse(wish.condition)


def _window(text: str | UnsetType | None) -> Window | None:
    """The window of a text; None where there is none, or a wrong one."""
    if not isinstance(text, str):
        return None
    try:
        return parse_window(text)
    except ValueError:
        return None
