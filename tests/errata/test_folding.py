"""Filling: large pages folded side by side leave what a runner leaves, wherever they stop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest
import redis

from domain.failures import NotFound
from errata import far_behind, folding
from errata.far_behind import fill_far_behind
from errata.folding import Beside, FolderEnded, Here, Source, folders
from errata.worker import DecodedLog
from infra.event_store.subscription import Subscription
from projections.digests import Digest, digest
from projections.filling import Overtaken, Request, fill
from projections.projection import CLEARING, Keyspace
from projections.registry import READ_MODELS
from projections.runner import Runner
from tests.faults.load import any_command
from tests.reports import SOMEBODY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.event_store.store import EventStore

EVENTS = 2_500
LIVE = [model.keyspace() for model in READ_MODELS]
ASIDE = [Keyspace(f"{model.name}@test", 1) for model in READ_MODELS]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as one:
        yield one


@pytest.fixture
async def source(database_url: str, store: EventStore, tmp_path: Any) -> Source:
    """A log of reports, resolutions, reopenings and deletions of 400 errors."""
    dice = Random(6)
    while await store.head() < EVENTS:
        commands = [any_command(dice, 400) for _ in range(500)]
        waiting = (store.execute(command, SOMEBODY) for command in commands)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        odd = [one for one in answers if isinstance(one, BaseException)]
        assert all(isinstance(one, NotFound) for one in odd)
    return Source(database_url, str(tmp_path))


def head_of(source: Source) -> int:
    with closing(Subscription(source.database_url)) as log:
        return log.head()


def run_live(client: redis.Redis, source: Source) -> list[Digest]:
    """What a runner makes of the log, in small pages."""
    with closing(Subscription(source.database_url)) as log:
        runner = Runner(DecodedLog(log), client, READ_MODELS, page_events=300)
        while runner.step():
            pass
    return held(client, LIVE)


def held(client: redis.Redis, keyspaces: Sequence[Keyspace]) -> list[Digest]:
    return [digest(client, keyspace) for keyspace in keyspaces]


def positions(client: redis.Redis, keyspaces: Sequence[Keyspace]) -> set[int]:
    found: Any = client.mget([keyspace.checkpoint for keyspace in keyspaces])
    return {int(at or 0) for at in found}


async def test_one_folder_leaves_what_a_runner_leaves(client: redis.Redis, source: Source) -> None:
    head, told = head_of(source), []
    with folders(source, head) as one:
        assert len(one) == 1
        assert fill(client, ASIDE, head, one, progress=told.append) is None
    assert held(client, ASIDE) == run_live(client, source)
    assert positions(client, ASIDE) == {head}
    assert told[-1] == head
    assert len(told) > 1


async def test_large_events_are_folded_piece_by_piece_to_the_same_end(
    client: redis.Redis, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "PAGE_EVENTS", 70)
    monkeypatch.setattr(folding, "MOST_BYTES", 100_000)
    head = head_of(source)
    with closing(Here(source)) as one:
        assert fill(client, ASIDE, head, [one]) is None
    assert held(client, ASIDE) == run_live(client, source)


async def test_two_processes_leave_what_a_runner_leaves(
    client: redis.Redis, source: Source
) -> None:
    head = head_of(source)
    with closing(Beside(source)) as one, closing(Beside(source)) as other:
        assert fill(client, ASIDE, head, [one, other]) is None
    assert held(client, ASIDE) == run_live(client, source)


async def test_a_cancelled_filling_goes_on_where_it_was(
    client: redis.Redis, source: Source
) -> None:
    """Also where some of the versions stand elsewhere; the folders are free for the next."""
    head = head_of(source)
    with closing(Here(source)) as one, closing(Here(source)) as other:
        both = [one, other]
        assert fill(client, ASIDE, head, both, cancelled=lambda: True) is None
        assert positions(client, ASIDE) == {1_000}
        assert fill(client, ASIDE[:3], head, both) is None
        assert fill(client, ASIDE, head, both) is None
    assert positions(client, ASIDE) == {head}
    assert held(client, ASIDE) == run_live(client, source)


async def test_who_was_overtaken_writes_nothing(client: redis.Redis, source: Source) -> None:
    """Another filler took over between two pages of ours."""

    before: list[Digest] = []

    def take_over(position: int) -> None:
        client.set(ASIDE[0].checkpoint, position + 1)
        before.extend(held(client, ASIDE))

    with closing(Here(source)) as one, pytest.raises(Overtaken):
        fill(client, ASIDE, head_of(source), [one], progress=take_over)
    assert held(client, ASIDE) == before
    assert positions(client, ASIDE) == {1_000, 1_001}


async def test_an_unreadable_event_ends_the_filling_before_its_page(
    client: redis.Redis, source: Source
) -> None:
    with psycopg.connect(source.database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # else it is refused
        connection.execute("UPDATE events SET name = 'Unheard' WHERE position = 1500")
    with closing(Here(source)) as one:
        failure = fill(client, ASIDE, head_of(source), [one])
    assert failure is not None
    assert "1500" in failure
    assert "no such event name" in failure
    assert positions(client, ASIDE) == {1_000}


async def test_half_a_page_is_marked_as_nothing(client: redis.Redis, source: Source) -> None:
    """Redis does not undo a transaction in which one command failed."""
    client.set(f"{ASIDE[0].prefix}documents", "not a hash")
    with closing(Here(source)) as one, pytest.raises(redis.ResponseError):
        fill(client, ASIDE, head_of(source), [one])
    assert positions(client, ASIDE) == {CLEARING}


def test_a_process_that_ended_is_told_of() -> None:
    nowhere = Source("postgresql://nobody@/?host=/nowhere", "")
    with closing(Beside(nowhere)) as one, pytest.raises(FolderEnded):
        one.ask(Request(0, 1, (ASIDE[0],)))
        one.answer()


async def test_a_worker_fills_what_is_far_behind(
    client: redis.Redis, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an emptied Redis lacks comes in large pages; what is near is left to the runner."""
    monkeypatch.setattr(far_behind, "FAR_EVENTS", 2_000)
    head = head_of(source)
    for keyspace in LIVE:
        client.set(keyspace.checkpoint, 0)
    client.set(LIVE[0].checkpoint, head - 1_999)
    client.set(LIVE[1].checkpoint, CLEARING)
    client.delete(LIVE[2].checkpoint)
    asked: list[bool] = []
    assert fill_far_behind(client, source, LIVE, head, lambda: not asked.append(True))
    found: Any = client.mget([keyspace.checkpoint for keyspace in LIVE])
    assert [at and int(at) for at in found[:3]] == [head - 1_999, CLEARING, None]
    assert {int(at) for at in found[3:]} == {head}
    assert len(asked) > 1
    filled = held(client, LIVE[3:])
    client.flushall()
    assert run_live(client, source)[3:] == filled


async def test_a_worker_that_cannot_fill_leaves_it_to_the_runner(
    client: redis.Redis, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(far_behind, "FAR_EVENTS", 2_000)
    with psycopg.connect(source.database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM events WHERE position = 700")
    for keyspace in LIVE:
        client.set(keyspace.checkpoint, 0)
    assert not fill_far_behind(client, source, LIVE, head_of(source), lambda: True)
    assert positions(client, LIVE) == {0}


async def test_closing_ends_a_process_in_the_middle_of_an_answer(source: Source) -> None:
    one = Beside(source)
    one.ask(Request(0, EVENTS, (ASIDE[0],)))
    one.close()


def test_a_folding_process_does_not_outlive_who_asked_it(database_url: str) -> None:
    code = (
        "from errata.folding import Beside, Source; import sys, time, psutil\n"
        "kept = Beside(Source(sys.argv[1], ''))\n"
        "print(psutil.Process().children()[0].pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, database_url], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        folding = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        assert psutil.wait_procs([folding], timeout=10)[1] == []
