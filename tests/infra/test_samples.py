"""Samples of the host: taken, kept in three steps, and averaged."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as async_redis

from infra.redis import connect_async
from infra.samples import Sample, Sampler, Samples

START = 1_756_468_800  # a whole hour


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[async_redis.Redis]:
    connected = connect_async(redis_url)
    yield connected
    await connected.aclose()


def sample(second: int, cpu: float = 10.0) -> Sample:
    return Sample(START + second, 1, cpu, 50.0, 20.0, 4, 100, 200)


def samples(client: async_redis.Redis, second: float) -> Samples:
    return Samples(client, lambda: START + second)


async def test_a_sample_of_this_host_is_plausible(tmp_path: Path) -> None:
    taken = Sampler(disk=tmp_path).take(START, 3)
    assert 0 <= taken.cpu <= 100
    assert 0 < taken.memory <= 100
    assert 0 < taken.disk <= 100
    assert taken.connections == 3
    assert taken.bytes_in >= 0


def test_what_stays_on_this_host_is_no_traffic_of_its_network(tmp_path: Path) -> None:
    sampler = Sampler(disk=tmp_path)
    sent = 64 * 1_048_576
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as peer,
    ):
        sending = threading.Thread(target=client.sendall, args=(bytes(sent),))
        sending.start()
        received = 0
        while received < sent:
            received += len(peer.recv(1_048_576))
        sending.join()
    taken = sampler.take(START, None)
    assert taken.bytes_in < sent
    assert taken.bytes_out < sent


async def test_connections_are_a_mean_of_the_samples_that_know_them(
    client: async_redis.Redis,
) -> None:
    kept = samples(client, 25)
    for second, connections in ((0, None), (10, 2), (20, 4)):
        await kept.keep(Sample(START + second, 1, 10.0, 50.0, 20.0, connections, 0, 0))
    for timeframe in ("1h", "30d"):
        report = await kept.report(timeframe)
        assert report is not None
        assert report.connections == 3


async def test_without_a_word_of_connections_none_is_known(client: async_redis.Redis) -> None:
    kept = samples(client, 5)
    await kept.keep(Sample(START, 1, 10.0, 50.0, 20.0, None, 0, 0))
    report = await kept.report("24h")
    assert report is not None
    assert report.connections is None


async def test_longer_steps_agree_with_the_samples(client: async_redis.Redis) -> None:
    kept = samples(client, 1_800)
    for second in range(0, 1_800, 10):
        await kept.keep(sample(second, cpu=float(second % 70)))
    reports = [await kept.report(timeframe) for timeframe in ("1h", "6h", "24h", "7d", "30d")]
    assert all(report is not None and report.bytes_in == 18_000 for report in reports)
    expected = sum(second % 70 for second in range(0, 1_800, 10)) / 180
    for report in reports:
        assert report is not None
        assert report.cpu == pytest.approx(expected)
        assert sum(point.bytes_out for point in report.series) == 36_000
        assert len(report.series) <= 121


async def test_two_samples_of_one_step_are_one(client: async_redis.Redis) -> None:
    kept = samples(client, 5)
    await kept.keep(sample(0, cpu=10.0))
    await kept.keep(sample(0, cpu=30.0))
    report = await kept.report("1h")
    assert report is not None
    assert report.cpu == 20.0
    assert report.bytes_in == 200


async def test_what_is_older_than_its_step_is_kept_goes(client: async_redis.Redis) -> None:
    kept = samples(client, 0)
    await kept.keep(sample(0))
    await kept.keep(sample(7 * 3600))
    assert await client.zcard("errata:{samples}:10") == 1
    assert await client.zcard("errata:{samples}:3600") == 2


async def test_before_the_first_sample_nothing_is_known(client: async_redis.Redis) -> None:
    assert await samples(client, 0).report("1h") is None
