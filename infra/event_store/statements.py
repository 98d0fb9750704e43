"""The SQL of the event store: one statement per file under sql/, by name."""

from __future__ import annotations

from importlib.resources import files
from typing import LiteralString

_SQL = files(__package__) / "sql"


def _load(name: str) -> LiteralString:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


LOCK_HEAD = _load("lock_head")
LOAD_STREAMS = _load("load_streams")
KNOWN_EVENTS = _load("known_events")
COPY_EVENTS = _load("copy_events")
INSERT_EVENTS = _load("insert_events")
SAVE_STREAMS = _load("save_streams")
ADVANCE_HEAD = _load("advance_head")
READ_HEAD = _load("read_head")
READ_PAGE = _load("read_page")
READ_PAGE_WITHOUT = _load("read_page_without")
COUNT_PAGE = _load("count_page")
READ_STREAM_BACK = _load("read_stream_back")
READ_POSITIONS = _load("read_positions")
READ_EVENT = _load("read_event")
SCAN = _load("scan")
SCAN_STREAM = _load("scan_stream")
WEIGH_STREAM = _load("weigh_stream")
LOAD_KIND = _load("load_kind")
KIND_VERSION = _load("kind_version")
