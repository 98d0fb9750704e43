"""Events as people read them in a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from domain.history import AuditEntry, Entry, Wanted
    from infra.event_store.scan import LogScan

_POLL_SECONDS = 0.5
_PAGE = 100
_SHORT = 60
_LONG = 200
_LINE = 400
"""Characters of a value beside others, of one on its own, and of a line of the trail."""

_UUID = re.compile(r"\b([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def trail_lines(log: LogScan, wanted: Wanted, count: int, *, as_json: bool) -> list[str]:
    """The last `count` events that are wanted, oldest first."""
    from infra.history import trail_page

    found: list[AuditEntry] = []
    reached: int | None = None
    while len(found) < count:
        limit = min(_PAGE, count - len(found))
        page = trail_page(log, wanted, reached, limit, backwards=True)
        found += page.entries
        reached = page.reached
        if reached is None:
            break
    return [_line(entry, as_json=as_json) for entry in reversed(found)]


def follow_lines(log: LogScan, wanted: Wanted, after: int, *, as_json: bool) -> Iterator[str]:
    """What comes after a position, for ever."""
    import msgspec

    from infra.history import trail_page

    while True:
        head = log.head()
        so_far = msgspec.structs.replace(wanted, before=head + 1)
        reached: int | None = after
        while reached is not None:
            page = trail_page(log, so_far, reached, _PAGE, backwards=False)
            yield from (_line(entry, as_json=as_json) for entry in page.entries)
            reached = page.reached
        after = head
        time.sleep(_POLL_SECONDS)


def as_object(entry: Entry) -> dict[str, Any]:
    """An entry for programs."""
    import msgspec

    one = entry.recorded
    return {
        "position": one.position,
        "recorded_at": one.recorded_at,
        "name": one.name,
        "stream_id": one.stream_id,
        "stream_version": one.stream_version,
        "event_id": one.event_id,
        **msgspec.to_builtins(one.context),
        "changes": entry.changes,
    }


def history_blocks(entries: Sequence[Entry], width: int) -> Iterator[tuple[str, list[str]]]:
    """Of each entry a line of at most `width` characters, its ids shortened, and below it what it
    changed."""
    heads = [_head(entry) for entry in entries]
    widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
    for entry, head in zip(entries, heads, strict=True):
        position, *rest = (text.ljust(size) for text, size in zip(head, widths, strict=True))
        line = "  ".join([position.strip().rjust(widths[0]), *rest])
        origin, changes = _origin(entry), _changes(entry, _LONG)
        if len(line) + 2 + len(origin) <= width:
            yield f"{line}  {origin}", changes
        else:
            yield line.rstrip(), [origin, *changes]


def _head(entry: Entry) -> tuple[str, ...]:
    one = entry.recorded
    when = f"{one.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return str(one.position), when, one.name, _shortened(one.context.actor)


def _origin(entry: Entry) -> str:
    context = entry.recorded.context
    request = f"request {_shortened(context.correlation_id)}"
    return request if context.address is None else f"{request} from {context.address}"


def _shortened(text: str) -> str:
    """A text with the beginnings of its ids in their place."""
    return _UUID.sub(r"\1", text)


def _changes(entry: Entry, most: int) -> list[str]:
    """What an event changed, field by field; of each value at most so many characters. What is
    sealed shows nothing to anybody."""
    if entry.changes is None:
        return ["changes not worked out: too far from the beginning"]
    shown = [
        f"{one.field}: {_short(one.before, most)} -> {_short(one.after, most)}"
        for one in entry.changes
        if not one.field.startswith("sealed.")
    ]
    return shown or ["secrets changed"] if entry.changes else shown


def _line(entry: AuditEntry, *, as_json: bool) -> str:
    import msgspec

    from domain.history import KIND_OF_EVENT

    whole, one = entry.entry, entry.entry.recorded
    kind = KIND_OF_EVENT.get(one.name, "")
    if as_json:
        body = as_object(whole) | {"kind": kind, "data": msgspec.Raw(entry.data)}
        return msgspec.json.encode(body).decode()
    when = f"{one.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    head = f"{one.position:>9} {when} {one.name:<22} {one.context.actor}"
    line = f"{head} {kind} {one.stream_id}"
    return _with_changes(line, _changes(whole, _SHORT) if whole.changes else [])


def _with_changes(line: str, changes: Sequence[str]) -> str:
    """The line with as many changes as fit, each whole, and how many do not."""
    for number, one in enumerate(changes):
        left = len(changes) - number
        if len(line) + len(one) > _LINE and number:
            return f"{line}, and {left} more"
        line += f", {one}" if number else f" {one}"
    return line


def _short(value: Any, most: int) -> str:
    import msgspec

    if value is None or value == "":
        return "-"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = " ".join(text.strip('"').split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
