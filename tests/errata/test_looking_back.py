"""`errata as-of` and `errata diff`, on a real log and without a worker."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from domain.error_group import ResolveError, group_id
from errata import cli
from errata.commands.past import MOMENT
from errata.looking_back import VIEWS
from tests.faults.api_process import url_of
from tests.reports import SOMEBODY, report

if TYPE_CHECKING:
    from infra.event_store.store import EventStore


@pytest.fixture
async def errata(
    store: EventStore,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Runs a command on a log of three events, the last of which resolves the one error; returns
    its exit code and what it printed on stdout and stderr."""
    for _ in range(2):
        await store.execute(report(), SOMEBODY)
    await store.execute(ResolveError(error_id=group_id("default", "a")), SOMEBODY)
    monkeypatch.setenv("DATABASE_URL", url_of(database_url))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("ERRATA_DATA_DIR", str(tmp_path))

    async def command(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(cli.run, arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


async def test_statistics_as_of_a_position(errata: Any) -> None:
    found = []
    for position in ("1", "2", "3"):
        code, out, _ = await errata("as-of", position, "stats", "--json")
        assert code == 0
        found.append(json.loads(out)["stats"])
    assert [one["total_occurrences"] for one in found] == [1, 2, 2]
    assert [one["resolved_errors"] for one in found] == [0, 0, 1]


@pytest.mark.parametrize("what", VIEWS)
async def test_everything_can_be_looked_at(errata: Any, what: str) -> None:
    code, out, err = await errata("as-of", "2", what)
    assert code == 0, err
    assert "position 2" in err
    code, out, _ = await errata("as-of", "now", what, "--json")
    assert (code, json.loads(out)["position"]) == (0, 3)


async def test_a_list_is_a_table_of_what_was_there(errata: Any) -> None:
    _, out, _ = await errata("as-of", "1", "errors")
    lines = out.splitlines()
    assert len(lines) == 2
    assert str(group_id("default", "a")) in lines[1]


async def test_what_has_changed_between_two_positions(errata: Any) -> None:
    code, out, _ = await errata("diff", "1", "3", "--json")
    changes = json.loads(out)["changes"]
    assert (code, changes["resolved"]["count"], changes["occurrences"]) == (0, 1, 1)
    code, out, _ = await errata("diff", "1")
    assert code == 0
    assert "resolved" in out


async def test_a_moment_yet_to_come_is_refused_in_one_line(errata: Any) -> None:
    code, _, err = await errata("as-of", "99", "stats")
    assert code == 1
    assert len(err.splitlines()) == 1
    code, _, err = await errata("diff", "3", "1")
    assert code == 1


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("42", 42),
        ("2025-08-29T12:00:00Z", datetime(2025, 8, 29, 12, tzinfo=UTC)),
        ("2025-08-29", datetime(2025, 8, 29, tzinfo=UTC)),
        ("2025-08-29T12:00:00+02:00", datetime(2025, 8, 29, 10, tzinfo=UTC)),
    ],
)
def test_moments_can_be_named_in_several_ways(text: str, moment: object) -> None:
    assert MOMENT.convert(text, None, None) == moment


def test_a_moment_can_be_so_long_ago() -> None:
    found = MOMENT.convert("2h", None, None)
    assert isinstance(found, datetime)
    assert abs(datetime.now(UTC) - timedelta(hours=2) - found) < timedelta(minutes=1)


async def test_what_is_no_moment_is_wrong_usage(errata: Any) -> None:
    code, _, err = await errata("as-of", "whenever", "stats")
    assert code == 2
    assert "whenever" in err
