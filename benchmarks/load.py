"""An HTTP load generator that costs little: ready-made bytes over raw asyncio protocols.

It runs in a process of its own, keeps its connections, and talks to this machine only.

Closed loop (no rate): every connection sends its next request when it has its answer. Open loop
(a rate): requests are due at fixed times whatever the server does. Those that are due while all
connections wait stand in a queue, and their latency counts from when they were due; so a server
that stalls is seen by all whom it keeps waiting ("coordinated omission", Gil Tene).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from multiprocessing.connection import Connection
from typing import cast

import msgspec
import uvloop

Requests = Callable[[int], bytes]
"""The bytes of request number n. Must be importable (a module's function, or a partial of one)."""

MOST_CONNECTIONS = 1_024
MOST_SECONDS = 120.0
_DRAIN_SECONDS = 5.0
"""How long answers are awaited after the last request was sent."""
_EARLY = 0.0005
"""Timers of the event loop are good to a millisecond: what is due within half of one goes now."""
_START_PATIENCE = 30.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send. Ends after `seconds` or `count` requests, whichever comes first.

    `rate` is in requests a second; None sends as fast as answers come. Request numbers start
    at `first`. `positions` keeps the time and X-Event-Position of every answer.
    """

    port: int
    requests: Requests
    connections: int
    seconds: float
    rate: float | None = None
    count: int = 5_000_000
    first: int = 0
    host: str = "127.0.0.1"
    positions: bool = False

    def __post_init__(self) -> None:
        if not ip_address(self.host).is_loopback:
            raise ValueError(f"{self.host} is not this machine: nobody else is put under load")
        if not 1 <= self.connections <= MOST_CONNECTIONS:
            raise ValueError(f"connections must be 1 to {MOST_CONNECTIONS}")
        if not 0 < self.seconds <= MOST_SECONDS:
            raise ValueError(f"seconds must be above 0 and at most {MOST_SECONDS:.0f}")
        if self.rate is not None and self.rate <= 0:
            raise ValueError("the rate must be above 0")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. `seconds` run from the first request to the last answer.

    `latencies` are seconds in ascending order; `unanswered` counts requests whose connection
    broke or that had no answer in the end; `answered_at` are `time.monotonic()` of the answers
    in `positions`, which all processes of a machine share.
    """

    statuses: dict[int, int]
    unanswered: int
    seconds: float
    cpu_seconds: float
    latencies: list[float]
    answered_at: list[float]
    positions: list[int]

    @property
    def count(self) -> int:
        """Answers of any status."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.count / self.seconds

    def failures(self, expected: int) -> int:
        """Requests that did not get the expected status."""
        return self.count - self.statuses.get(expected, 0) + self.unanswered

    def milliseconds(self, percent: float) -> float:
        """A percentile of the latencies (100: the slowest)."""
        return percentile(self.latencies, percent) * 1e3

    @property
    def cpu_microseconds(self) -> float:
        """What a request cost the generator itself."""
        return self.cpu_seconds / max(self.count, 1) * 1e6


def percentile(ascending: list[float], percent: float) -> float:
    """The smallest value that `percent` of all are not above (nearest rank); 0.0 of none."""
    if not ascending:
        return 0.0
    rank = -(-len(ascending) * percent // 100)
    return ascending[max(int(rank), 1) - 1]


def run(plan: Plan) -> Outcome:
    """Send it all and wait for the end."""
    with running(plan) as wait:
        return wait()


@contextmanager
def running(plan: Plan) -> Iterator[Callable[[], Outcome]]:
    """Send meanwhile; call what this gives to wait for the end. The process ends with the block.

    Raises RuntimeError from the call when the generator failed, such as for want of a server.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_generate, args=(plan, theirs), daemon=True)
    process.start()
    theirs.close()

    def wait() -> Outcome:
        patience = plan.seconds + _DRAIN_SECONDS + _START_PATIENCE
        if not ours.poll(patience):
            raise RuntimeError(f"the load generator said nothing for {patience:.0f} s")
        try:
            answer = ours.recv_bytes()
        except EOFError:
            raise RuntimeError("the load generator ended early; its error is above") from None
        return msgspec.msgpack.decode(answer, type=Outcome)

    try:
        yield wait
    finally:
        process.terminate()
        process.join()
        ours.close()


def _generate(plan: Plan, answer: Connection) -> None:
    outcome = uvloop.run(_Generator(plan).run())
    answer.send_bytes(msgspec.msgpack.encode(outcome))


