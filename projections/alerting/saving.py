"""The manager's state as bytes and back. What follows from settings is made anew; windows, what is
firing and what waits to be told is kept to the microsecond, so that going on from a snapshot is
going on."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from uuid import UUID

import msgspec

from domain.alert import AlertFacts
from domain.rule_settings import RuleSettings
from domain.vocabulary import CHANNELS, Channel
from projections.alerting.calendar import Entry
from projections.alerting.counting import Rule
from projections.alerting.digest import Outbox
from projections.alerting.evaluation import Evaluation
from projections.alerting.force import Force
from projections.alerting.matching import Counted, Happening, Source
from projections.alerting.rules import enforced
from projections.alerting.services import Downtime, Services
from projections.alerting.users import Crowd, Users
from projections.alerting.windows import Place, Span, Tape, Window


# Without garbage collection: there are many of them, for a moment, and they form no cycles.
class _Window(msgspec.Struct, array_like=True, gc=False):
    """A window of any kind: `wake`, and the first entry of a span, or who was seen, or which
    downtimes were over."""

    wake: int
    start: int = 0
    total: int = 0
    bits: int = 0
    seen: list[tuple[str, tuple[int, int]]] | None = None
    ended: dict[str, int] | None = None


class _Evaluation(msgspec.Struct, array_like=True, gc=False):
    group: bytes
    app: str
    windows: list[_Window]
    due: int | None = None
    last_triggered: int | None = None
    firing_since: int | None = None
    false_since: int | None = None
    triggers: int = 0
    told: bool = False
    incident: UUID | None = None
    facts: AlertFacts | None = None


class _Rule(msgspec.Struct, array_like=True, gc=False):
    number: int
    rule_id: UUID
    version: int
    settings: RuleSettings
    since: int | None
    silenced_until: int | None
    outboxes: dict[Channel, Outbox]
    incident: UUID | None
    evaluations: list[_Evaluation]


class _Tape(msgspec.Struct, array_like=True, gc=False):
    last: Place | None
    moved: int
    times: bytes = b""
    places: bytes = b""
    dropped: int = 0
    total: int = 0
    stride: int = 1
    skipped: int = 0
    room: int = 0


class _Source(msgspec.Struct, array_like=True):
    counted: Counted
    whole: _Tape | None
    groups: list[tuple[bytes, _Tape]]
    known: list[tuple[UUID, str | None, str | None]]


class Saved(msgspec.Struct, array_like=True):
    """All of it."""

    position: int
    now: int
    last_report: Happening | None
    downtimes: dict[str, Downtime]
    rules: list[_Rule]
    sources: list[_Source]


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Saved).decode


# -- to bytes ------------------------------------------------------------------------------------


def saved(force: Force, now: int, last_report: Happening | None) -> Saved:
    """The state, ready to be encoded."""
    return Saved(
        position=force.position,
        now=now,
        last_report=last_report,
        downtimes=force.roster.downtimes,
        rules=[_rule(rule) for rule in force.rules.values()],
        sources=[_source(source) for source in force.counting.index.sources.values()],
    )


def _rule(rule: Rule) -> _Rule:
    made = rule.enforced
    return _Rule(
        number=made.number,
        rule_id=made.rule_id,
        version=made.version,
        settings=made.settings,
        since=rule.since,
        silenced_until=rule.silenced_until,
        outboxes=rule.outboxes,
        incident=rule.incident,
        evaluations=[_evaluation(one) for one in rule.evaluations.values()],
    )


def _evaluation(one: Evaluation) -> _Evaluation:
    return _Evaluation(
        one.group.to_bytes(16, "big"),
        one.app,
        [_window(window) for window in one.windows],
        one.due,
        one.last_triggered,
        one.firing_since,
        one.false_since,
        one.triggers,
        one.told,
        one.incident,
        one.facts,
    )


def _window(window: Window) -> _Window:
    if isinstance(window, Span):
        return _Window(window.wake, window.start)
    if isinstance(window, Users):
        return _Window(window.wake, 0, window.total, window.bits, list(window.seen.items()))
    assert isinstance(window, Services)
    return _Window(window.wake, ended=window.ended)


def _source(source: Source) -> _Source:
    return _Source(
        counted=source.counted,
        whole=None if source.whole is None else _tape(source.whole),
        groups=[(group.to_bytes(16, "big"), _tape(tape)) for group, tape in source.groups.items()],
        known=[(group, *known) for group, known in source.known.items()],
    )


def _tape(tape: Tape | Crowd) -> _Tape:
    if isinstance(tape, Crowd):
        return _Tape(tape.last, tape.moved)
    return _Tape(
        tape.last,
        tape.moved,
        tape.times.tobytes(),
        tape.places.tobytes(),
        tape.dropped,
        tape.total,
        tape.stride,
        tape.skipped,
        tape.room,
    )


# -- and back ------------------------------------------------------------------------------------


def restore(force: Force, state: Saved) -> None:
    """Bring an empty `force` to a saved state."""
    force.position = state.position
    force.roster.downtimes = state.downtimes
    for kept in state.rules:
        rule = _restored_rule(force, kept)
        if kept.since is not None:
            force.counting.enlist(rule)
    for source in state.sources:
        _restore_source(force.counting.index.sources[source.counted], source)
    for kept in state.rules:
        _restore_evaluations(force, force.rules[kept.number], kept)


def _restored_rule(force: Force, kept: _Rule) -> Rule:
    made = enforced(kept.rule_id, kept.number, kept.version, kept.settings)
    rule = force.rules[kept.number] = Rule(made, kept.since)
    rule.silenced_until = kept.silenced_until
    rule.outboxes = kept.outboxes
    rule.incident = kept.incident
    rule.involved.update(one.incident for one in kept.evaluations if one.incident is not None)
    force.numbers[kept.rule_id] = kept.number
    for channel, outbox in kept.outboxes.items():
        if outbox.due is not None:
            force.calendar.put(Entry(outbox.due, kept.number, True, CHANNELS.index(channel)))
    return rule


def _restore_source(source: Source, kept: _Source) -> None:
    if kept.whole is not None:
        _restore_tape(source.tape_of(0), kept.whole)
    for group, tape in kept.groups:
        _restore_tape(source.tape_of(int.from_bytes(group, "big")), tape)
    source.known = OrderedDict((group, (message, code)) for group, message, code in kept.known)


def _restore_tape(tape: Tape | Crowd, kept: _Tape) -> None:
    tape.last, tape.moved = kept.last, kept.moved
    if isinstance(tape, Tape):
        tape.times, tape.places = array("q", kept.times), array("q", kept.places)
        tape.dropped, tape.total = kept.dropped, kept.total
        tape.stride, tape.skipped, tape.room = kept.stride, kept.skipped, kept.room


def _restore_evaluations(force: Force, rule: Rule, kept: _Rule) -> None:
    for one in kept.evaluations:
        evaluation = force.counting.open(rule, int.from_bytes(one.group, "big"), one.app)
        for window, was in zip(evaluation.windows, one.windows, strict=True):
            _restore_window(window, was)
        evaluation.due = one.due
        evaluation.last_triggered = one.last_triggered
        evaluation.firing_since = one.firing_since
        evaluation.false_since = one.false_since
        evaluation.triggers = one.triggers
        evaluation.told = one.told
        evaluation.incident = one.incident
        evaluation.facts = one.facts
        if one.due is not None:
            force.calendar.put(Entry(one.due, kept.number, False, evaluation.group))


def _restore_window(window: Window, kept: _Window) -> None:
    window.wake = kept.wake
    if isinstance(window, Span):
        window.start = kept.start
        window.tape.rearm()
    elif isinstance(window, Users):
        window.seen = OrderedDict(kept.seen or ())
        window.total, window.bits = kept.total, kept.bits
    elif isinstance(window, Services):
        window.ended = kept.ended or {}
