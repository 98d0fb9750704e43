"""One occurrence of an error: what an application reported, and how it found its group."""

from __future__ import annotations

from datetime import datetime

import msgspec

from domain.fingerprint import search_words
from domain.vocabulary import Level

NULL = msgspec.Raw(b"null")
"""JSON kept whole where there is none."""


class GroupingRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a report found its group: the algorithm's version, what was hashed, and why.

    `words` are for search; they stand on a group's first report only, being the same on all.
    """

    version: int
    parts: tuple[str, ...]
    reasons: tuple[str, ...]
    type: str | None = None
    words: tuple[str, ...] = ()


class Occurrence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One report as the application sent it, scrubbed. `context` and `user` are JSON, kept whole.

    `timestamp` is when it happened, by the application's clock; `event_id` is the client's own
    id of this report; `filtered` counts the secrets that were taken out. `code` is the
    application's own name of the error; `parsed_stack` is JSON, the frames as the client read them.
    """

    message: str
    level: Level
    source: str
    environment: str
    timestamp: datetime
    stack_trace: str | None = None
    context: msgspec.Raw = NULL
    url: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None
    event_id: str | None = None
    tags: dict[str, str] | None = None
    user: msgspec.Raw = NULL
    release: str | None = None
    fatal: bool = False
    filtered: int = 0
    code: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    user_id: str | None = None
    parsed_stack: msgspec.Raw = NULL


def kept_grouping(
    grouping: GroupingRecord, occurrence: Occurrence, *, first: bool
) -> GroupingRecord:
    """How a report found its group, as its event says it: with words on the first report only.
    Those of a group by code are looked for here, since nobody knew before that it was the first."""
    if not first:
        return msgspec.structs.replace(grouping, words=()) if grouping.words else grouping
    if grouping.words or occurrence.code is None:
        return grouping
    words = search_words(grouping.type, occurrence.message, occurrence.stack_trace, occurrence.code)
    return msgspec.structs.replace(grouping, words=words)


class Facets(msgspec.Struct, frozen=True, array_like=True):
    """The values a list can be filtered by, besides the application and the status."""

    level: Level
    source: str
    environment: str


def facets_of(occurrence: Occurrence) -> Facets:
    """The facets of a group whose latest report is `occurrence`."""
    return Facets(occurrence.level, occurrence.source, occurrence.environment)
