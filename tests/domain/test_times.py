from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.times import parse_rfc3339, rfc3339

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=zones)


def test_a_whole_second_has_no_fraction() -> None:
    assert rfc3339(datetime(2026, 1, 31, 12, tzinfo=UTC)) == "2026-01-31T12:00:00Z"


def test_microseconds_are_kept() -> None:
    assert rfc3339(datetime(2026, 1, 31, 12, 0, 0, 1500, UTC)) == "2026-01-31T12:00:00.001500Z"


def test_another_zone_is_written_as_utc() -> None:
    local = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(local) == "2026-01-31T10:00:00Z"


def test_a_time_without_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="without zone"):
        rfc3339(datetime(2026, 1, 31))


@given(moments)
def test_what_is_written_reads_back(moment: datetime) -> None:
    assert parse_rfc3339(rfc3339(moment)) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.5+02:00", datetime(2026, 1, 31, 10, 0, 0, 500000, UTC)),
        ("2026-01-31T12:00:00.123456789Z", datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)),
    ],
)
def test_rfc3339_is_read(text: str, expected: datetime) -> None:
    assert parse_rfc3339(text) == expected


def test_a_read_time_is_in_utc() -> None:
    assert parse_rfc3339("2026-01-31T12:00:00+02:00").tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T24:00:01Z",
        "2026-01-31T12:00:00+0200",
        "2026-01-31T12:00:00Z\n",
        "٢٠٢٦-01-31T12:00:00Z",
        "0001-01-01T00:00:00+23:00",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_rfc3339(text)
