"""The read model of alert rules."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.alert import RecoverAlert, TriggerAlert
from domain.alert_rule import (
    ChangeAlertRule,
    CreateAlertRule,
    DeleteAlertRule,
    SilenceAlertRule,
)
from domain.failures import DomainError
from domain.rule_settings import RuleSettings, RuleWish
from projections.directory.rules import (
    AlertRules,
    ListedRule,
    RuleFilter,
    RuleQueries,
    Standing,
)
from projections.paging import Wanted
from tests.alerts import facts
from tests.projections.helpers import START, Log, content, folded

if TYPE_CHECKING:
    from redis.asyncio import Redis

RULES = AlertRules()
FIRST, SECOND, THIRD = UUID(int=3), UUID(int=2), UUID(int=1)
EARLY, LATE = UUID(int=8), UUID(int=9)


def create(rule_id: UUID, **fields: Any) -> CreateAlertRule:
    wish = {"name": "Rule", "condition": "error_count > 5 in 5m", **fields}
    return CreateAlertRule(rule_id=rule_id, wish=RuleWish(**wish))


def change(rule_id: UUID, **fields: Any) -> ChangeAlertRule:
    return ChangeAlertRule(rule_id=rule_id, wish=RuleWish(**fields))


def recover(rule_id: UUID, error_id: UUID) -> RecoverAlert:
    return RecoverAlert(rule_id=rule_id, error_id=error_id, app="default", at=START, reason="quiet")


async def listed(redis: Redis, only: RuleFilter, **wanted: Any) -> list[UUID]:
    page = await RuleQueries(redis, RULES.keyspace()).list(only, Wanted(**wanted))
    return [rule.id for rule in page.entries]


async def test_a_changed_rule_keeps_its_birth_and_counts_its_versions(redis: Redis) -> None:
    log = Log()
    log.execute(create(FIRST))
    log.execute(change(FIRST, enabled=False, condition="error_count > 6 in 1h"))
    await folded(redis, RULES, log.events)
    assert await RuleQueries(redis, RULES.keyspace()).one(FIRST) == ListedRule(
        id=FIRST,
        settings=RuleSettings(
            name="Rule",
            condition="error_count > 6 in 1h",
            threshold=6,
            time_window="1h",
            enabled=False,
        ),
        version=2,
        created_at=START,
        updated_at=START + timedelta(seconds=1),
    )


async def test_a_deleted_rule_is_gone(redis: Redis) -> None:
    log = Log()
    log.execute(create(FIRST))
    log.execute(create(SECOND))
    log.execute(DeleteAlertRule(rule_id=FIRST))
    await folded(redis, RULES, log.events)
    assert await RuleQueries(redis, RULES.keyspace()).one(FIRST) is None
    assert await listed(redis, RuleFilter()) == [SECOND]


async def test_rules_are_listed_by_age_and_filtered(redis: Redis) -> None:
    log = Log()
    log.execute(create(FIRST))
    log.execute(create(SECOND, app="shop"))
    log.execute(create(THIRD, enabled=False))
    await folded(redis, RULES, log.events)
    assert await listed(redis, RuleFilter()) == [FIRST, SECOND, THIRD]
    assert await listed(redis, RuleFilter(app="shop")) == [SECOND]
    assert await listed(redis, RuleFilter(enabled=True)) == [FIRST, SECOND]
    assert await listed(redis, RuleFilter(app="default", enabled=False)) == [THIRD]


async def test_a_cursor_goes_on_behind_its_page_whatever_came_and_went(redis: Redis) -> None:
    log = Log()
    for rule_id in (FIRST, SECOND, THIRD):
        log.execute(create(rule_id))
    await folded(redis, RULES, log.events)
    queries = RuleQueries(redis, RULES.keyspace())
    page = await queries.list(RuleFilter(), Wanted(limit=2))
    assert (page.total, [rule.id for rule in page.entries]) == (3, [FIRST, SECOND])
    await folded(redis, RULES, log.execute(DeleteAlertRule(rule_id=SECOND)))
    await folded(redis, RULES, log.execute(create(UUID(int=4))))
    rest = await queries.list(RuleFilter(), Wanted(limit=2, cursor=page.next_cursor))
    assert [rule.id for rule in rest.entries] == [THIRD, UUID(int=4)]
    assert (rest.total, rest.next_cursor) == (3, None)


async def test_a_cursor_belongs_to_its_list(redis: Redis) -> None:
    log = Log()
    log.execute(create(FIRST))
    log.execute(create(SECOND))
    await folded(redis, RULES, log.events)
    queries = RuleQueries(redis, RULES.keyspace())
    cursor = (await queries.list(RuleFilter(), Wanted(limit=1))).next_cursor
    for only, wanted in (
        (RuleFilter(enabled=True), Wanted(cursor=cursor)),
        (RuleFilter(), Wanted(cursor="made-up")),
        (RuleFilter(), Wanted(cursor="é")),
        (RuleFilter(), Wanted(cursor=cursor, offset=1)),
    ):
        with pytest.raises(ValueError, match="cursor"):
            await queries.list(only, wanted)


async def test_a_rule_stands_as_its_alerts_do(redis: Redis) -> None:
    log = Log()
    log.execute(create(FIRST))
    log.execute(create(SECOND))
    for error in (EARLY, LATE):
        log.execute(TriggerAlert(alert=facts(rule_id=FIRST, error_id=error)))
    last = facts(rule_id=FIRST, error_id=EARLY, at=START + timedelta(minutes=9), reminder=True)
    log.execute(TriggerAlert(alert=last))
    log.execute(recover(FIRST, LATE))
    log.execute(SilenceAlertRule(rule_id=FIRST, until=START + timedelta(days=1), now=START))
    await folded(redis, RULES, log.events)
    queries = RuleQueries(redis, RULES.keyspace())
    standing = Standing(last_triggered=START + timedelta(minutes=9), firing=1)
    first, second = (await queries.list(RuleFilter(), Wanted())).entries
    assert (first.standing, first.silenced_until) == (standing, START + timedelta(days=1))
    assert (second.standing, second.silenced_until) == (Standing(), None)
    assert await queries.one(FIRST) == first
    assert await queries.standing(FIRST) == standing


async def test_nothing_of_a_deleted_rule_is_left_once_its_alerts_have_ended(redis: Redis) -> None:
    log = Log()
    log.execute(create(FIRST))
    log.execute(SilenceAlertRule(rule_id=FIRST, until=START + timedelta(days=1), now=START))
    log.execute(TriggerAlert(alert=facts(rule_id=FIRST, error_id=EARLY)))
    log.execute(DeleteAlertRule(rule_id=FIRST))
    log.execute(recover(FIRST, EARLY))
    for one in log.events:
        await folded(redis, RULES, [one])
    assert await content(redis) == {}


_commands = st.sampled_from(
    [
        create(FIRST),
        create(SECOND),
        change(FIRST, threshold=9, condition="error_count > threshold in 5m"),
        change(FIRST, enabled=False),
        DeleteAlertRule(rule_id=SECOND),
        SilenceAlertRule(rule_id=FIRST, until=START + timedelta(days=1), now=START),
        SilenceAlertRule(rule_id=FIRST, until=None, now=START),
        *(
            command
            for rule in (FIRST, SECOND)
            for error in (EARLY, LATE)
            for command in (
                TriggerAlert(alert=facts(rule_id=rule, error_id=error)),
                recover(rule, error),
            )
        ),
    ]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(commands=st.lists(_commands, max_size=30), cuts=st.sets(st.integers(1, 30)))
async def test_pages_of_any_size_leave_the_same_content(
    redis: Redis, commands: list[Any], cuts: set[int]
) -> None:
    log = Log()
    for command in commands:
        with suppress(DomainError):
            log.execute(command)
    contents = []
    end = len(log.events)
    for inner in (set(), cuts):
        await redis.flushall()
        for first, last in pairwise([0, *sorted(cut for cut in inner if cut < end), end]):
            await folded(redis, RULES, log.events[first:last])
        contents.append(await content(redis))
    assert contents[0] == contents[1]
