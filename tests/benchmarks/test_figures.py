"""The arithmetic of the benchmarks, and the traffic they send."""

from __future__ import annotations

import json

from benchmarks import lag, load, visible
from benchmarks.commands import report_command
from benchmarks.result import at_least, at_most, figure
from benchmarks.traffic import GROUPS, report_request, word


def outcome(answered_at: list[float], positions: list[int]) -> load.Outcome:
    """What visible.delays looks at."""
    return load.Outcome(
        statuses={},
        unanswered=0,
        seconds=1.0,
        cpu_seconds=0.0,
        latencies=[],
        answered_at=answered_at,
        positions=positions,
    )


def test_a_report_is_visible_with_the_first_announcement_that_covers_it() -> None:
    announced = [(3, 10.0), (5, 11.0)]
    assert visible.delays(outcome([9.0, 9.0, 9.5], [2, 3, 4]), announced) == [1.0, 1.0, 1.5]


def test_a_report_announced_before_its_answer_arrived_waited_for_nothing() -> None:
    assert visible.delays(outcome([10.5], [2]), [(3, 10.0)]) == [0.0]


def test_lag_is_the_time_since_the_head_passed_what_is_visible() -> None:
    looks = [(1.0, 10, 10), (2.0, 20, 10), (3.0, 30, 15), (4.0, 30, 30)]
    assert lag.lags(looks) == [0.0, 0.0, 0.0, 1.0]


def test_requests_are_http_with_a_body_of_the_length_they_say() -> None:
    for number in (0, 1, GROUPS - 1, 123_456):
        head, _, body = report_request(number).partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert len(json.loads(body)["stack_trace"].splitlines()) == 11


def test_the_reports_are_of_500_errors_whatever_their_numbers() -> None:
    from api.intake import Sender, read_report, to_command
    from domain.scrubbing import Scrubber
    from infra.clock import utc_now

    bodies = [report_request(n).partition(b"\r\n\r\n")[2] for n in range(2 * GROUPS)]
    scrubber, sender, now = Scrubber(), Sender(), utc_now()
    commands = [to_command(read_report(b), "default", sender, scrubber, now) for b in bodies]
    assert len({command.stream_id for command in commands}) == GROUPS
    assert commands[GROUPS + 7].stream_id == report_command(7).stream_id


def test_words_differ_as_their_numbers_do() -> None:
    assert len({word("step", number, 5_000) for number in range(10_000)}) == 5_000


def test_goals_say_which_way_is_better() -> None:
    assert at_least(4_000).met(4_000)
    assert not at_least(4_000).met(3_999)
    assert at_most(50).met(50)
    assert not at_most(50).met(51)


def test_figures_have_three_digits_that_mean_something() -> None:
    found = [figure(value) for value in (43_210.4, 99.94, 5.0, 1.234, 0.05123)]
    assert found == ["43,210", "99.9", "5", "1.23", "0.051"]
