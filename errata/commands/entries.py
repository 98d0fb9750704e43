"""Events as people read them in a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from domain.history import AuditEntry, Entry, Wanted
    from infra.event_store.scan import LogScan

_POLL_SECONDS = 0.5
_PAGE = 100
_SHORT = 60


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


def changes_text(entry: Entry) -> str:
    """What an event changed, a field on each line."""
    if entry.changes is None:
        return "not worked out: too far from the beginning"
    return "\n".join(
        f"{one.field}: {_short(one.before)} -> {_short(one.after)}" for one in entry.changes
    )


def _line(entry: AuditEntry, *, as_json: bool) -> str:
    import msgspec

    from domain.history import KIND_OF_EVENT

    whole, one = entry.entry, entry.entry.recorded
    kind = KIND_OF_EVENT.get(one.name, "")
    if as_json:
        body = as_object(whole) | {"kind": kind, "data": msgspec.Raw(entry.data)}
        return msgspec.json.encode(body).decode()
    when = f"{one.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    changed = changes_text(whole).replace("\n", ", ") if whole.changes else ""
    head = f"{one.position:>9} {when} {one.name:<22} {one.context.actor}"
    return f"{head} {kind} {one.stream_id} {changed}"[:400].rstrip()


def _short(value: Any) -> str:
    import msgspec

    if value is None or value == "":
        return "-"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = " ".join(text.strip('"').split())
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."
