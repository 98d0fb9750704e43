"""What people ask of /dashboard/api: windows of time, pages and their cursors."""

from __future__ import annotations

import binascii
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import cast, get_args

import msgspec

from api.query import MAX_CURSOR, MAX_OFFSET, Parameters, parameters
from projections.dashboard_trends import Granularity, bounds
from projections.occurrence_index import OccurrenceFilter, Place

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
MAX_BUCKETS = 10_000
MAX_APP = 100

LIST_WINDOW = timedelta(hours=24)
TRENDS_WINDOW = timedelta(days=7)
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)

AHEAD = timedelta(minutes=5)
"""So far an application's clock may run ahead of ours."""

_CURSOR = struct.Struct(">8sqqq")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of which occurrences somebody asks for. `list_name` is what makes this list
    differ from others."""

    filter: OccurrenceFilter
    limit: int
    offset: int
    after: Place | None
    list_name: bytes

    def cursor(self, last: Place) -> str:
        """What continues the list behind its place `last`."""
        numbers = (_micros(self.filter.since), _micros(last.occurred_at), last.position)
        return urlsafe_b64encode(_CURSOR.pack(self.list_name, *numbers)).decode().rstrip("=")


class TrendsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which buckets somebody asks for; `until` None: up to now."""

    app: str
    since: datetime
    until: datetime | None
    granularity: Granularity


def app_query(query_string: bytes) -> str:
    """The application that a query string must name. Raises BadRequest."""
    read = Parameters(parameters(query_string))
    app = _app_id(read)
    read.check()
    return app


def events_query(query_string: bytes, now: datetime) -> EventsQuery:
    """The list that a query string asks for. Raises BadRequest naming every wrong parameter."""
    values = parameters(query_string)
    read = Parameters(values)
    app = _app_id(read)
    since, until = _window(read, now, LIST_WINDOW)
    code, user_id = read.text("code"), read.text("userId")
    limit = read.integer("limit", 1, MAX_LIMIT, DEFAULT_LIMIT)
    offset = read.integer("offset", 0, MAX_OFFSET, 0)
    cursor = read.text("cursor", MAX_CURSOR)
    list_name = _name_of(values)
    after: Place | None = None
    if cursor is not None and offset:
        read.wrong("cursor", "continues a list from where it was: leave offset out")
    elif cursor is not None:
        try:
            since, after = _place(cursor, list_name)
        except ValueError as problem:
            read.wrong("cursor", str(problem))
    read.check()
    wanted = OccurrenceFilter(app=app, since=since, until=until, code=code, user_id=user_id)
    return EventsQuery(filter=wanted, limit=limit, offset=offset, after=after, list_name=list_name)


def trends_query(query_string: bytes, now: datetime) -> TrendsQuery:
    """The trend that a query string asks for. Raises BadRequest naming every wrong parameter."""
    read = Parameters(parameters(query_string))
    app = _app_id(read)
    since, until = _window(read, now, TRENDS_WINDOW)
    granularity = cast("Granularity", read.one_of("granularity", GRANULARITIES) or "hour")
    read.check()
    first, end = bounds(since, until or now + AHEAD, granularity)
    if end - first > MAX_BUCKETS:
        problem = f"asks for {end - first:,} buckets, and at most {MAX_BUCKETS:,} are shown"
        read.wrong("startTime", problem)
    read.check()
    return TrendsQuery(app=app, since=since, until=until, granularity=granularity)


def _app_id(read: Parameters) -> str:
    app = read.text("appId", MAX_APP)
    if app is None:
        read.wrong("appId", "is required")
    return app or ""


def _window(read: Parameters, now: datetime, length: timedelta) -> tuple[datetime, datetime | None]:
    """From when, and before when; no end stands for now, for nothing has happened later except by
    clocks that run ahead."""
    start, end = read.time("startTime"), read.time("endTime")
    since = start or now - length
    if since >= (end or now + AHEAD):
        if start is None:
            hours = length // timedelta(hours=1)
            read.wrong(
                "endTime", f"lies before the default startTime, {hours} hours ago: give both"
            )
        else:
            read.wrong("startTime", "must lie before endTime, which is now where it is not given")
    return since, end


def _name_of(values: Mapping[str, str]) -> bytes:
    """A digest of what selects a list's occurrences."""
    selecting = [values.get(name) for name in ("appId", "code", "userId", "startTime", "endTime")]
    return blake2b(msgspec.json.encode(selecting), digest_size=8).digest()


def _place(cursor: str, list_name: bytes) -> tuple[datetime, Place]:
    """Where a list begins, however long ago it was first asked for, and the place it has reached.

    Raises ValueError for a cursor that no page of this list answered."""
    try:
        name, since, at, position = _CURSOR.unpack(urlsafe_b64decode(cursor.encode() + b"=="))
        place = Place(_EPOCH + at * _MICROSECOND, position)
        begin = _EPOCH + since * _MICROSECOND
    except (UnicodeError, binascii.Error, struct.error, OverflowError):
        raise ValueError("is not one that this list has given") from None
    if name != list_name:
        raise ValueError("belongs to a list with other filters")
    return begin, place


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND
