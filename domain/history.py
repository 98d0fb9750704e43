"""What an auditor asks of events: whose they are, what each changed, and no secrets in the answer.

The change that an event made is the difference between its stream's state before it and after it,
field by field. Fields inside fields have dotted names (`settings.enabled`); what is not there is
null. The log itself holds hashes of keys and sealed configurations: whoever is shown an event sees
only that they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain.app import app_stream
from domain.catalog import DECIDERS, EVENTS, KINDS
from domain.failures import Invalid
from domain.integration import STREAMS, channel
from domain.member import TEAM, Team
from domain.message import Event, Recorded

SECRET_FIELDS = frozenset({"key_hash", "token_hash", "ciphertext", "digest"})
"""Fields of events and states that nobody is shown. An HMAC (`digest`) tells equal secrets."""

MASK = "****"

_MODULES = {command.__module__: decider.kind for command, decider in DECIDERS.items()}

KIND_OF_EVENT: Mapping[str, str] = {
    name: _MODULES.get(event.__module__, "") for name, event in EVENTS.items()
}
"""Event name -> the kind of stream that it stands in."""

_WORDS: Mapping[str, str] = {
    "error": "error_group",
    "rule": "alert_rule",
    "key": "api_key",
    "member": "team",
}
KIND_WORDS: Mapping[str, str] = {**{kind: kind for kind in KINDS}, **_WORDS}
"""What people call a kind of stream, its own name or a shorter one -> the kind."""


class Change(msgspec.Struct, frozen=True):
    """One field that differs; null where it was or is not there."""

    field: str
    before: Any
    after: Any


class Entry(NamedTuple):
    """An event and what it changed; None where that was too far from the stream's beginning to be
    worked out."""

    recorded: Recorded[Any]
    changes: tuple[Change, ...] | None


class Subject(msgspec.Struct, frozen=True):
    """Something that has a history: a stream, or one member in the team's."""

    kind: str
    stream_id: UUID
    member_id: UUID | None = None

    def involved(self, recorded: Recorded[Any]) -> bool:
        """Whether an event of the stream is about it; none is where the stream is of another
        kind."""
        if KIND_OF_EVENT.get(recorded.name) != self.kind:
            return False
        member_id = getattr(recorded.event, "member_id", None)
        return self.member_id is None or member_id == self.member_id

    def seen_in(self, state: Any) -> Any:
        """Its part of the stream's state."""
        if self.member_id is not None and isinstance(state, Team):
            return state.members.get(self.member_id)
        return state


def _stream(kind: str) -> Callable[[str], Subject]:
    def named(text: str) -> Subject:
        return Subject(kind, _uuid(text))

    return named


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("id", "must be a UUID") from None


SUBJECTS: Mapping[str, Callable[[str], Subject]] = {
    "error": _stream("error_group"),
    "rule": _stream("alert_rule"),
    "incident": _stream("incident"),
    "key": _stream("api_key"),
    "check": _stream("check"),
    "member": lambda text: Subject("team", TEAM, _uuid(text)),
    "integration": lambda text: Subject("integration", STREAMS[channel(text)]),
    "app": lambda text: Subject("app", app_stream(text)),
}
"""What has a history -> the one of this id. Raises Invalid for a bad id, NotFound for a channel
that there is not."""


def subject_of(word: str, identity: str) -> Subject:
    """The subject of this kind, by either of its names, and id. Raises Invalid, NotFound."""
    short = next((one for one, kind in _WORDS.items() if kind == word), word)
    return SUBJECTS[short](identity)


def entries(
    subject: Subject, events: Iterable[Recorded[Any]], state: Any = None
) -> Iterator[Entry]:
    """What each of a stream's events changed, from a state on or from the very beginning; only
    those that are about the subject."""
    decider = KINDS[subject.kind]
    before = decider.initial if state is None else state
    for recorded in events:
        after = decider.evolve(before, recorded)
        if subject.involved(recorded):
            changed = changes(subject.seen_in(before), subject.seen_in(after))
            yield Entry(recorded, changed)
        before = after


def changes(before: Any, after: Any) -> tuple[Change, ...]:
    """In which fields two states differ; secrets are masked after they are compared."""
    old, new = dict(_fields(before)), dict(_fields(after))
    return tuple(
        Change(name, _masked(name, old.get(name)), _masked(name, new.get(name)))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    )


