from datetime import UTC, datetime

from infra.clock import Clock, SystemClock, utc_now


def test_the_present_is_in_utc() -> None:
    assert utc_now().tzinfo is UTC


def test_the_system_clock_tells_the_present() -> None:
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
