"""What a page changes in a hash, as commands."""

from __future__ import annotations

from collections.abc import Mapping

from projections.projection import Write


def hash_writes(
    key: str, changed: Mapping[str, bytes | None] | Mapping[bytes, bytes | None]
) -> list[Write]:
    """The last word on each field of a hash: its value, or None where it is gone."""
    gone: list[str | bytes] = []
    kept: list[str | bytes] = []
    for field, value in changed.items():
        if value is None:
            gone.append(field)
        else:
            kept += (field, value)
    writes: list[Write] = []
    if gone:
        writes.append(("HDEL", key, *gone))
    if kept:
        writes.append(("HSET", key, *kept))
    return writes
