"""Whether a part runs on this host, as a container's health check asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import redis

from infra import heartbeat
from infra.alive import AWAY, alive_here
from infra.heartbeat import beat_commands, farewell_command


def asked(part: str, redis_url: str) -> int:
    command = [sys.executable, "-m", "infra.alive", part]
    return subprocess.run(
        command, env={**os.environ, "REDIS_URL": redis_url}, check=False
    ).returncode


def test_a_part_is_alive_from_its_first_beat_to_its_farewell(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert not alive_here(redis_url, "worker")
        for command in beat_commands("worker"):
            client.execute_command(*command)
        assert alive_here(redis_url, "worker")
        assert not alive_here(redis_url, "scheduler")
        client.execute_command(*farewell_command("worker"))
        assert not alive_here(redis_url, "worker")


def test_a_part_on_another_host_is_not_this_one(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_member", lambda part: f"{part}:elsewhere:1")
    with redis.Redis.from_url(redis_url) as client:
        for command in beat_commands("worker"):
            client.execute_command(*command)
    assert not alive_here(redis_url, "worker")


def test_the_exit_code_tells_who_is_there(redis_url: str) -> None:
    assert asked("worker", redis_url) == 1
    assert asked("worker", "redis://127.0.0.1:1") == AWAY
