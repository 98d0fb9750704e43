"""Wishes: what somebody asks a thing to be, where leaving a field out means leaving it as it is.

A wish is a struct whose fields may be UNSET. The rules its values have to keep are small policies,
so that a decision can refuse the first that is broken and a form can name all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import UnsetType

from domain.failures import Invalid

T = TypeVar("T")
W = TypeVar("W", bound=msgspec.Struct)

Policy = Callable[[W], Invalid | None]
"""A rule: what is wrong with a wish, if anything. What is UNSET breaks no rule."""

SHORT_TEXT = "must have 1 to 200 characters, and not only blanks"


def given(wish: msgspec.Struct) -> dict[str, Any]:
    """The fields that are set, by name."""
    return {k: v for k, v in msgspec.structs.asdict(wish).items() if v is not msgspec.UNSET}


def or_none(value: T | UnsetType) -> T | None:
    """A value, None where it is UNSET: for what nobody can take away by a null."""
    return None if isinstance(value, UnsetType) else value


def broken(policies: Iterable[Policy[W]], wish: W) -> list[Invalid]:
    """What is wrong with a wish, in the order of the policies."""
    return [flaw for policy in policies if (flaw := policy(wish)) is not None]


def short_text(field: str, text: str | UnsetType) -> Invalid | None:
    """For names and titles."""
    if isinstance(text, UnsetType) or (text.strip() and len(text) <= 200):
        return None
    return Invalid(field, SHORT_TEXT)


def one_of(field: str, value: str | UnsetType, allowed: tuple[str, ...]) -> Invalid | None:
    """For values that are one of a few words."""
    if isinstance(value, UnsetType) or value in allowed:
        return None
    return Invalid(field, f"must be one of {', '.join(allowed)}")
