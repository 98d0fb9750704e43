"""Which rules an event concerns.

A comparison says what it counts: a kind of event, of one application or of all, that passes some
filters. Comparisons that count the same share a source. Which sources an event belongs to depends
on a few words of it, and those come back again and again: so the answer is looked up. Only what
messages contain is looked at each time, and fingerprints have a map of their own.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec

from domain.condition import Comparison, Field, Metric
from domain.error_group import group_id
from domain.vocabulary import ANY_APP
from projections.alerting.users import Crowd
from projections.alerting.windows import Tape

Kind = Literal["reported", "new", "regressed", "resolved"]

_KINDS: dict[Metric, Kind] = {
    "error_count": "reported",
    "critical_count": "reported",
    "warning_count": "reported",
    "error_rate": "reported",
    "affected_users": "reported",
    "new_errors": "new",
    "regressions": "regressed",
    "resolved_count": "resolved",
}
_LEVELS: dict[Metric, str] = {"critical_count": "error", "warning_count": "warning"}

_REMEMBERED = 100_000
"""Errors of which a rule on resolutions knows the last message and code."""

_ANSWERS = 65_536
"""How many answers are kept for events that look alike."""


class Happening(NamedTuple):
    """What filters are asked about an event. `kind` is "new" for an error's first report."""

    kind: Kind
    app: str
    level: str
    source: str
    environment: str
    code: str | None
    fingerprint: str | None
    group: UUID
    message: str | None
    user: str | None


class Counted(msgspec.Struct, frozen=True):
    """What a comparison counts, whatever its window and threshold. `where` holds the filters that
    an event's few words decide, `contains` what its message has to contain. `owner` is set to a
    rule's number where it cannot share with others."""

    kind: Kind
    users: bool
    app: str
    where: frozenset[tuple[Field, frozenset[str]]]
    contains: tuple[str, ...]
    fingerprints: frozenset[str] | None
    owner: int = 0

    @property
    def remembers(self) -> bool:
        """Whether it asks for what resolutions do not say."""
        return self.kind == "resolved" and bool(self.contains or self.asks_for("code"))

    def asks_for(self, field: Field) -> bool:
        """Whether a filter is about this field."""
        return any(field == asked for asked, _ in self.where)


def counted_by(comparison: Comparison, app: str, owner: int) -> Counted:
    """What a comparison of a rule counts, service_down apart. `owner` is the rule's number, used
    where others could not count the same."""
    where = [(one.field, frozenset(one.values)) for one in comparison.where]
    fingerprints = [values for field, values in where if field == "fingerprint"]
    level = _LEVELS.get(comparison.metric)
    if level is not None:
        where.append(("level", frozenset({level})))
    counted = Counted(
        kind=_KINDS[comparison.metric],
        users=comparison.metric == "affected_users",
        app=app,
        where=frozenset(one for one in where if one[0] not in ("message", "fingerprint")),
        contains=tuple(sorted({v for f, vs in where if f == "message" for v in vs})),
        fingerprints=frozenset.intersection(*fingerprints) if fingerprints else None,
    )
    return msgspec.structs.replace(counted, owner=owner) if counted.remembers else counted


