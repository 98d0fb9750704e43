"""A report on its way in: from the bytes of a body to the command, with every problem named.

The body is taken apart field by field, so that one answer tells all that is wrong with it.
`context` and `user` stay JSON text: nothing of them is cut, rounded or reordered, except that
secrets leave them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar, cast
from uuid import UUID

import msgspec

from api.answers import Problem
from api.cleaner import Cleaner
from api.failures import BadRequest
from api.json_text import bad_escape, check_text, fields_with_bad_escapes, why_malformed
from domain.error_group import ReportError
from domain.fingerprint import Grouping, group_report
from domain.message import derived_id
from domain.occurrence import NULL, GroupingRecord, Occurrence
from domain.scrubbing import Scrubber
from domain.vocabulary import Level

T = TypeVar("T")

ReportLevel = Literal["error", "warning", "info", "debug", "fatal"]
LEVELS: tuple[str, ...] = ("error", "warning", "info", "debug", "fatal")
DEFAULT_LEVEL: ReportLevel = "error"
DEFAULT_ENVIRONMENT = "production"

MAX_SOURCE = 200
MAX_ENVIRONMENT = 100
MAX_RELEASE = 200
MAX_FINGERPRINT_PARTS = 20
MAX_FINGERPRINT_BYTES = 2048
MAX_AHEAD = timedelta(minutes=5)

_ABSENT = msgspec.Raw()


class _Fields(msgspec.Struct, frozen=True):
    """A body with its fields still as JSON text; fields that we do not know are ignored."""

    message: msgspec.Raw = _ABSENT
    source: msgspec.Raw = _ABSENT
    level: msgspec.Raw = _ABSENT
    environment: msgspec.Raw = _ABSENT
    stack_trace: msgspec.Raw = _ABSENT
    context: msgspec.Raw = _ABSENT
    url: msgspec.Raw = _ABSENT
    user_agent: msgspec.Raw = _ABSENT
    ip_address: msgspec.Raw = _ABSENT
    event_id: msgspec.Raw = _ABSENT
    timestamp: msgspec.Raw = _ABSENT
    app: msgspec.Raw = _ABSENT
    fingerprint: msgspec.Raw = _ABSENT
    tags: msgspec.Raw = _ABSENT
    user: msgspec.Raw = _ABSENT
    release: msgspec.Raw = _ABSENT


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A report whose every field is as it should be, not yet scrubbed."""

    message: str
    source: str
    level: ReportLevel
    environment: str
    stack_trace: str | None
    context: msgspec.Raw | None
    url: str | None
    user_agent: str | None
    ip_address: str | None
    event_id: UUID | None
    timestamp: datetime | None
    app: str | None
    fingerprint: str | list[str] | None
    tags: dict[str, str] | None
    user: msgspec.Raw | None
    release: str | None


class Sender(msgspec.Struct, frozen=True):
    """What the request itself says of who sends: used where the body does not say it."""

    ip_address: str | None = None
    user_agent: str | None = None
    idempotency_key: str | None = None


_fields = msgspec.json.Decoder(_Fields).decode
_text = msgspec.json.Decoder(str).decode
_texts: Callable[[msgspec.Raw], str | list[str]] = msgspec.json.Decoder(str | list[str]).decode
_tags = msgspec.json.Decoder(dict[str, str]).decode
_uuid = msgspec.json.Decoder(UUID).decode
_time = msgspec.json.Decoder(datetime).decode


def read_report(body: bytes) -> Report:
    """The report a body holds. Raises BadRequest, with a Problem for each field that is wrong."""
    check_text(body)
    problem = bad_escape(body)
    if problem:
        raise _bad_escape_in(body, problem)
    try:
        fields = _fields(body)
    except msgspec.ValidationError:
        raise BadRequest("the body must be a JSON object") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not JSON: {why_malformed(error)}") from None
    return _Reading(fields).report()


def to_command(
    report: Report, app: str, sender: Sender, scrub: Scrubber, now: datetime
) -> ReportError:
    """The command that a report of an application becomes: scrubbed, grouped, with its ids.

    Raises BadRequest for a number in `context` or `user` that no reader could hold."""
    tags = report.tags or {}
    texts = (report.message, report.url or "", *tags, *tags.values())
    clean = Cleaner(scrub, texts, (report.context, report.user))
    user = clean.json("user", report.user)
    occurrence = Occurrence(
        message=clean.text(report.message),
        level=kept_level(report.level),
        fatal=report.level == "fatal",
        source=report.source,
        environment=report.environment,
        timestamp=happened(report.timestamp, now),
        stack_trace=clean.stack_trace(report.stack_trace),
        context=clean.json("context", report.context),
        url=clean.url(report.url),
        user_agent=report.user_agent or sender.user_agent,
        ip_address=report.ip_address or sender.ip_address,
        event_id=str(report.event_id) if report.event_id else None,
        tags=clean.tags(report.tags),
        user=user,
        user_id=_user_id(user),
        release=report.release,
        filtered=clean.count,
    )
    grouping = group_report(occurrence.message, occurrence.stack_trace, report.fingerprint)
    return command_of(_event_id(report, app, sender), app, grouping, occurrence, now)


def command_of(
    event_id: UUID | None, app: str, grouping: Grouping, occurrence: Occurrence, now: datetime
) -> ReportError:
    """The command to store an occurrence, which arrives now, in its group."""
    return ReportError(
        event_id=event_id,
        app=app,
        fingerprint=grouping.fingerprint,
        grouping=GroupingRecord(
            version=grouping.version,
            parts=grouping.parts,
            reasons=grouping.reasons,
            type=grouping.type,
            words=grouping.words,
        ),
        occurrence=occurrence,
        now=now,
    )


