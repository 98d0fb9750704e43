"""Whether an integration works, by its last test or the last notification since."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.delivery import QueueNotification, RecordFailed, RecordSent, not_configured
from domain.integration import (
    ClearIntegration,
    ConfigureIntegration,
    RecordIntegrationTest,
    Sealed,
)
from domain.notification import Message
from projections.directory.integrations import IntegrationQueries, Integrations
from tests.projections.helpers import START, Log, content, folded

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from domain.message import Command

MODEL = Integrations()
WORKS = RecordIntegrationTest(integration="slack", digest="digest", succeeded=True)
CLEAR = ClearIntegration(integration="slack")


def configure(digest: str = "digest") -> ConfigureIntegration:
    sealed = Sealed("ciphertext", digest)
    return ConfigureIntegration(integration="slack", preview={"url": "***"}, sealed=sealed)


def sent(reason: str | None = None) -> list[Command]:
    """A notification that was taken, or not and why."""
    number = UUID(int=2 if reason else 1)
    queue = QueueNotification(
        notification_id=number,
        rule_id=UUID(int=1),
        rule_name="Rule",
        app="default",
        channel="slack",
        at=START,
        message=Message("alert", "Rule", "text"),
        alerts=(),
        count=1,
    )
    if reason is None:
        return [queue, RecordSent(notification_id=number, attempt=1, at=START)]
    return [queue, RecordFailed(notification_id=number, attempt=1, at=START, reason=reason)]


async def status(redis: Redis, *commands: Any) -> tuple[str, str | None]:
    log = Log()
    for command in commands:
        log.execute(command)
    await folded(redis, MODEL, log.events)
    found = await IntegrationQueries(redis, MODEL.keyspace()).one("slack")
    return found.status, found.reason


async def test_a_message_that_was_taken_connects_it(redis: Redis) -> None:
    assert await status(redis, configure(), *sent()) == ("connected", None)


async def test_a_message_that_was_not_taken_fails_it_with_the_reason(redis: Redis) -> None:
    assert await status(redis, configure(), WORKS, *sent("it is full")) == ("failing", "it is full")


async def test_a_test_is_newer_than_the_messages_before_it(redis: Redis) -> None:
    assert await status(redis, configure(), *sent("it is full"), WORKS) == ("connected", None)


async def test_another_configuration_is_not_known_to_work(redis: Redis) -> None:
    assert await status(redis, configure(), *sent(), configure("other")) == ("configured", None)


async def test_what_is_not_configured_does_not_fail(redis: Redis) -> None:
    assert await status(redis, *sent(not_configured("slack"))) == ("not_configured", None)
    assert await status(redis, configure(), *sent(), CLEAR) == ("not_configured", None)


_stories = st.sampled_from([[configure()], [configure("other")], [CLEAR], sent(), sent("full")])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(stories=st.lists(_stories, max_size=12), cuts=st.sets(st.integers(1, 24)))
async def test_pages_of_any_size_leave_the_same_content(
    redis: Redis, stories: list[list[Command]], cuts: set[int]
) -> None:
    log = Log()
    for story in stories:
        for command in story:
            log.execute(command)
    contents = []
    end = len(log.events)
    for inner in (set(), cuts):
        await redis.flushall()
        for first, last in pairwise([0, *sorted(cut for cut in inner if cut < end), end]):
            await folded(redis, MODEL, log.events[first:last])
        contents.append(await content(redis))
    assert contents[0] == contents[1]
