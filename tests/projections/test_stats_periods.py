"""Periods and buckets: aligned to UTC, without gaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.stats import BUCKETS, PERIODS, Bucket, Period, fits
from projections.stats.layout import hour_of
from projections.stats.periods import ending, start_of, time_of, today

FRIDAY = datetime(2025, 8, 29, 12, 30, tzinfo=UTC)
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("bucket", "start"),
    [
        ("hour", datetime(2025, 8, 29, 12, tzinfo=UTC)),
        ("day", datetime(2025, 8, 29, tzinfo=UTC)),
        ("week", datetime(2025, 8, 25, tzinfo=UTC)),
        ("month", datetime(2025, 8, 1, tzinfo=UTC)),
    ],
)
def test_buckets_begin_on_the_hour_at_midnight_on_monday_and_on_the_first(
    bucket: Bucket, start: datetime
) -> None:
    assert time_of(start_of(bucket, hour_of(FRIDAY))) == start


@given(times, st.sampled_from(BUCKETS))
def test_a_bucket_holds_its_own_beginning(time: datetime, bucket: Bucket) -> None:
    start = start_of(bucket, hour_of(time))
    assert start <= hour_of(time)
    assert start_of(bucket, start) == start
    assert time_of(start).weekday() == 0 or bucket != "week"


@given(times, st.sampled_from(PERIODS))
def test_a_period_begins_with_the_hour_that_holds_its_beginning(
    now: datetime, period: Period
) -> None:
    length = timedelta(days={"day": 1, "week": 7, "month": 30, "year": 365}[period])
    since = now - length - time_of(ending(now, period).first)
    assert timedelta(0) <= since < timedelta(hours=1)


def test_today_begins_at_midnight_in_utc() -> None:
    assert time_of(today(FRIDAY).first) == datetime(2025, 8, 29, tzinfo=UTC)


def test_a_window_reaches_ahead_only_where_five_minutes_reach_the_next_hour() -> None:
    early, late = today(FRIDAY), today(FRIDAY.replace(minute=56))
    assert (early.ahead - early.now, late.ahead - late.now) == (0, 1)


@given(times, st.sampled_from(PERIODS))
def test_the_hours_of_a_window_are_those_of_its_days(now: datetime, period: Period) -> None:
    window = ending(now, period)
    hours = [day * 24 + hour for day in window.days for hour in window.hours_of(day)]
    assert hours == list(range(window.first, window.ahead + 1))


def test_a_bucket_fits_a_period_of_its_own_size_and_no_smaller_one() -> None:
    fitting = {(period, bucket) for period in PERIODS for bucket in BUCKETS if fits(bucket, period)}
    assert {bucket for period, bucket in fitting if period == "day"} == {"hour", "day"}
    assert {bucket for period, bucket in fitting if period == "week"} == {"hour", "day", "week"}
    assert len(fitting) == 2 + 3 + 4 + 4