class _Reading:
    """Takes the fields one by one and collects what is wrong with them."""

    def __init__(self, fields: _Fields) -> None:
        self._fields = fields
        self._problems: list[Problem] = []

    def report(self) -> Report:
        """All fields, or BadRequest with all problems."""
        report = Report(
            message=self._required("message"),
            source=self._required("source", MAX_SOURCE),
            level=self._level(),
            environment=self._short("environment", MAX_ENVIRONMENT) or DEFAULT_ENVIRONMENT,
            stack_trace=self._string("stack_trace"),
            context=self._object("context"),
            url=self._string("url"),
            user_agent=self._string("user_agent"),
            ip_address=self._string("ip_address"),
            event_id=self._take("event_id", _uuid, "must be a UUID"),
            timestamp=self._timestamp(),
            app=self._short("app", 100),
            fingerprint=self._fingerprint(),
            tags=self._take("tags", _tags, "must be an object whose values are strings"),
            user=self._object("user"),
            release=self._short("release", MAX_RELEASE),
        )
        if self._problems:
            raise BadRequest.of(self._problems)
        return report

    def _wrong(self, field: str, problem: str) -> None:
        self._problems.append(Problem(field, problem))

    def _raw(self, field: str) -> msgspec.Raw | None:
        raw: msgspec.Raw = getattr(self._fields, field)
        return None if not raw or raw == NULL else raw

    def _take(self, field: str, decode: Callable[[msgspec.Raw], T], problem: str) -> T | None:
        raw = self._raw(field)
        if raw is None:
            return None
        try:
            return decode(raw)
        except msgspec.ValidationError:
            self._wrong(field, problem)
            return None

    def _string(self, field: str) -> str | None:
        return self._take(field, _text, "must be a string")

    def _short(self, field: str, most: int) -> str | None:
        text = self._string(field)
        if text is not None and not (text.strip() and len(text) <= most):
            self._wrong(field, f"must have 1 to {most} characters, and not only blanks")
        return text

    def _required(self, field: str, most: int | None = None) -> str:
        if self._raw(field) is None:
            self._wrong(field, "is required")
            return ""
        text = self._string(field)
        if text is None:
            return ""
        if not text.strip():
            self._wrong(field, "must not be empty")
        elif most is not None and len(text) > most:
            self._wrong(field, f"must have at most {most} characters")
        return text

    def _level(self) -> ReportLevel:
        problem = f"must be one of {', '.join(LEVELS)}"
        level = self._take("level", _text, problem)
        if level is not None and level not in LEVELS:
            self._wrong("level", problem)
        return cast("ReportLevel", level or DEFAULT_LEVEL)

    def _object(self, field: str) -> msgspec.Raw | None:
        raw = self._raw(field)
        if raw is not None and bytes(raw)[:1] != b"{":
            self._wrong(field, "must be an object")
        return raw

    def _timestamp(self) -> datetime | None:
        problem = "must be an RFC 3339 time with its offset, such as 2025-08-29T12:00:00Z"
        time = self._take("timestamp", _time, problem)
        if time is None:
            return None
        if time.tzinfo is None:
            self._wrong("timestamp", problem)
            return None
        try:
            return time.astimezone(UTC)
        except OverflowError:
            self._wrong("timestamp", "must lie between the years 1 and 9999 in UTC")
            return None

    def _fingerprint(self) -> str | list[str] | None:
        given = self._take("fingerprint", _texts, "must be a string or a list of strings")
        if given is None:
            return None
        parts = [given] if isinstance(given, str) else given
        size = sum(len(part.encode()) for part in parts)
        if not parts or not all(part.strip() for part in parts):
            self._wrong("fingerprint", "must not be empty, nor hold an empty part")
        elif len(parts) > MAX_FINGERPRINT_PARTS or size > MAX_FINGERPRINT_BYTES:
            most = f"{MAX_FINGERPRINT_PARTS} parts and {MAX_FINGERPRINT_BYTES} bytes"
            self._wrong("fingerprint", f"must have at most {most}")
        return given


def kept_level(level: ReportLevel) -> Level:
    """The level under which the log keeps a report."""
    return "error" if level == "fatal" else level


def happened(claimed: datetime | None, now: datetime) -> datetime:
    """When it happened. A clock that runs ahead is not believed."""
    return now if claimed is None or claimed > now + MAX_AHEAD else claimed


def _event_id(report: Report, app: str, sender: Sender) -> UUID | None:
    """The id under which the log holds this report once; each application has its own ids."""
    if report.event_id is not None:
        return report_id(app, str(report.event_id))
    if sender.idempotency_key is not None:
        return derived_id("report", app, "key", sender.idempotency_key)
    return None


def report_id(app: str, client_id: str) -> UUID:
    """The log's id of a report that a client has given an id (a UUID as text) of its own."""
    return derived_id("report", app, "id", client_id)


class _User(msgspec.Struct, frozen=True):
    id: str | int | None = None


_user = msgspec.json.Decoder(_User).decode


def _user_id(user: msgspec.Raw) -> str | None:
    """Whom it happened to, where the report tells it as a string or a number."""
    if user == NULL:
        return None
    try:
        found = _user(user).id
    except msgspec.ValidationError:
        return None
    return None if found in (None, "") else str(found)


def _bad_escape_in(body: bytes, problem: str) -> BadRequest:
    """The problem with the fields it is in, where the body can be taken apart that far."""
    names = fields_with_bad_escapes(body)
    if not names:
        return BadRequest(f"the body {problem}")
    return BadRequest.of([Problem(name, problem) for name in names])
