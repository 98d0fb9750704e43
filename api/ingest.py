"""A batch of events on its way in: from the bytes of a body to commands, with problems named.

Each event is decoded once, straight into its struct. Only one that will not decode is taken apart
again, field by field, so that the answer can name its index and all its fields that are wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, get_args, get_type_hints

import msgspec

from api.answers import Problem
from api.cleaner import Cleaner
from api.failures import BadRequest
from api.ingest_schemas import (
    MAX_ENVIRONMENT,
    MAX_EVENTS,
    MAX_PLATFORM,
    MAX_SHORT,
    IngestEvent,
    IngestFrame,
    IngestStack,
    Parser,
)
from api.intake import DEFAULT_ENVIRONMENT, ReportLevel, command_of, happened, kept_level, report_id
from api.json_text import (
    MAX_DEPTH,
    bad_escape,
    check_depth,
    check_encoding,
    decodable,
    why_malformed,
)
from domain.error_group import ReportError
from domain.fingerprint import group_report
from domain.occurrence import NULL, Occurrence
from domain.scrubbing import Scrubber

MAX_PROBLEMS = 20

_LEVELS: dict[str, ReportLevel] = {
    "fatal": "fatal",
    "error": "error",
    "warning": "warning",
    "info": "info",
    "debug": "debug",
}
_AROUND = 2
"""Levels of nesting around an event: the body and its list."""
_AROUND_METADATA = _AROUND + 1


class _Body(msgspec.Struct, frozen=True):
    events: list[msgspec.Raw] | None = None


# What is unknown may be nested to any depth; these hold nothing that is.


class _KnownFrame(IngestFrame, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _KnownStack(IngestStack, frozen=True, kw_only=True, forbid_unknown_fields=True):
    frames: list[_KnownFrame]  # type: ignore[assignment]


class _KnownEvent(IngestEvent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    parsed_stack: _KnownStack | None = None


class _KnownBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    events: list[_KnownEvent]


_known_body = msgspec.json.Decoder(_KnownBody).decode
_body = msgspec.json.Decoder(_Body).decode
_event = msgspec.json.Decoder(IngestEvent).decode
_fields: Callable[[msgspec.Raw], dict[str, msgspec.Raw]] = msgspec.json.Decoder(
    dict[str, msgspec.Raw]
).decode
_encode = msgspec.json.Encoder().encode


# -- reading -------------------------------------------------------------------------------------


def read_batch(body: bytes) -> list[IngestEvent]:
    """The events that a body holds. Raises BadRequest that names what is wrong, at most 20
    problems of it."""
    check_encoding(body)
    escape = bad_escape(body)
    ordinary = None if escape else _ordinary(body)
    if ordinary is not None:
        return ordinary
    found = _events_of(decodable(body) if escape else body)
    events: list[IngestEvent] = []
    problems: list[Problem] = []
    for index, raw in enumerate(found):
        try:
            events.append(_read(raw))
        except msgspec.ValidationError:
            problems += _problems_of(index, raw)
        if escape:
            problems += _bad_escapes(index, raw)
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise BadRequest.of(problems[:MAX_PROBLEMS])
    if escape:
        raise BadRequest(f"the body {escape}")
    return events


def _ordinary(body: bytes) -> list[IngestEvent] | None:
    """The events of a body with nothing wrong and nothing unknown in it, decoded in one go. None
    for any other, which is looked at event by event and takes twice the time."""
    try:
        events = _known_body(body).events
    except (msgspec.DecodeError, RecursionError):
        return None
    if not 1 <= len(events) <= MAX_EVENTS:
        return None
    for event in events:
        metadata = bytes(event.metadata)
        if metadata[:1] not in b"{n" or _brackets(metadata) > MAX_DEPTH - _AROUND_METADATA:
            return None
    return list(events)


def _read(raw: msgspec.Raw) -> IngestEvent:
    event = _event(raw)
    if bytes(event.metadata)[:1] not in b"{n":  # of an object, and of null
        raise msgspec.ValidationError("metadata is no object")
    return event


def _events_of(body: bytes) -> list[msgspec.Raw]:
    try:
        events = _body(body).events
    except RecursionError:
        raise BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except msgspec.ValidationError as error:
        if str(error).endswith("`$.events`"):
            raise BadRequest.field("events", "must be a list of events") from None
        raise BadRequest("the body must be a JSON object") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not JSON: {why_malformed(error)}") from None
    if events is None:
        raise BadRequest.field("events", "is required")
    if not 1 <= len(events) <= MAX_EVENTS:
        raise BadRequest.field("events", f"must hold 1 to {MAX_EVENTS:,} events")
    _check_depth(body, events)
    return events


def _check_depth(body: bytes, events: list[msgspec.Raw]) -> None:
    """Raises BadRequest where the body nests deeper than 100: looked at event by event, since one
    event seldom has as many brackets as would be needed, and a batch always has."""
    outside = _brackets(body)
    for raw in events:
        event = bytes(raw)
        brackets = _brackets(event)
        outside -= brackets
        if brackets > MAX_DEPTH - _AROUND:
            check_depth(b"[" * _AROUND + event + b"]" * _AROUND)
    if outside > MAX_DEPTH:
        check_depth(body)


def _brackets(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


# -- what is wrong with an event -----------------------------------------------------------------

_TEXT = "must be a string"
_SHORT = f"must be a string of at most {MAX_SHORT} characters"
_EXPECTED: dict[str, str] = {
    "id": "must be a UUID",
    "code": _SHORT,
    "message": _TEXT,
    "stackTrace": _TEXT,
    "parsedStack": "must be an object of frames, raw and parser",
    "appId": "must be a string of 1 to 100 characters",
    "appVersion": _SHORT,
    "platform": f"must be a word of 1 to {MAX_PLATFORM} characters",
    "platformVersion": _SHORT,
    "userId": _SHORT,
    "timestamp": "must be an RFC 3339 time with its offset, such as 2024-01-15T10:30:00.000Z",
    "metadata": "must be an object",
    "tags": "must be an object whose values are strings",
}
_NUMBER_OR_NULL = "must be a whole number or null"
_TEXT_OR_NULL = "must be a string or null"
_EXPECTED_IN_STACK: dict[str, str] = {
    ".raw": _TEXT,
    ".parser": f"must be one of {', '.join(get_args(Parser))}",
    ".frames": "must be a list",
    ".frames[]": "must be an object",
    ".frames[].functionName": _TEXT_OR_NULL,
    ".frames[].fileName": _TEXT_OR_NULL,
    ".frames[].lineNumber": _NUMBER_OR_NULL,
    ".frames[].columnNumber": _NUMBER_OR_NULL,
    ".frames[].inApp": "must be true or false",
    ".frames[].raw": _TEXT,
}
"""What is expected in a parsed stack, by the path that the decoder names."""
_LACKING = re.compile(r"missing required field `(\w+)`")
_INDEX = re.compile(r"\[\d+\]")
_BAD_ESCAPE = "must not contain NUL characters, nor half of a surrogate pair"
_HINTS = get_type_hints(IngestEvent, include_extras=True)
_DECODE: dict[str, Callable[[bytes], Any]] = {
    field.encode_name: msgspec.json.Decoder(_HINTS[field.name]).decode
    for field in msgspec.structs.fields(IngestEvent)
} | {"metadata": msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode}
_REQUIRED = frozenset(
    field.encode_name for field in msgspec.structs.fields(IngestEvent) if field.required
)


def _problems_of(index: int, raw: msgspec.Raw) -> list[Problem]:
    """What keeps an event from being decoded, field by field."""
    try:
        fields = _fields(raw)
    except msgspec.ValidationError:
        return [Problem(f"events[{index}]", "must be an object")]
    problems = []
    for name, expected in _EXPECTED.items():
        value = fields.get(name)
        if name in _REQUIRED and (value is None or value == NULL):
            problems.append(Problem(f"events[{index}].{name}", "is required"))
        elif value is not None:
            try:
                _DECODE[name](bytes(value))
            except msgspec.ValidationError as error:
                problems.append(_problem(f"events[{index}].{name}", expected, error))
    return problems


def _problem(field: str, expected: str, error: msgspec.ValidationError) -> Problem:
    """The problem with a field, or with what is deeper in it, where the decoder says which."""
    said, _, path = str(error).partition(" - at `$")
    where = path.rstrip("`")
    lacking = _LACKING.search(said)
    if lacking:
        return Problem(f"{field}{where}.{lacking[1]}", "is required")
    deeper = _EXPECTED_IN_STACK.get(_INDEX.sub("[]", where))
    return Problem(field, expected) if deeper is None else Problem(f"{field}{where}", deeper)


def _bad_escapes(index: int, raw: msgspec.Raw) -> list[Problem]:
    """The fields of an event that hold characters which cannot be kept."""
    try:
        fields = _fields(raw)
    except msgspec.ValidationError:
        return []
    return [
        Problem(f"events[{index}].{name}", _BAD_ESCAPE)
        for name, value in fields.items()
        if bad_escape(bytes(value))
    ]


# -- to commands ---------------------------------------------------------------------------------


def to_commands(
    events: list[IngestEvent], first: int, app: str, scrub: Scrubber, now: datetime
) -> list[ReportError]:
    """The commands of some events of a batch, the first of which has the index `first`.

    Raises BadRequest for what only shows itself when it is to be kept: a number out of range, a
    time before year 1, an environment that is too long."""
    commands = []
    for index, event in enumerate(events, start=first):
        try:
            commands.append(_to_command(event, app, scrub, now))
        except BadRequest as error:
            problems = [
                Problem(f"events[{index}].{one.field}", one.problem) for one in error.problems
            ]
            raise BadRequest.of(problems) from None
    return commands


def _to_command(event: IngestEvent, app: str, scrub: Scrubber, now: datetime) -> ReportError:
    tags = event.tags or {}
    texts = (event.message, event.user_id or "", *tags, *tags.values())
    clean = Cleaner(scrub, texts, (event.metadata,))
    level = _level(tags)
    code = event.code or None
    client_id = _encode(event.id)[1:-1].decode()  # str() takes three times as long
    occurrence = Occurrence(
        message=clean.text(event.message),
        level=kept_level(level),
        fatal=level == "fatal",
        source=event.platform,
        environment=_environment(tags),
        timestamp=happened(_utc(event.timestamp), now),
        stack_trace=clean.stack_trace(event.stack_trace),
        context=clean.json("metadata", event.metadata),
        event_id=client_id,
        tags=clean.tags(event.tags),
        release=event.app_version or None,
        code=code,
        platform=event.platform,
        platform_version=event.platform_version or None,
        user_id=clean.text(event.user_id) if event.user_id else None,
        parsed_stack=_parsed_stack(event.parsed_stack, clean, scrub),
        filtered=clean.count,
    )
    grouping = group_report(occurrence.message, occurrence.stack_trace, code=code)
    return command_of(report_id(app, client_id), app, grouping, occurrence, now)


def _utc(time: datetime) -> datetime:
    if time.tzinfo is UTC:
        return time
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise BadRequest.field(
            "timestamp", "must lie between the years 1 and 9999 in UTC"
        ) from None


def _level(tags: dict[str, str]) -> ReportLevel:
    """The first tag that is a level; other words ("high") are degrees of an error."""
    for name in ("severity", "level"):
        level = _LEVELS.get(tags.get(name, "").lower())
        if level is not None:
            return level
    return "error"


def _environment(tags: dict[str, str]) -> str:
    environment = tags.get("environment", "")
    if len(environment) > MAX_ENVIRONMENT:
        problem = f"must have at most {MAX_ENVIRONMENT} characters"
        raise BadRequest.field("tags.environment", problem)
    return environment if environment.strip() else DEFAULT_ENVIRONMENT


def _parsed_stack(stack: IngestStack | None, clean: Cleaner, scrub: Scrubber) -> msgspec.Raw:
    if stack is None:
        return NULL
    text = _encode(stack)
    short = len(text) <= _REMEMBERED_STACK
    cleaned, found = (_clean_stack if short else _clean_stack.__wrapped__)(text, scrub)
    clean.count += found
    return cleaned


# Stacks repeat from event to event. At worst, all 8,192 bytes long, they take 8 MB.
_REMEMBERED_STACK = 8_192


@lru_cache(maxsize=512)
def _clean_stack(text: bytes, scrub: Scrubber) -> tuple[msgspec.Raw, int]:
    cleaned, found = scrub.value(msgspec.json.decode(text))
    return msgspec.Raw(_encode(cleaned) if found else text), found
