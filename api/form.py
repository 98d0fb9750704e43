"""A JSON body read field by field, so that one answer tells all that is wrong with it.

For the bodies of settings, rules and the like. A field that is absent, or null, is UNSET; a field
for which null means something is asked for as such. Fields that nobody asks for are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from api.answers import Problem
from api.failures import BadRequest
from api.json_text import bad_escape, check_text, fields_with_bad_escapes
from domain.failures import Invalid
from domain.wish import short_text

T = TypeVar("T")

_NULL = msgspec.Raw(b"null")
_TIME = "an RFC 3339 time with its offset, such as 2025-08-29T12:00:00Z"
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_texts = msgspec.json.Decoder(tuple[str, ...]).decode
_number: Callable[[msgspec.Raw], int | float] = msgspec.json.Decoder(int | float).decode
_time = msgspec.json.Decoder(datetime).decode
_flag = msgspec.json.Decoder(bool).decode
_uuid = msgspec.json.Decoder(UUID).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode


class Form:
    """A body that is taken apart. Raises BadRequest at once for what is no JSON object, and with
    all its problems in `check`."""

    def __init__(self, body: bytes) -> None:
        check_text(body)
        problem = bad_escape(body)
        if problem:
            names = fields_with_bad_escapes(body)
            if names:
                raise BadRequest.of([Problem(name, problem) for name in names])
            raise BadRequest(f"the body {problem}")
        try:
            self._fields = _fields(body)
        except msgspec.ValidationError:
            raise BadRequest("the body must be a JSON object") from None
        except msgspec.DecodeError as error:
            raise BadRequest(f"the body is not JSON: {_why(error)}") from None
        self._problems: list[Problem] = []

    def wrong(self, field: str, problem: str) -> None:
        """Take note of a problem, for `check`."""
        self._problems.append(Problem(field, problem))

    def required_text(self, field: str) -> str:
        """A string of 1 to 200 characters that must be there."""
        text = self.text(field)
        if isinstance(text, UnsetType):
            if self._is_missing(field):
                self.wrong(field, "is required")
            return ""
        flaw = short_text(field, text)
        if flaw is not None:
            self.wrong(field, flaw.problem)
        return text

    def object_or_null(self, field: str) -> dict[str, Any] | UnsetType | None:
        """An object, or null where that means something."""
        if self._is_null(field):
            return None
        return self._take(field, _object, "must be an object or null")

    def text(self, field: str) -> str | UnsetType:
        """A string."""
        return self._take(field, _text, "must be a string")

    def texts(self, field: str) -> tuple[str, ...] | UnsetType:
        """A list of strings."""
        return self._take(field, _texts, "must be a list of strings")

    def number(self, field: str) -> int | float | UnsetType:
        """A number."""
        return self._take(field, _number, "must be a number")

    def number_or_null(self, field: str) -> int | float | UnsetType | None:
        """A number, or null where that means something."""
        if self._is_null(field):
            return None
        return self._take(field, _number, "must be a number or null")

    def flag(self, field: str) -> bool | UnsetType:
        """True or false."""
        return self._take(field, _flag, "must be true or false")

    def whole(self, field: str) -> int | UnsetType:
        """A whole number; 3.0 is one too, as JSON Schema has it."""
        return self._take(field, _whole, "must be a whole number")

    def time(self, field: str) -> datetime | UnsetType:
        """A time with its offset; what it is in UTC."""
        return self._take(field, _aware, f"must be {_TIME}")

    def time_or_null(self, field: str) -> datetime | UnsetType | None:
        """The same, or null where that means something."""
        if self._is_null(field):
            return None
        return self._take(field, _aware, f"must be {_TIME}, or null")

    def names(self, field: str) -> bool:
        """Whether the body names a field, be it null."""
        return field in self._fields

    def text_or_null(self, field: str) -> str | UnsetType | None:
        """A string, or null where that means something."""
        if self._is_null(field):
            return None
        return self._take(field, _text, "must be a string or null")

    def uuid_or_null(self, field: str, what: str) -> UUID | UnsetType | None:
        """A UUID, or null where that means something; `what` says whose id it is."""
        if self._is_null(field):
            return None
        return self._take(field, _uuid, f"must be {what} (a UUID), or null")

    def check(self, flaws: Iterable[Invalid] = ()) -> None:
        """Raises BadRequest with all problems found so far and these flaws, one for each field."""
        problems = {problem.field: problem for problem in self._problems}
        for flaw in flaws:
            problems.setdefault(flaw.field, Problem(flaw.field, flaw.problem))
        if problems:
            raise BadRequest.of(list(problems.values()))

    def _is_missing(self, field: str) -> bool:
        return self._fields.get(field, _NULL) == _NULL

    def _is_null(self, field: str) -> bool:
        return self._fields.get(field) == _NULL

    def _take(self, field: str, decode: Callable[[msgspec.Raw], T], problem: str) -> T | UnsetType:
        raw = self._fields.get(field, _NULL)
        if raw == _NULL:
            return UNSET
        try:
            return decode(raw)
        except msgspec.MsgspecError:
            self._problems.append(Problem(field, problem))
            return UNSET


def _whole(raw: msgspec.Raw) -> int:
    """Raises ValidationError for what is no whole number."""
    number = _number(raw)
    if isinstance(number, float) and not number.is_integer():
        raise msgspec.ValidationError("it has a fraction")
    return int(number)


def _aware(raw: msgspec.Raw) -> datetime:
    """Raises ValidationError for what is no time, or has none in UTC."""
    time = _time(raw)
    if time.tzinfo is None:
        raise msgspec.ValidationError("no offset")
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise msgspec.ValidationError("not between the years 1 and 9999 in UTC") from error


def _why(error: msgspec.DecodeError) -> str:
    return (
        str(error)
        .removeprefix("JSON is malformed: ")
        .replace("Input data was truncated", "it ends too early")
    )
