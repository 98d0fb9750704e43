"""`errata verify`: what is spoilt on purpose is found, named and, once rebuilt, gone."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
import redis

from domain.alert import TriggerAlert
from domain.alert_rule import ChangeAlertRule, CreateAlertRule
from domain.error_group import ResolveError, group_id
from domain.rule_settings import RuleWish
from errata.folding import Source
from errata.verification import Cancelled, CannotVerify, Stage, Tell, verify
from errata.worker import DecodedLog
from infra.event_store.subscription import Subscription
from infra.settings import load_settings
from projections.codes import Codes
from projections.directory.rules import AlertRules
from projections.error_groups import ErrorGroups
from projections.error_groups.layout import report_field
from projections.occurrence_index import OccurrenceIndex
from projections.postgres_runner import PostgresRunner
from projections.registry import ALL_READ_MODELS, READ_MODELS
from projections.runner import Runner
from projections.stats import Stats
from projections.versions import live_spaces
from tests.alerts import facts
from tests.reports import NOON, SOMEBODY, report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from infra.event_store.store import EventStore
    from infra.settings import Settings
    from projections.findings import Finding, Verdict
    from projections.projection import ReadModel

ERRORS = [group_id("default", name) for name in "abc"]
CODED = {"code": "net/timeout", "user_id": "u1"}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as one:
        yield one


@pytest.fixture
async def settings(
    database_url: str, redis_url: str, tmp_path: Path, store: EventStore
) -> Settings:
    """Three errors, reported three times each, the first one resolved; read models up to date."""
    for number in range(3):
        for name in "abc":
            happened = NOON + timedelta(hours=number)
            await store.execute(report(name, timestamp=happened, **CODED), SOMEBODY)
    await store.execute(ResolveError(error_id=ERRORS[0]), SOMEBODY)
    found = load_settings({}, redis_url=redis_url, data_dir=tmp_path / "data")
    found = msgspec.structs.replace(found, database_url=database_url)
    await asyncio.to_thread(run_worker_once, found)
    return found


def run_worker_once(settings: Settings) -> None:
    """What a worker does until nothing is left to do."""
    url = settings.database_url_or_fail()
    with (
        closing(Subscription(url)) as log,
        redis.Redis.from_url(settings.redis_url_or_fail()) as client,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        runner = Runner(DecodedLog(log), client, READ_MODELS)
        runner.announce_versions()
        rows = PostgresRunner(DecodedLog(log), connection, client, [OccurrenceIndex()])
        while runner.step() or rows.step():
            pass


def prefix_of(client: redis.Redis, model: ReadModel) -> str:
    (space,) = live_spaces(client, [model])
    return space.prefix


def verdict_on(settings: Settings, model: ReadModel) -> Verdict:
    (verdict,) = verified(settings, [model])
    return verdict


def verified(
    settings: Settings, models: Sequence[ReadModel], tell: Tell = lambda stage: None
) -> Iterator[Verdict]:
    source = Source(settings.database_url_or_fail(), settings.archive)
    with redis.Redis.from_url(settings.redis_url_or_fail()) as client:
        yield from verify(source, client, models, tell)


def told(verdict: Verdict) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(one.key, one.field, one.found, one.expected) for one in verdict.findings]


def test_what_the_workers_made_is_what_the_log_says(
    settings: Settings, client: redis.Redis
) -> None:
    before = set(client.scan_iter("errata:{*"))
    stages: list[Stage] = []
    verdicts = list(verified(settings, ALL_READ_MODELS, stages.append))
    assert [verdict.read_model for verdict in verdicts] == [one.name for one in ALL_READ_MODELS]
    assert all(verdict.equal and verdict.complete for verdict in verdicts), verdicts
    assert {verdict.position for verdict in verdicts} == {10}
    assert stages[0] == Stage(10, 10)
    assert set(client.scan_iter("errata:{*")) == before


def test_a_spoilt_counter_is_found(settings: Settings, client: redis.Redis) -> None:
    client.hincrby(f"{prefix_of(client, Codes())}codes:default", "net/timeout", 5)
    verdict = verdict_on(settings, Codes())
    assert not verdict.equal
    assert told(verdict) == [("codes:default", "net/timeout", "14", "9")]
    assert verdict.findings[0].since is None


def test_a_missing_group_is_found_with_the_event_that_brought_it(
    settings: Settings, client: redis.Redis
) -> None:
    prefix = prefix_of(client, Stats())
    client.delete(f"{prefix}group:{ERRORS[1].hex}")
    verdict = verdict_on(settings, Stats())
    assert {one.key for one in verdict.findings} == {f"group:{ERRORS[1].hex}"}
    assert verdict.different == 3
    first = verdict.findings[0]
    assert (first.found, first.expected) == (None, "1")
    assert (first.stream_id, first.since, first.last_event) == (ERRORS[1], 2, 8)


def test_a_stale_field_is_found_with_the_event_that_was_missed(
    settings: Settings, client: redis.Redis
) -> None:
    """The document of an error is what it was after its second report, at position 6."""
    key = f"{prefix_of(client, ErrorGroups())}documents"
    document: Any = client.hget(key, report_field(ERRORS[2].bytes))
    stale = msgspec.json.decode(document)
    happened = "2026-01-01T13:00:00Z"
    events = {"event_id": event_id_at(settings, 6), "timestamp": happened, "last_seen": happened}
    stale |= {"count": 2, **events}
    client.hset(key, report_field(ERRORS[2].bytes), msgspec.json.encode(stale))
    verdict = verdict_on(settings, ErrorGroups())
    assert verdict.different == 1
    findings = {one.field: one for one in verdict.findings}
    count = findings[f"{ERRORS[2]} latest report: count"]
    assert (count.found, count.expected, count.since) == ("2", "3", 9)
    assert len(findings) == 4


async def test_a_value_that_events_of_other_streams_made_is_not_traced_to_one_of_its_own(
    settings: Settings, client: redis.Redis, store: EventStore
) -> None:
    """When a rule last triggered is in its alerts; its own stream only knows how it changed."""
    rule_id = facts().rule_id
    made = RuleWish(name="Rule", condition=facts().condition)
    await store.execute(CreateAlertRule(rule_id=rule_id, wish=made), SOMEBODY)
    await store.execute(TriggerAlert(alert=facts()), SOMEBODY)
    renamed = ChangeAlertRule(rule_id=rule_id, wish=RuleWish(name="Other"))
    await store.execute(renamed, SOMEBODY)
    await asyncio.to_thread(run_worker_once, settings)
    client.hdel(f"{prefix_of(client, AlertRules())}triggered", rule_id.bytes)
    (finding,) = verdict_on(settings, AlertRules()).findings
    assert (finding.key, finding.found, finding.stream_id) == ("triggered", None, rule_id)
    assert (finding.since, finding.last_event) == (None, None)


def event_id_at(settings: Settings, position: int) -> str:
    with closing(Subscription(settings.database_url_or_fail())) as log:
        return str(log.page(position - 1, 1)[0].event_id)


def test_a_day_of_packed_counts_is_told_hour_by_hour(
    settings: Settings, client: redis.Redis
) -> None:
    key = f"{prefix_of(client, Stats())}counts:default"
    day = str((NOON.date() - NOON.date().replace(1970, 1, 1)).days)
    packed: Any = client.hget(key, day)
    client.hset(key, day, packed[: 12 * 12] + b"\7" + packed[12 * 12 + 1 :])
    verdict = verdict_on(settings, Stats())
    hour = "2026-01-01 12:00 occurrences of level error"
    assert told(verdict) == [("counts:default", hour, "7", "3")]


def test_what_should_not_be_there_is_found(settings: Settings, client: redis.Redis) -> None:
    client.zadd(f"{prefix_of(client, ErrorGroups())}by:count:*:*:*:info:o", {ERRORS[0].bytes: 7})
    verdict = verdict_on(settings, ErrorGroups())
    assert told(verdict) == [("by:count:*:*:*:info:o", str(ERRORS[0]), "7", None)]


def test_rows_of_the_index_that_are_gone_or_wrong_are_found(settings: Settings) -> None:
    with psycopg.connect(settings.database_url_or_fail(), autocommit=True) as connection:
        connection.execute("DELETE FROM occurrences WHERE position = 3")
        connection.execute("UPDATE occurrences SET code = 'other' WHERE position = 5")
    verdict = verdict_on(settings, OccurrenceIndex())
    assert (verdict.keys, verdict.different) == (9, 2)
    gone, wrong = verdict.findings
    assert (gone.field, gone.found, gone.stream_id) == ("position 3", None, ERRORS[2])
    assert wrong.found is not None
    assert '"code": "other"' in wrong.found
    assert wrong.expected is not None
    assert '"code": "net/timeout"' in wrong.expected


def test_a_rebuild_mends_what_was_found(settings: Settings, client: redis.Redis) -> None:
    prefix = prefix_of(client, ErrorGroups())
    client.delete(f"{prefix}words")
    assert not verdict_on(settings, ErrorGroups()).equal
    client.delete(*client.scan_iter(f"{prefix}*"))
    run_worker_once(settings)
    assert verdict_on(settings, ErrorGroups()).equal


async def test_read_models_that_move_on_meanwhile_are_compared_at_one_position(
    settings: Settings, client: redis.Redis, store: EventStore
) -> None:
    """Events arrive and are folded between the first look and the second; nothing seems to
    differ for that, and what does differ is found all the same."""
    client.hincrby(f"{prefix_of(client, Codes())}codes:default", "net/timeout", 5)
    moved = asyncio.get_running_loop()

    def report_more(stage: Stage) -> None:
        if stage.comparing:
            more = store.execute(report("a", **CODED), SOMEBODY)
            asyncio.run_coroutine_threadsafe(more, moved).result(10)
            run_worker_once(settings)

    def run() -> Sequence[Verdict]:
        return list(verified(settings, READ_MODELS, report_more))

    verdicts = await asyncio.to_thread(run)
    assert [verdict.read_model for verdict in verdicts if not verdict.equal] == ["codes"]
    assert verdicts[-1].position == 11 + len(READ_MODELS)  # the first report was a regression too
    (codes,) = (verdict for verdict in verdicts if not verdict.equal)
    found: Finding = codes.findings[0]
    assert int(found.found or 0) - int(found.expected or 0) == 5


def test_one_verification_of_a_read_model_at_a_time(settings: Settings) -> None:
    running = verified(settings, [Codes(), Stats()])
    next(running)
    with pytest.raises(CannotVerify, match="being verified already"):
        next(verified(settings, [Codes()]))
    running.close()
    assert verdict_on(settings, Codes()).equal


def test_who_cancels_leaves_nothing_behind(settings: Settings, client: redis.Redis) -> None:
    before = set(client.scan_iter("errata:{*"))
    source = Source(settings.database_url_or_fail(), settings.archive)
    with pytest.raises(Cancelled):
        next(verify(source, client, READ_MODELS, cancelled=lambda: True))
    assert set(client.scan_iter("errata:{*")) == before
