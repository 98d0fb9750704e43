"""`errata verify` on a running instance: equal, or what differs in words, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from infra.embedded import EmbeddedServers
from projections.error_groups import ErrorGroups
from projections.stats import Stats
from projections.versions import live_spaces
from tests.e2e.instance import Instance, answer, errata, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from projections.projection import ReadModel


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("verify") / "running").wait()
    for number in range(5):
        assert instance.report(f"kind {number}").status_code == 201
    yield instance
    instance.stop()


def redis_of(folder: Path) -> redis.Redis:
    found = EmbeddedServers.attach(folder)
    assert found is not None
    return redis.Redis.from_url(found.redis_url)


def prefix_of(client: redis.Redis, model: ReadModel) -> str:
    (space,) = live_spaces(client, [model])
    return space.prefix


def test_a_sound_instance_is_equal_and_exit_code_0(running: Instance) -> None:
    verified = errata("verify", "--data-dir", running.folder)
    assert verified.returncode == 0, verified.stderr
    lines = verified.stdout.splitlines()
    assert lines[0].split()[:2] == ["Read", "model"]
    assert {line.split()[-1] for line in lines[1:]} == {"equal"}
    assert {"error_groups", "stats", "occurrences"} <= {line.split(".")[0] for line in lines}


def test_what_was_spoilt_is_named_with_exit_code_1(running: Instance) -> None:
    with redis_of(running.folder) as client:
        client.hincrby(f"{prefix_of(client, Stats())}counts:default", "occurrences", 5)
        words = f"{prefix_of(client, ErrorGroups())}words"
        groups: Any = client.hkeys(words)
        kept: Any = client.hget(words, groups[0])
        client.hdel(words, groups[0])
        verified = errata("verify", "stats", "error_groups", "--data-dir", running.folder)
        assert verified.returncode == 1
        assert "counts:default  occurrences  is 10, expected 5" in verified.stdout
        assert "is missing, expected" in verified.stdout
        assert "wrong since position" in verified.stdout
        assert "errata rebuild stats error_groups" in verified.stderr
        client.hincrby(f"{prefix_of(client, Stats())}counts:default", "occurrences", -5)
        client.hset(words, groups[0], kept)


def test_programs_get_json(running: Instance) -> None:
    verified = errata("verify", "stats", "codes", "--json", "--data-dir", running.folder)
    assert [(one["read_model"], one["equal"]) for one in answer(verified)] == [
        ("stats", True),
        ("codes", True),
    ]


def test_an_unknown_read_model_is_wrong_usage(running: Instance) -> None:
    refused = errata("verify", "stat", "--data-dir", running.folder)
    assert refused.returncode == 2
    assert "no read model 'stat'" in one_line(refused)