class Source:
    """What shares what it counts: `whole` for rules on all of it, `groups` for rules on each
    error. `stamp` changes when a rule comes that errors known so far have not met. The message
    of an event has to contain `contains` and all of `contains_more`."""

    def __init__(self, counted: Counted) -> None:
        self.counted = counted
        first, *more = ("", *counted.contains) if counted.remembers else (*counted.contains, "")
        self.contains = first
        self.contains_more = () if counted.remembers else tuple(text for text in more if text)
        self.whole: Tape | Crowd | None = None
        self.groups: dict[int, Tape | Crowd] = {}
        self.per_error: set[int] = set()
        self.stamp = 0
        self.users = 0
        self.known: OrderedDict[UUID, tuple[str | None, str | None]] = OrderedDict()

    def tape_of(self, group: int) -> Tape | Crowd:
        """Where an error's entries are kept, or for 0 all of them; made where there is none."""
        found = self.groups.get(group) if group else self.whole
        if found is None:
            found = Crowd() if self.counted.users else Tape()
            if group:
                self.groups[group] = found
            else:
                self.whole = found
        return found

    def left(self, group: int) -> None:
        """A window on an error's entries, or for 0 on all of them, is closed. Without any the
        entries go; otherwise the error's next event asks anew whose windows it needs."""
        found = self.groups.get(group) if group else self.whole
        if found is None or found.windows:
            if found is not None:
                found.stamp = -1
        elif group:
            del self.groups[group]
        else:
            self.whole = None

    def contained(self, message: str | None) -> bool:
        """Whether a message contains what it has to."""
        return all(text in (message or "") for text in self.counted.contains)

    def wants(self, happening: Happening) -> bool:
        """Whether the event passes the filters on its few words."""
        counted = self.counted
        if counted.kind != happening.kind and (counted.kind, happening.kind) != ("reported", "new"):
            return False
        if counted.app not in (ANY_APP, happening.app):
            return False
        return all(getattr(happening, field) in values for field, values in counted.where)

    def remember(self, happening: Happening) -> None:
        """Keep what a resolution of this error will not say."""
        if self.counted.app in (ANY_APP, happening.app):
            self.known[happening.group] = (happening.message, happening.code)
            self.known.move_to_end(happening.group)
            if len(self.known) > _REMEMBERED:
                self.known.popitem(last=False)


class Index:
    """All sources, found by what they count and by the events that belong to them."""

    def __init__(self) -> None:
        self.sources: dict[Counted, Source] = {}
        self._any: list[Source] = []
        self._of_fingerprint: defaultdict[str, list[Source]] = defaultdict(list)
        self._remembering: list[Source] = []
        self._by_code = False
        self._answers: dict[tuple[str | None, ...], tuple[Source, ...]] = {}

    def source(self, counted: Counted) -> Source:
        """The source of what is counted, made where there is none. Give it back by `release`."""
        source = self.sources.get(counted)
        if source is None:
            source = self.sources[counted] = Source(counted)
            self._arrange()
        source.users += 1
        return source

    def release(self, source: Source) -> None:
        """One needs the source no more."""
        source.users -= 1
        if not source.users:
            del self.sources[source.counted]
            self._arrange()

    def find(self, happening: Happening) -> Iterable[Source]:
        """The sources that an event belongs to, what its message has to contain apart."""
        kind, app, level, source, environment, code, fingerprint, *_ = happening
        key = (kind, app, level, source, environment, code if self._by_code else None)
        found = self._answers.get(key)
        if found is None:
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
            found = tuple(one for one in self._any if one.wants(happening))
            self._answers[key] = found
        if not self._of_fingerprint and not self._remembering:
            return found
        return (*found, *self._looked_up(happening, fingerprint))

    def remember(self, happening: Happening) -> None:
        """Keep what later resolutions of the error do not say, where a rule asks for it."""
        for source in self._remembering:
            source.remember(happening)

    def _looked_up(self, happening: Happening, fingerprint: str | None) -> Iterable[Source]:
        if fingerprint is None:
            asked = [
                one
                for fingerprint, sources in self._of_fingerprint.items()
                if group_id(happening.app, fingerprint) == happening.group
                for one in sources
            ]
        else:
            asked = self._of_fingerprint.get(fingerprint, [])
        for source in asked:
            if not source.counted.remembers and source.wants(happening):
                yield source
        if happening.kind == "resolved":
            yield from self._recalled(happening, asked)

    def _recalled(self, happening: Happening, asked: list[Source]) -> Iterable[Source]:
        for source in self._remembering:
            known = source.known.get(happening.group)
            if known is None or (source.counted.fingerprints is not None and source not in asked):
                continue
            message, code = known
            if source.wants(happening._replace(code=code)) and source.contained(message):
                yield source

    def _arrange(self) -> None:
        self._answers.clear()
        sources = self.sources.values()
        self._remembering = [one for one in sources if one.counted.remembers]
        self._any = [
            one for one in sources if one.counted.fingerprints is None and not one.counted.remembers
        ]
        self._of_fingerprint.clear()
        for one in sources:
            for fingerprint in one.counted.fingerprints or ():
                self._of_fingerprint[fingerprint].append(one)
        self._by_code = any(one.counted.asks_for("code") for one in self._any)
