"""`errata rebuild` on an instance that runs, and on a folder where nothing does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from errata.cli import run
from projections.error_groups import ErrorGroups
from projections.registry import READ_MODELS
from projections.versions import build_of
from tests.e2e.instance import Instance, answer, errata, one_line

GROUPS = ErrorGroups()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("rebuild") / "data").wait()
    yield instance
    instance.stop()


def test_all_read_models_are_rebuilt_and_come_back(running: Instance) -> None:
    made = running.report("before").json()["data"]
    here = ("--data-dir", str(running.folder))
    done = errata("rebuild", "--all", *here)
    assert done.returncode == 0, done.stderr
    assert "Done in" in done.stderr
    for model in READ_MODELS:
        assert f"{model.name} " in done.stdout
    assert done.stdout.count("0 keys differ") == len(READ_MODELS)
    assert "occurrences: done in" in done.stderr
    listed = answer(errata("rebuild", "--list", "--json", *here))
    assert listed["live"][GROUPS.name] == build_of(GROUPS.version, 1)
    assert [one["state"] for one in listed["rebuilds"]] == ["done"]
    assert running.client.get(f"/api/errors/{made['id']}").json()["data"]["count"] == 1
    back = answer(errata("rebuild", "--rollback", GROUPS.name, "--json", *here))
    assert (back["kind"], back["state"]) == ("rollback", "done")
    assert back["read_models"][0]["to_version"] == GROUPS.version
    status = answer(errata("status", "--json", *here))
    assert all(model["state"] == "up to date" for model in status["read_models"])
    assert running.healthy()


def test_the_index_is_rebuilt_by_its_name(running: Instance) -> None:
    running.report("listed")
    here = ("--json", "--data-dir", str(running.folder))
    assert answer(errata("rebuild", "occurrences", *here))["occurrences"]["position"] >= 1
    (verdict,) = answer(errata("verify", "occurrences", *here))
    assert (verdict["equal"], verdict["keys"] >= 1) == (True, True)


def test_without_a_worker_the_command_does_the_work(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    done = answer(errata("rebuild", GROUPS.name, "--expect-same", "--json", "--data-dir", folder))
    assert (done["state"], done["read_models"][0]["differences"]) == ("done", 0)
    again = errata("rebuild", "--cancel", done["id"], "--data-dir", folder)
    assert again.returncode == 1
    assert one_line(again) == "errata: the rebuild cannot be cancelled: it is done"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("rebuild",), "name read models, or say --all."),
        (("rebuild", "stats", "--all"), "name read models, or say --all."),
        (("rebuild", "stast"), "no read model 'stast'; there are error_groups"),
        (("rebuild", "occurrences", "--no-wait"), "--no-wait is not for occurrences."),
        (("rebuild", "occurrences", "--rollback"), "--rollback is not for occurrences."),
        (("rebuild", "--rollback", "--expect-same"), "--expect-same is not for --rollback"),
    ],
)
def test_what_is_wanted_must_be_said(
    arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert line in capsys.readouterr().err


def test_a_rebuild_that_is_not_known_cannot_be_cancelled(running: Instance) -> None:
    unknown = uuid4()
    refused = errata("rebuild", "--cancel", str(unknown), "--data-dir", str(running.folder))
    assert refused.returncode == 1
    assert f"no rebuild {unknown}" in one_line(refused)