def _fields(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All that is not null, by dotted name."""
    if isinstance(value, msgspec.Struct):
        parts: dict[Any, Any] = {field: getattr(value, field) for field in value.__struct_fields__}
    elif isinstance(value, dict):
        parts = value
    else:
        if value is not None:
            yield name, value
        return
    for field, part in parts.items():
        yield from _fields(part, f"{name}.{field}" if name else str(field))


def _masked(name: str, value: Any) -> Any:
    secret = name.rpartition(".")[2] in SECRET_FIELDS
    return MASK if secret and value else value


# -- whole events --------------------------------------------------------------------------------


def has_secrets(event: type[Event]) -> bool:
    """Whether an event's shape holds fields that nobody is shown."""
    return event in _WITH_SECRETS


def shown(value: Any) -> Any:
    """An event as it may be shown: plain values, secrets masked."""
    if isinstance(value, msgspec.Struct):
        return {
            name: MASK if name in SECRET_FIELDS and part else shown(part)
            for name, part in ((name, getattr(value, name)) for name in value.__struct_fields__)
        }
    if isinstance(value, dict):
        return {key: shown(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [shown(part) for part in value]
    return value


def _secret_names(shape: Any) -> bool:
    match shape:
        case msgspec.inspect.StructType(fields=fields):
            return any(field.name in SECRET_FIELDS or _secret_names(field.type) for field in fields)
        case msgspec.inspect.UnionType(types=types):
            return any(map(_secret_names, types))
        case (
            msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item)
        ):
            return _secret_names(item)
    return False


_WITH_SECRETS = frozenset(
    event for event in EVENTS.values() if _secret_names(msgspec.inspect.type_info(event))
)


def apps_of(event: Event) -> frozenset[str]:
    """The applications that an event is about: before and after it; none where it concerns all."""
    parts = (event, *(getattr(event, name, None) for name in ("settings", "before", "facts")))
    found = (getattr(part, "app", None) for part in parts)
    return frozenset(app for app in found if isinstance(app, str))


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of the log somebody asks for; None: any. `since` and `until` bound the time of
    recording, both included; `after` and `before` bound positions, both left out."""

    stream_id: UUID | None = None
    names: frozenset[str] | None = None
    actor: str | None = None
    app: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: int = 0
    before: int | None = None

    def at(self, position: int | None) -> Wanted:
        """Only what stands at a position, if one is given."""
        if position is None:
            return self
        before = position + 1 if self.before is None else min(self.before, position + 1)
        return msgspec.structs.replace(self, after=max(self.after, position - 1), before=before)

    @property
    def everything(self) -> bool:
        """Whether no event of its positions is left out."""
        parts = (self.stream_id, self.names, self.actor, self.app, self.correlation_id)
        return all(part is None for part in parts)


def names_wanted(kind: str | None, name: str | None) -> frozenset[str] | None:
    """The event names of a kind of stream (see KIND_WORDS), or the one name, or what is both;
    None for any."""
    if kind is None and name is None:
        return None
    return frozenset(
        one
        for one, its_kind in KIND_OF_EVENT.items()
        if (kind is None or KIND_WORDS[kind] == its_kind) and name in (None, one)
    )


class HistoryPage(NamedTuple):
    """Entries of one subject, newest first; `next_before`, a stream's version, continues them."""

    entries: list[Entry]
    next_before: int | None


class AuditEntry(NamedTuple):
    """An entry with its event's data as JSON, secrets masked."""

    entry: Entry
    data: bytes


class AuditPage(NamedTuple):
    """Entries of the whole log; `reached`, a position, continues them, None at the end. So that
    nobody waits for long a page may hold fewer than asked for, or none, and yet go on."""

    entries: list[AuditEntry]
    reached: int | None


def app_of(event: Event) -> str | None:
    """The application that an event's thing belongs to after it; None for what concerns all."""
    parts = (event, *(getattr(event, name, None) for name in ("settings", "facts")))
    found = (getattr(part, "app", None) for part in parts)
    return next((app for app in found if isinstance(app, str)), None)
