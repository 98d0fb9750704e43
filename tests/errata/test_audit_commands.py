"""`errata history` and `errata audit`, and what `errata import` makes of an exported log."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.alert_rule import ChangeAlertRule, CreateAlertRule
from domain.history import Wanted
from domain.message import ERRATA
from domain.rule_settings import RuleWish
from errata import cli
from errata.commands import entries
from infra.event_store.archive import Archive
from infra.event_store.scan import LogScan
from infra.event_store.store import EventStore
from tests.conftest import Servers
from tests.faults.api_process import url_of
from tests.reports import SOMEBODY, report

RULE = ERRATA


@pytest.fixture
async def log(
    store: EventStore, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A log of five events, as the commands find it."""
    monkeypatch.setenv("DATABASE_URL", url_of(database_url))
    monkeypatch.setenv("REDIS_URL", redis_url)
    wish = RuleWish(name="Many", condition="error_count > 5 in 5m")
    await store.execute(CreateAlertRule(rule_id=RULE, wish=wish), SOMEBODY)
    await store.execute(ChangeAlertRule(rule_id=RULE, wish=RuleWish(enabled=False)), SOMEBODY)
    for _ in range(3):
        await store.execute(report(), SOMEBODY)
    return database_url


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What a command printed on stdout; on stderr where it failed."""
    found = cli.run(arguments)
    out, err = capsys.readouterr()
    assert found == code, err
    return err if code else out


def test_a_history_says_who_did_what(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "history", "rule", str(RULE))
    assert "AlertRuleChanged" in shown
    assert "key:test" in shown
    assert "settings.enabled: true -> false" in shown
    found: list[dict[str, Any]] = msgspec.json.decode(
        said(capsys, "history", "rule", str(RULE), "--json", "--limit", "1")
    )
    assert [one["name"] for one in found] == ["AlertRuleChanged"]
    assert {"field": "settings.enabled", "before": True, "after": False} in found[0]["changes"]


def test_what_never_was_has_no_history(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no app nobody" in said(capsys, "history", "app", "nobody", code=1)
    assert "must be a UUID" in said(capsys, "history", "error", "nobody", code=1)
    assert "--kind must be one of" in said(capsys, "audit", "tail", "--kind", "x", code=2)


def test_the_tail_shows_the_last_events(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "audit", "tail", "-n", "2").splitlines()
    assert [line.split()[0] for line in lines] == ["4", "5"]
    assert "count: 2 -> 3" in lines[1]
    (only,) = said(capsys, "audit", "tail", "--name", "AlertRuleCreated", "--json").splitlines()
    assert msgspec.json.decode(only)["kind"] == "alert_rule"


async def test_following_shows_what_comes(
    log: str, store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "_POLL_SECONDS", 0.01)
    with LogScan(log, Archive(str(tmp_path))) as scan:
        await store.execute(report("new"), SOMEBODY)
        await store.execute(report("new"), SOMEBODY)
        following = entries.follow_lines(scan, Wanted(), 5, as_json=False)
        lines = list(itertools.islice(following, 2))
    assert [line.split()[0] for line in lines] == ["6", "7"]


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_an_export_is_verified(
    log: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    file = tmp_path / "audit"
    said(capsys, "audit", "export", "--format", form, "--output", str(file))
    assert [path.name for path in tmp_path.iterdir()] == ["audit"]
    proved = msgspec.json.decode(said(capsys, "audit", "verify", str(file), "--log", "--json"))
    assert (proved["trailer"]["events"], proved["compared_with_log"]) == (5, True)
    file.write_bytes(file.read_bytes().replace(b"key:test", b"key:nest", 1))
    assert "it was changed" in said(capsys, "audit", "verify", str(file), code=1)


def test_an_exported_history_is_verified(
    log: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "rule.csv"
    said(capsys, "history", "rule", str(RULE), "--format", "csv", "-o", str(file))
    proved = msgspec.json.decode(said(capsys, "audit", "verify", str(file), "--log", "--json"))
    assert proved["trailer"]["events"] == 2


def test_an_exported_log_is_imported_elsewhere(
    log: str,
    servers: Servers,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "log.ndjson"
    said(capsys, "audit", "export", "--verbatim", "--output", str(file))
    monkeypatch.setenv("DATABASE_URL", url_of(servers.database("migrated")))
    answer = msgspec.json.decode(said(capsys, "import", str(file), "--json"))
    assert answer == {"stored": 5, "known": 0, "bad": 0}
    said(capsys, "audit", "verify", str(file), "--log")
    assert "whole" in said(capsys, "import", str(cut(file)), code=1)


def cut(file: Path) -> Path:
    """The file without its last line."""
    shorter = file.with_name("cut.ndjson")
    shorter.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    return shorter