class _Generator:
    """All connections of one plan, and what they saw."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sent = 0
        self._due: deque[float] = deque()
        self._idle: list[_Client] = []
        self._waiting = 0
        self._alive = plan.connections
        self._done = asyncio.Event()
        self._sending = True
        self.statuses: Counter[int] = Counter()
        self.unanswered = 0
        self.latencies = array("d")
        self.answered_at = array("d")
        self.positions = array("q")
        self.last_answer = 0.0

    async def run(self) -> Outcome:
        """Connect, send, drain, sum up."""
        plan = self._plan
        loop = asyncio.get_running_loop()
        clients: list[_Client] = []
        for _ in range(plan.connections):
            _, client = await loop.create_connection(self._client, plan.host, plan.port)
            clients.append(client)
        cpu, started = time.process_time(), time.monotonic()
        loop.call_later(plan.seconds, self._stop)
        self._idle = list(clients)
        if plan.rate is None:
            while self._idle and self._sending:
                self._send_next(self._idle.pop())
        else:
            self._tick(started, 0)
        await self._drained()
        for client in clients:
            client.close()
        return self._outcome(started, time.process_time() - cpu)

    def _client(self) -> _Client:
        return _Client(self)

    async def _drained(self) -> None:
        deadline = self._plan.seconds + _DRAIN_SECONDS
        try:
            await asyncio.wait_for(self._done.wait(), deadline)
        except TimeoutError:
            self.unanswered += self._waiting
        self.unanswered += len(self._due)

    def _outcome(self, started: float, cpu_seconds: float) -> Outcome:
        return Outcome(
            statuses=dict(self.statuses),
            unanswered=self.unanswered,
            seconds=max(self.last_answer - started, 1e-9),
            cpu_seconds=cpu_seconds,
            latencies=sorted(self.latencies),
            answered_at=self.answered_at.tolist(),
            positions=self.positions.tolist(),
        )

    def _tick(self, started: float, number: int) -> None:
        """Put into the queue what is due, send as far as connections are free, come again."""
        plan = self._plan
        if not self._sending or plan.rate is None:
            return
        reached = time.monotonic() - started + _EARLY
        due = min(int(reached * plan.rate) + 1, plan.count)
        self._due.extend(started + n / plan.rate for n in range(number, due))
        while self._due and self._idle:
            self._send(self._idle.pop(), self._due.popleft())
        if due == plan.count:
            self._stop()
        pause = started + due / plan.rate - time.monotonic()
        asyncio.get_running_loop().call_later(max(pause, 0.0), self._tick, started, due)

    def _stop(self) -> None:
        self._sending = False
        self._check_done()

    def _check_done(self) -> None:
        if not self._sending and not self._waiting and not (self._due and self._idle):
            self._done.set()

    def _send_next(self, client: _Client) -> None:
        """Give a free connection its next request, if there is one."""
        if self._plan.rate:
            if self._due:
                self._send(client, self._due.popleft())
                return
        elif self._sending:
            if self._sent < self._plan.count:
                self._send(client, time.monotonic())
                return
            self._sending = False
        self._idle.append(client)
        self._check_done()

    def _send(self, client: _Client, due: float) -> None:
        number = self._plan.first + self._sent
        self._sent += 1
        self._waiting += 1
        # Sent a little early, it counts from when it was sent.
        client.send(self._plan.requests(number), min(due, time.monotonic()))

    def answered(self, client: _Client, status: int, head: bytes) -> None:
        """A client has its whole answer."""
        now = time.monotonic()
        self.last_answer = now
        self._waiting -= 1
        self.statuses[status] += 1
        self.latencies.append(now - client.due)
        if self._plan.positions:
            self.answered_at.append(now)
            self.positions.append(_number_after(head, b"x-event-position:", 0))
        self._send_next(client)

    def broken(self, client: _Client, waiting: bool) -> None:
        """A connection is gone; it is not opened again."""
        if waiting:
            self._waiting -= 1
            self.unanswered += 1
        elif client in self._idle:
            self._idle.remove(client)
        self._alive -= 1
        if self._alive == 0:
            self._done.set()
        self._check_done()


class _Client(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self, generator: _Generator) -> None:
        self._generator = generator
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._left = 0
        self._waiting = False
        self._status = 0
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell, unless we closed it ourselves."""
        if self._transport is not None:
            self._transport = None
            waiting, self._waiting = self._waiting, False
            self._generator.broken(self, waiting)

    def close(self) -> None:
        """End the connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def send(self, request: bytes, due: float) -> None:
        """Write a request that was due at `due`."""
        assert self._transport is not None
        self.due = due
        self._waiting = True
        self._head = b""
        self._left = -1
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Read status and length from the head, and count the body down."""
        if self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            body = len(self._head) - end - 4
            self._head = self._head[:end].lower()
            self._status = int(self._head[9:12])
            length = _number_after(self._head, b"\r\ncontent-length:", -1)
            if length < 0:  # chunked: not what we measure, so it shall not pass unnoticed
                assert self._transport is not None
                self._transport.abort()
                return
            self._left = length - body
        else:
            self._left -= len(data)
        if self._left <= 0 and self._waiting:
            self._waiting = False
            self._generator.answered(self, self._status, self._head)


def _number_after(head: bytes, name: bytes, default: int) -> int:
    """The number in a header; `default` where it is missing."""
    start = head.find(name)
    if start < 0:
        return default
    end = head.find(b"\r", start + 2)
    return int(head[start + len(name) : end if end >= 0 else len(head)])
