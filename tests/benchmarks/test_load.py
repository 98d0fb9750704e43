"""The load generator counts right, waits for nobody, and bothers nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks import load

OK = b"HTTP/1.1 201 Created\r\nX-Event-Position: 7\r\ncontent-length: 4\r\n\r\n"


def request(number: int) -> bytes:
    """The path is the request's number."""
    return b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number


@asynccontextmanager
async def server(*, stall: float = 0.0) -> AsyncIterator[tuple[int, list[int]]]:
    """Answers every request in two pieces, its first after `stall` seconds; 999 is not answered."""
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            seen.append(int(head.split()[1][1:]))
            if seen[-1] == 999:
                break
            if len(seen) == 1:
                await asyncio.sleep(stall)
            writer.write(OK + b"ab")
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(b"cd")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], seen


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return b""


def plan(port: int, **changes: object) -> load.Plan:
    """Four connections, at most five seconds."""
    fields = {"requests": request, "connections": 4, "seconds": 5.0} | changes
    return load.Plan(port=port, **fields)  # type: ignore[arg-type]


async def run(asked: load.Plan) -> load.Outcome:
    """Beside the server, which is in this loop."""
    return await asyncio.to_thread(load.run, asked)


async def test_a_closed_loop_sends_each_number_once_and_stops_at_the_count() -> None:
    async with server() as (port, seen):
        outcome = await run(plan(port, count=50, first=100))
    assert sorted(seen) == list(range(100, 150))
    assert outcome.statuses == {201: 50}
    assert outcome.failures(201) == 0
    assert outcome.failures(200) == 50


async def test_an_open_loop_keeps_its_rate() -> None:
    async with server() as (port, _):
        outcome = await run(plan(port, rate=200, seconds=0.5))
    assert 98 <= outcome.count <= 102


async def test_a_stall_is_seen_by_all_requests_that_were_due_meanwhile() -> None:
    async with server(stall=0.3) as (port, _):
        outcome = await run(plan(port, rate=100, count=60, connections=1))
    late = [latency for latency in outcome.latencies if latency > 0.05]
    assert outcome.count == 60
    assert len(late) > 20  # 30 requests came due in the 0.3 s; without a queue it would be one


async def test_it_ends_by_itself_after_its_seconds() -> None:
    async with server() as (port, _):
        outcome = await run(plan(port, seconds=0.2))
    assert outcome.count > 0
    assert outcome.seconds < 1


async def test_a_broken_connection_is_a_request_without_an_answer() -> None:
    async with server() as (port, _):
        outcome = await run(plan(port, count=3, first=997, connections=1))
    assert (outcome.count, outcome.unanswered) == (2, 1)


async def test_positions_are_kept_when_asked_for() -> None:
    async with server() as (port, _):
        outcome = await run(plan(port, count=5, positions=True))
    assert outcome.positions == [7] * 5
    assert outcome.answered_at == sorted(outcome.answered_at)


@pytest.mark.parametrize(
    "changes",
    [{"host": "192.0.2.1"}, {"connections": 5_000}, {"seconds": 3_600.0}, {"rate": 0.0}],
    ids=str,
)
def test_other_machines_and_unbounded_plans_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"this machine|must be"):
        plan(80, **changes)


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    hundred = [float(n) for n in range(1, 101)]
    found = [load.percentile(hundred, percent) for percent in (0, 1, 50, 99, 99.9, 100)]
    assert found == [1, 1, 50, 99, 100, 100]
    assert load.percentile([], 50) == 0
