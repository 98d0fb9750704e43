"""The read model of incidents."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.incident import ChangeIncident, IncidentFacts, IncidentWish, OpenIncident
from projections.directory.incidents import (
    FieldChange,
    IncidentFilter,
    IncidentQueries,
    Incidents,
    ListedIncident,
    TimelineEntry,
)
from projections.paging import Wanted
from tests.projections.helpers import START, Log, content, folded

if TYPE_CHECKING:
    from redis.asyncio import Redis

INCIDENTS = Incidents()
FIRST, SECOND, THIRD = UUID(int=3), UUID(int=2), UUID(int=1)
ALICE = UUID(int=7)


def open_(incident_id: UUID, app: str = "default", **fields: Any) -> OpenIncident:
    wish = IncidentWish(**{"title": "Slow", **fields})
    return OpenIncident(incident_id=incident_id, app=app, wish=wish)


def change(incident_id: UUID, **fields: Any) -> ChangeIncident:
    return ChangeIncident(incident_id=incident_id, wish=IncidentWish(**fields))


async def listed(redis: Redis, only: IncidentFilter) -> list[UUID]:
    page = await IncidentQueries(redis, INCIDENTS.keyspace()).list(only, Wanted())
    return [incident.id for incident in page.entries]


async def test_an_incident_comes_with_its_timeline(redis: Redis) -> None:
    log = Log()
    log.execute(open_(FIRST))
    log.execute(change(FIRST, status="investigating", assigned_to=ALICE))
    await folded(redis, INCIDENTS, log.events)
    later = START + timedelta(seconds=1)
    assert await IncidentQueries(redis, INCIDENTS.keyspace()).one(FIRST) == (
        ListedIncident(
            id=FIRST,
            app="default",
            facts=IncidentFacts(title="Slow", status="investigating", assigned_to=ALICE),
            version=2,
            created_at=START,
            updated_at=later,
        ),
        [
            TimelineEntry(
                position=1,
                at=START,
                actor="key:test",
                event="IncidentOpened",
                changes=[
                    FieldChange("title", None, "Slow"),
                    FieldChange("severity", None, "medium"),
                    FieldChange("status", None, "open"),
                ],
            ),
            TimelineEntry(
                position=2,
                at=later,
                actor="key:test",
                event="IncidentChanged",
                changes=[
                    FieldChange("status", "open", "investigating"),
                    FieldChange("assigned_to", None, str(ALICE)),
                ],
            ),
        ],
    )


async def test_an_unknown_incident_is_none(redis: Redis) -> None:
    assert await IncidentQueries(redis, INCIDENTS.keyspace()).one(FIRST) is None


async def test_a_timeline_is_in_the_order_of_the_log(redis: Redis) -> None:
    log = Log()
    log.execute(open_(FIRST))
    for number in range(12):
        log.execute(change(FIRST, title=f"Slow {number}"))
    await folded(redis, INCIDENTS, log.events)
    found = await IncidentQueries(redis, INCIDENTS.keyspace()).one(FIRST)
    assert found is not None
    assert [entry.position for entry in found[1]] == list(range(1, 14))


async def test_incidents_are_listed_newest_first_and_filtered(redis: Redis) -> None:
    log = Log()
    log.execute(open_(FIRST, severity="low"))
    log.execute(open_(SECOND, app="shop"))
    log.execute(open_(THIRD, severity="low", assigned_to=ALICE))
    log.execute(change(FIRST, status="closed"))
    await folded(redis, INCIDENTS, log.events)
    for only, wanted in (
        (IncidentFilter(), [THIRD, SECOND, FIRST]),
        (IncidentFilter(severity="low"), [THIRD, FIRST]),
        (IncidentFilter(status="open"), [THIRD, SECOND]),
        (IncidentFilter(assigned_to=ALICE), [THIRD]),
        (IncidentFilter(app="shop"), [SECOND]),
        (IncidentFilter(app="default", severity="low", status="closed"), [FIRST]),
    ):
        assert await listed(redis, only) == wanted


async def test_a_cursor_walks_back_in_time_while_new_ones_arrive(redis: Redis) -> None:
    log = Log()
    for number in range(5):
        log.execute(open_(UUID(int=10 + number)))
    await folded(redis, INCIDENTS, log.events)
    queries = IncidentQueries(redis, INCIDENTS.keyspace())
    found: list[int] = []
    cursor = None
    for number in range(3):
        page = await queries.list(IncidentFilter(), Wanted(limit=2, cursor=cursor))
        found += [incident.id.int for incident in page.entries]
        cursor = page.next_cursor
        await folded(redis, INCIDENTS, log.execute(open_(UUID(int=20 + number))))
    assert (found, cursor) == ([14, 13, 12, 11, 10], None)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, 4)))
async def test_pages_of_any_size_leave_the_same_content(redis: Redis, cuts: set[int]) -> None:
    log = Log()
    log.execute(open_(FIRST))
    log.execute(open_(SECOND))
    log.execute(change(FIRST, status="resolved"))
    log.execute(change(SECOND, assigned_to=ALICE))
    log.execute(change(FIRST, status="closed", description="Done."))
    contents = []
    for borders in ([0, 5], [0, *sorted(cuts), 5]):
        await redis.flushall()
        for start, end in pairwise(borders):
            await folded(redis, INCIDENTS, log.events[start:end])
        contents.append(await content(redis))
    assert contents[0] == contents[1]
