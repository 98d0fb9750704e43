"""`errata history` and `errata audit`, and what `errata import` makes of an exported log."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.alert_rule import ChangeAlertRule, CreateAlertRule
from domain.history import Change, Entry, Wanted
from domain.integration import IntegrationCleared
from domain.message import ERRATA, Context, Recorded
from domain.rule_settings import RuleWish
from errata import cli
from errata.commands import common, entries, history
from infra.event_store.archive import Archive
from infra.event_store.scan import LogScan
from infra.event_store.store import EventStore
from tests.conftest import Servers
from tests.faults.api_process import url_of
from tests.reports import NOON, SOMEBODY, report

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


def test_a_history_is_read_on_a_narrow_terminal(
    log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each event, and below it what that changed."""
    monkeypatch.setattr(history, "terminal_width", lambda: 80)
    monkeypatch.setattr(common, "terminal_width", lambda: 80)
    lines = said(capsys, "history", "alert_rule", str(RULE)).splitlines()
    assert lines[0].startswith("2  20")
    assert lines[0].endswith("AlertRuleChanged  key:test  request request")
    assert "    settings.enabled: true -> false" in lines
    assert all(len(line) <= 80 for line in lines)


def test_who_and_which_request_are_shortened_and_secrets_left_out() -> None:
    some_id = "0d9f3c1e-6a0b-4d0e-8f5a-3f1f7c2b9a10"
    context = Context(f"member:{some_id}", some_id, some_id, "192.0.2.7")
    event = IntegrationCleared(integration="slack")
    recorded = Recorded(12, RULE, 2, "IntegrationCleared", RULE, NOON, context, event)
    sealed = Change("sealed.ciphertext", "****", None)
    shown = Change("preview.channel", "#a", None)
    (line, details), (_, only) = entries.history_blocks(
        [Entry(recorded, (shown, sealed)), Entry(recorded, (sealed,))], 80
    )
    assert line == "12  2026-01-01 12:00:00  IntegrationCleared  member:0d9f3c1e"
    assert details == ["request 0d9f3c1e from 192.0.2.7", "preview.channel: #a -> -"]
    assert only == ["request 0d9f3c1e from 192.0.2.7", "secrets changed"]


def test_a_long_line_of_the_trail_says_how_much_it_leaves_out() -> None:
    changes = [f"field_{number}: - -> {'x' * 60}" for number in range(20)]
    line = entries._with_changes("5 AlertRuleCreated", changes)
    assert line.endswith(f"{'x' * 60}, and 15 more")
    assert entries._with_changes("5", changes[:2]) == f"5 {changes[0]}, {changes[1]}"


def test_one_position_and_a_length_of_time_choose_events(
    log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = said(capsys, "audit", "tail", "--position", "2").splitlines()
    assert "AlertRuleChanged" in line
    assert len(said(capsys, "audit", "tail", "--since", "24h").splitlines()) == 5
    rules = said(capsys, "audit", "tail", "--kind", "rule", "--since", "1h")
    assert rules == said(capsys, "audit", "tail", "--kind", "alert_rule")
    assert "no time" in said(capsys, "audit", "tail", "--since", "999999w", code=2)


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
