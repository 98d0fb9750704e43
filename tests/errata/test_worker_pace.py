"""How long a worker lets events gather: not at all, shortly, or longer where there are many."""

from __future__ import annotations

import pytest

from errata.worker import LEAST_PAUSE, LONGEST_PAUSE, pause_after
from projections.runner import PAGE_EVENTS


def test_behind_a_full_page_there_is_more() -> None:
    assert pause_after(PAGE_EVENTS) == 0


@pytest.mark.parametrize(
    ("events", "seconds"),
    [(1, LEAST_PAUSE), (20, LEAST_PAUSE), (100, 0.025), (800, LONGEST_PAUSE), (1_999, 0.2)],
)
def test_the_more_events_the_longer_the_next_may_gather(events: int, seconds: float) -> None:
    assert pause_after(events) == pytest.approx(seconds)
