"""How much of the log is in memory at a time: pages, bounded by events and by bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from infra.event_store.codec import Row

PAGE_EVENTS = 2_000
PAGE_BYTES = 16 << 20
"""A page ends with the event that reaches this size. Usual events come to a fourth of it; of the
largest that there may be, 2,000 would be gigabytes."""


def weight(rows: Iterable[Row]) -> int:
    """The bytes of metadata and data, which is what the sizes of pages are about."""
    return sum(len(row.metadata) + len(row.data) for row in rows)


def in_pages(
    rows: Iterable[Row], most_events: int = PAGE_EVENTS, most_bytes: int = PAGE_BYTES
) -> Iterator[list[Row]]:
    """Rows in pages. Each ends with the row that reaches one of the limits."""
    page: list[Row] = []
    size = 0
    for row in rows:
        page.append(row)
        size += len(row.metadata) + len(row.data)
        if len(page) >= most_events or size >= most_bytes:
            yield page
            page, size = [], 0
    if page:
        yield page
