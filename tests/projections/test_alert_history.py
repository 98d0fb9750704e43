"""The read model of what alert rules have done."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.alert import RecoverAlert, TriggerAlert
from domain.alert_rule import CreateAlertRule, DeleteAlertRule
from domain.delivery import QueueNotification, RecordFailed, RecordSent
from domain.failures import DomainError
from domain.notification import Message
from domain.rule_settings import RuleWish
from projections.directory.alert_history import AlertHistory, Attempt, HistoryQueries
from tests.alerts import facts
from tests.projections.helpers import START, Log, content, folded

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from projections.directory.alert_history import HistoryPage

MODEL = AlertHistory()
RULE, OTHER, ERROR, NOTE = UUID(int=1), UUID(int=2), UUID(int=3), UUID(int=4)
LATER = START + timedelta(seconds=5)
CREATE = CreateAlertRule(
    rule_id=RULE, wish=RuleWish(name="Rule", condition="error_count > 5 in 5m")
)
DELETE = DeleteAlertRule(rule_id=RULE)
CREATE_OTHER = msgspec.structs.replace(CREATE, rule_id=OTHER)
DELETE_OTHER = DeleteAlertRule(rule_id=OTHER)
TRIGGER_OTHER = TriggerAlert(alert=facts(rule_id=OTHER))
TRIGGER = TriggerAlert(alert=facts(rule_id=RULE, error_id=ERROR))
RECOVER = RecoverAlert(rule_id=RULE, error_id=ERROR, app="default", at=LATER, reason="quiet")
QUEUE = QueueNotification(
    notification_id=NOTE,
    rule_id=RULE,
    rule_name="Rule",
    app="default",
    channel="webhook",
    at=START,
    message=Message("alert", "Rule", "6 occurrences within 5 minutes"),
    alerts=(),
    count=1,
)
FAIL = RecordFailed(notification_id=NOTE, attempt=1, at=START, reason="no", next_attempt_at=LATER)
SENT = RecordSent(notification_id=NOTE, attempt=2, at=LATER)


def log_of(*commands: Any) -> Log:
    log = Log()
    for command in commands:
        log.execute(command)
    return log


async def told(redis: Redis, *commands: Any, model: AlertHistory = MODEL) -> HistoryPage:
    await folded(redis, model, log_of(*commands).events)
    return await HistoryQueries(redis, model.keyspace()).of(RULE, 10)


async def test_a_rule_tells_what_it_did_newest_first(redis: Redis) -> None:
    page = await told(redis, CREATE, TRIGGER, RECOVER)
    recovered, triggered = (one.entry for one in page.told)
    assert (triggered.position, triggered.at, triggered.triggered) == (2, START, TRIGGER.alert)
    assert (recovered.position, recovered.at, recovered.error_id) == (3, LATER, ERROR)
    assert recovered.recovered and recovered.recovered.reason == "quiet"


async def test_a_notification_tells_each_attempt(redis: Redis) -> None:
    (one,) = (await told(redis, CREATE, QUEUE, FAIL, SENT)).told
    assert one.entry.queued and one.entry.queued.channel == "webhook"
    assert one.attempts == [
        Attempt(attempt=1, at=START, succeeded=False, reason="no", next_attempt_at=LATER),
        Attempt(attempt=2, at=LATER, succeeded=True),
    ]


async def test_a_notification_tells_which_one_sums_it_up(redis: Redis) -> None:
    both = msgspec.structs.replace(QUEUE, notification_id=OTHER, sums_up=(NOTE, UUID(int=99)))
    summary, summed_up = (await told(redis, CREATE, QUEUE, both)).told
    assert (summed_up.summed_up_by, summed_up.attempts) == (OTHER, [])
    assert summary.summed_up_by is None


async def test_a_rule_keeps_its_newest_entries(redis: Redis) -> None:
    triggers = [
        TriggerAlert(alert=facts(rule_id=RULE, at=START + timedelta(seconds=second)))
        for second in range(5)
    ]
    page = await told(redis, CREATE, QUEUE, *triggers, SENT, model=AlertHistory(kept=3))
    assert [one.entry.position for one in page.told] == [7, 6, 5]
    held = await content(redis)
    assert sorted(len(entries) for key, entries in held.items() if b"rules" not in key) == [3, 3]


async def test_a_deleted_rule_s_history_goes_on_while_it_is_among_the_last(redis: Redis) -> None:
    page = await told(redis, CREATE, TRIGGER, QUEUE, DELETE, RECOVER, SENT)
    assert [one.entry.position for one in page.told] == [5, 3, 2]
    assert [one.succeeded for one in page.told[1].attempts] == [True]
    queries = HistoryQueries(redis, MODEL.keyspace())
    assert await queries.app_of_deleted(RULE) == "default"
    assert await queries.app_of_deleted(OTHER) is None


async def test_a_forgotten_rule_leaves_nothing_whatever_comes_after(redis: Redis) -> None:
    model = AlertHistory(remembered=0)
    for late in ([], [RECOVER], [TRIGGER, QUEUE, SENT]):
        log = log_of(CREATE, TRIGGER, QUEUE, DELETE, *late)
        for page in (log.events[:3], log.events[3:4], log.events[4:]):
            await folded(redis, model, page)
        assert await content(redis) == {}


async def test_the_rules_deleted_last_are_kept(redis: Redis) -> None:
    model = AlertHistory(remembered=1)
    log = log_of(CREATE, CREATE_OTHER, TRIGGER, TRIGGER_OTHER, DELETE, DELETE_OTHER)
    await folded(redis, model, log.events)
    queries = HistoryQueries(redis, model.keyspace())
    assert (await queries.of(RULE, 10)).told == []
    assert [one.entry.position for one in (await queries.of(OTHER, 10)).told] == [4]


async def test_pages_go_on_where_the_last_ended(redis: Redis) -> None:
    await told(redis, CREATE, TRIGGER, RECOVER, QUEUE)
    queries = HistoryQueries(redis, MODEL.keyspace())
    first = await queries.of(RULE, 2)
    assert ([one.entry.position for one in first.told], first.next_before) == ([4, 3], 3)
    second = await queries.of(RULE, 2, first.next_before)
    assert ([one.entry.position for one in second.told], second.next_before) == ([2], None)
    assert (await queries.of(OTHER, 2)).told == []


SUM_UP = msgspec.structs.replace(QUEUE, notification_id=OTHER, sums_up=(NOTE,))
_commands = st.sampled_from(
    [DELETE, TRIGGER, RECOVER, QUEUE, FAIL, SENT, SUM_UP, TRIGGER_OTHER, DELETE_OTHER]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(commands=st.lists(_commands, max_size=30), cuts=st.sets(st.integers(1, 30)))
async def test_pages_of_any_size_leave_the_same_content(
    redis: Redis, commands: list[Any], cuts: set[int]
) -> None:
    log = Log()
    for command in [CREATE, CREATE_OTHER, *commands]:
        _execute(log, command)
    model = AlertHistory(kept=2, remembered=1)
    contents = []
    for inner in (set(), cuts):
        await redis.flushall()
        borders = [0, *sorted(cut for cut in inner if cut < len(log.events)), len(log.events)]
        for start, end in pairwise(borders):
            await folded(redis, model, log.events[start:end])
        contents.append(await content(redis))
    assert contents[0] == contents[1]


def _execute(log: Log, command: Any) -> None:
    """As the store would; a refusal is no event."""
    with suppress(DomainError):
        log.execute(command)
