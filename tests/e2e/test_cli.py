"""The command line: what it changes, what it shows, and how it fails."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import click
import pytest
from fsspec.registry import known_implementations

from errata.cli import cli, run
from tests.e2e.instance import (
    Instance,
    answer,
    errata,
    one_line,
    processes_of,
)
from tests.waiting import eventually

NOWHERE = {
    "DATABASE_URL": "postgresql://errata:hunter2@127.0.0.1:1/errata",
    "REDIS_URL": "redis://127.0.0.1:1",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("cli") / "running").wait()
    yield instance
    instance.stop()


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [(), *commands(cli)], ids=" ".join)
def test_every_command_has_help_with_an_example(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main([*path, "--help"], prog_name="errata", standalone_mode=False)
    shown = capsys.readouterr().out
    assert "Example" in shown and f"errata {' '.join(path)}".strip() in shown


def test_help_explains_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"], prog_name="errata", standalone_mode=False)
    assert "Exit codes" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    ["up", "api", "worker", "scheduler", "retention run", "retention run --dry-run", "settings"],
)
def test_an_archive_that_cannot_be_opened_here_is_told_before_anything_starts(
    arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = {"class": "no_such_package.FileSystem", "err": "Install it"}
    monkeypatch.setitem(known_implementations, "cloud", store)
    monkeypatch.setenv("ERRATA_ARCHIVE", "cloud://bucket/errata")
    assert run(arguments.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "ERRATA_ARCHIVE=cloud://bucket/errata" in line
    assert "no_such_package" in line


@pytest.mark.parametrize(
    "arguments", [("no-such-command",), ("up", "--port", "abc"), ("key", "revoke", "not-an-id")]
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: tuple[str, ...]) -> None:
    refused = errata(*arguments)
    assert refused.returncode == 2
    assert "--help" in one_line(refused)


def test_a_setting_that_cannot_be_used_is_exit_code_2() -> None:
    refused = errata("settings", PORT="http")
    assert refused.returncode == 2
    assert "PORT=http" in one_line(refused)


@pytest.mark.parametrize("arguments", [("migrate",), ("app", "register", "shop", "Shop")])
def test_a_database_that_is_away_is_one_line_and_exit_code_3(arguments: tuple[str, ...]) -> None:
    refused = errata(*arguments, **NOWHERE)
    assert refused.returncode == 3
    assert "hunter2" not in refused.stderr
    assert one_line(refused).startswith("errata: ")


def test_status_says_which_service_is_away() -> None:
    looked = errata("status", **NOWHERE)
    assert looked.returncode == 3
    assert "postgres down, redis down" in looked.stdout


def test_settings_show_where_values_come_from_and_hide_passwords() -> None:
    rows = answer(errata("settings", "--json", "--data-dir", "elsewhere", **NOWHERE))
    by_name = {row["name"]: row for row in rows}
    assert by_name["DATABASE_URL"]["value"] == "postgresql://errata:****@127.0.0.1:1/errata"
    assert by_name["DATABASE_URL"]["source"] == "environment"
    assert by_name["ERRATA_DATA_DIR"]["source"] == "command line"
    assert by_name["PORT"]["source"] == "default"
    assert all(row["help"] for row in rows)


def test_a_registered_application_can_report_with_the_key_that_was_printed(
    running: Instance,
) -> None:
    registered = errata("app", "register", "shop", "Web shop", "--data-dir", running.folder)
    assert registered.returncode == 0
    key = registered.stdout.strip()
    assert key.startswith("ei_")
    assert eventually(lambda: running.report("from the shop", key=key).status_code == 201)
    listed = answer(errata("app", "list", "--json", "--data-dir", running.folder))
    assert {"shop": "Web shop"}.items() <= {app["id"]: app["name"] for app in listed}.items()


def test_an_application_is_registered_once(running: Instance) -> None:
    first = errata("app", "register", "twice", "One", "--data-dir", running.folder)
    again = errata("app", "register", "twice", "One", "--data-dir", running.folder)
    assert (first.returncode, again.returncode, again.stdout) == (0, 0, "")
    taken = errata("app", "register", "twice", "Other", "--data-dir", running.folder)
    assert taken.returncode == 1
    assert "'twice' exists with the name 'One'" in one_line(taken)


def test_a_key_works_until_it_is_revoked(running: Instance) -> None:
    issued = errata(
        *("key", "issue", "CI", "--permission", "write", "--expires", "30d"),
        *("--data-dir", running.folder),
    )
    key = issued.stdout.strip()
    assert key.startswith("sk_live_")
    assert eventually(lambda: running.report("from CI", key=key).status_code == 201)
    listed = answer(errata("key", "list", "--json", "--data-dir", running.folder))
    (mine,) = [one for one in listed if one["name"] == "CI"]
    assert mine["permissions"] == ["write"] and mine["expires_at"] and key not in str(listed)
    assert errata("key", "revoke", mine["id"], "--data-dir", running.folder).returncode == 0
    assert eventually(lambda: running.report("after", key=key).status_code == 401, 2.0)
    assert "CI" not in errata("key", "list", "--data-dir", running.folder).stdout


def test_a_key_for_an_unknown_application_is_refused(running: Instance) -> None:
    refused = errata("key", "issue", "X", "--app", "nobody", "--data-dir", running.folder)
    assert refused.returncode == 1
    assert "no application 'nobody'" in one_line(refused)


def test_an_unknown_key_cannot_be_revoked(running: Instance) -> None:
    refused = errata("key", "revoke", str(uuid4()), "--data-dir", running.folder)
    assert refused.returncode == 1
    assert "no such key" in one_line(refused)


@pytest.mark.parametrize(("when", "code"), [("2001-01-01", 1), ("soon", 2)])
def test_an_expiry_lies_in_the_future(running: Instance, when: str, code: int) -> None:
    refused = errata("key", "issue", "X", "--expires", when, "--data-dir", running.folder)
    assert refused.returncode == code
    assert one_line(refused).startswith("errata: ")


def test_status_of_a_running_instance(running: Instance) -> None:
    running.report("for the status")
    folder = ("--data-dir", running.folder)
    assert eventually(
        lambda: all(
            model["state"] == "up to date" and model["lag_events"] == 0
            for model in answer(errata("status", "--json", *folder))["read_models"]
        )
    )
    condition = answer(errata("status", "--json", *folder))
    assert condition["services"] == {"postgres": "up", "redis": "up"}
    assert condition["head"] > 0
    assert {process["part"] for process in condition["processes"]} == {"worker", "scheduler"}
    shown = errata("status", *folder)
    assert shown.returncode == 0 and "error_groups.v" in shown.stdout


def test_a_database_without_errata_is_said_to_need_it(running: Instance) -> None:
    record = json.loads((running.folder / "endpoints.json").read_text())
    url = record["database_url"].replace("@/errata?", "@/postgres?")
    refused = errata(
        *("app", "register", "shop", "Shop"), DATABASE_URL=url, REDIS_URL=record["redis_url"]
    )
    assert refused.returncode == 3
    assert "run errata migrate" in one_line(refused)


def test_without_a_running_instance_commands_start_the_servers_for_their_time(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "alone"
    assert errata("app", "register", "shop", "Web shop", "--data-dir", folder).returncode == 0
    listed = answer(errata("app", "list", "--json", "--data-dir", folder))
    assert "shop" in {app["id"] for app in listed}, "no worker runs: the command folds itself"
    assert eventually(lambda: processes_of(folder) == [])


def test_an_api_of_its_own_attaches_to_the_servers_of_a_running_instance(
    running: Instance,
) -> None:
    error_id = running.report("seen by both").json()["data"]["id"]
    api = Instance(running.folder, "api").wait()
    assert api.client.get(f"/api/errors/{error_id}").status_code == 200
    code, _ = api.stop()
    assert code == 0
    assert running.healthy()
