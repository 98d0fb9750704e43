"""Query strings: every parameter is read or refused by name, never guessed at.

A parameter given twice is refused, one that we do not know is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar, cast, get_args
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from api.answers import Problem
from api.failures import BadRequest
from domain.vocabulary import Level
from projections.error_groups import ErrorFilter, Sort

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
MAX_OFFSET = 1_000_000_000
MAX_TEXT = 200
MAX_CURSOR = 1_000
MAX_PARAMETERS = 100

LEVELS: tuple[str, ...] = get_args(Level)
SORTS: tuple[str, ...] = get_args(Sort)

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_POSITION = re.compile(r"[1-9][0-9]{0,17}")


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of which errors somebody asks for."""

    filter: ErrorFilter
    sort: Sort
    limit: int
    offset: int
    cursor: str | None


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of something that only knows cursors."""

    limit: int
    cursor: str | None


def parameters(query_string: bytes) -> Mapping[str, str]:
    """All parameters by name. Raises BadRequest for a repeated one and for broken encoding."""
    if not query_string:
        return {}
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except UnicodeError:
        raise BadRequest("the query string is not percent-encoded UTF-8") from None
    except ValueError:
        raise BadRequest(f"the query string has more than {MAX_PARAMETERS} parameters") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted(name for name in found if names.count(name) > 1)
        raise BadRequest.of([Problem(name, "must be given only once") for name in repeated])
    return found


def list_query(query_string: bytes) -> ListQuery:
    """The list that a query string asks for. Raises BadRequest naming every wrong parameter."""
    read = Parameters(parameters(query_string))
    query = ListQuery(
        filter=ErrorFilter(
            level=cast("Level | None", read.one_of("level", LEVELS)),
            source=read.text("source"),
            environment=read.text("environment"),
            resolved=read.truth("resolved"),
            app=read.text("app"),
            search=read.text("search"),
            since=read.time("since"),
            until=read.time("until"),
        ),
        sort=cast("Sort", read.one_of("sort", SORTS) or "last_seen"),
        limit=read.integer("limit", 1, MAX_LIMIT, DEFAULT_LIMIT),
        offset=read.integer("offset", 0, MAX_OFFSET, 0),
        cursor=read.text("cursor", MAX_CURSOR),
    )
    since, until = query.filter.since, query.filter.until
    if since is not None and until is not None and since > until:
        read.wrong("since", "must not be later than until")
    if query.cursor is not None and query.offset:
        read.wrong("cursor", "continues a list from where it was: leave offset out")
    read.check()
    return query


def page_query(query_string: bytes) -> PageQuery:
    """A page by limit and cursor. Raises BadRequest naming every wrong parameter."""
    read = Parameters(parameters(query_string))
    query = PageQuery(
        limit=read.integer("limit", 1, MAX_LIMIT, DEFAULT_LIMIT),
        cursor=read.text("cursor", MAX_CURSOR),
    )
    read.check()
    return query


def app_of(query_string: bytes) -> str | None:
    """The application a query string names, if any. Raises BadRequest."""
    if not query_string:
        return None
    read = Parameters(parameters(query_string))
    app = read.text("app")
    read.check()
    return app


class Parameters:
    """Reads parameters one by one and collects what is wrong with them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: list[Problem] = []

    def check(self) -> None:
        """Raises BadRequest with all problems found so far."""
        if self._problems:
            raise BadRequest.of(self._problems)

    def wrong(self, name: str, problem: str) -> None:
        """Take note of a problem."""
        self._problems.append(Problem(name, problem))

    def text(self, name: str, most: int = MAX_TEXT) -> str | None:
        """Any text of 1 to `most` characters."""
        value = self._values.get(name)
        if value is None:
            return None
        if not value.strip() or len(value) > most:
            self.wrong(name, f"must have 1 to {most} characters, and not only blanks")
        elif "\0" in value:
            self.wrong(name, "must not contain NUL characters")
        return value

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """One of a few words."""
        value = self._values.get(name)
        if value is not None and value not in allowed:
            self.wrong(name, f"must be one of {', '.join(allowed)}")
            return None
        return value

    def truth(self, name: str) -> bool | None:
        """`true` or `false`."""
        value = self.one_of(name, ("true", "false"))
        return None if value is None else value == "true"

    def integer(self, name: str, least: int, most: int, default: int) -> int:
        """A whole number within bounds."""
        value = self._values.get(name)
        if value is None:
            return default
        if not _INTEGER.fullmatch(value) or not least <= int(value) <= most:
            self.wrong(name, f"must be a whole number from {least} to {most}")
            return default
        return int(value)

    def time(self, name: str) -> datetime | None:
        """An RFC 3339 time with its offset."""
        return self._converted(name, _utc, "must be an RFC 3339 time such as 2025-08-29T12:00:00Z")

    def moment(self, name: str) -> int | datetime | None:
        """A position of the log, from 1, or an RFC 3339 time."""
        text = self._values.get(name, "")
        if _POSITION.fullmatch(text):
            return int(text)
        problem = "must be a position of the log, or an RFC 3339 time such as 2025-08-29T12:00:00Z"
        return self._converted(name, _utc, problem)

    def uuid(self, name: str) -> UUID | None:
        """A UUID with its hyphens."""
        return self._converted(name, _uuid, "must be a UUID")

    def _converted(self, name: str, convert: Callable[[str], T], problem: str) -> T | None:
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return convert(value)
        except (ValueError, OverflowError):
            self.wrong(name, problem)
            return None


def _uuid(text: str) -> UUID:
    if len(text) != 36:
        raise ValueError("not in the canonical form")
    return UUID(text)


def _utc(text: str) -> datetime:
    # A "+" that was not percent-encoded arrives as a blank.
    time = msgspec.convert(text.replace(" ", "+"), datetime)
    if time.tzinfo is None:
        raise ValueError("without an offset")
    return time.astimezone(UTC)
