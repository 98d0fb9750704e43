"""One scheduler of many works; another takes over when it dies, freezes or is cut off."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from infra.log_upkeep import close_month, keep_room
from infra.scheduler import Job, Scheduler, Session
from tests.waiting import eventually

PROJECT = Path(__file__).parents[2]
PARTITION = 1_000
LAST_MONTH = "date_trunc('month', now()) - interval '1 day'"

RUN = """
import os, sys, threading
from infra.scheduler import Job, Scheduler

def note(session):
    session.execute("INSERT INTO ran (pid) VALUES (%s)", [os.getpid()])

Scheduler(sys.argv[1], [Job("note", 0.1, note)], frozen_seconds=1).run(threading.Event())
"""


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """A session on the test's own database, with a table for jobs to write to."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE ran (pid int, at timestamptz DEFAULT clock_timestamp())")
        yield connection


@contextmanager
def scheduler_process(database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", RUN, database_url], cwd=PROJECT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def running(scheduler: Scheduler) -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def workers(session: Session, since: float = 60.0) -> set[int]:
    """The processes that did the job in the last seconds."""
    query = "SELECT DISTINCT pid FROM ran WHERE at > clock_timestamp() - make_interval(secs => %s)"
    return {pid for (pid,) in session.execute(query, [since])}


def note(session: Session) -> None:
    session.execute("INSERT INTO ran (pid) VALUES (0)")


def test_of_two_schedulers_only_the_leader_works(database_url: str, session: Session) -> None:
    with scheduler_process(database_url) as leader:
        assert eventually(lambda: workers(session) == {leader.pid})
        with scheduler_process(database_url):
            time.sleep(1.5)
            assert workers(session) == {leader.pid}


def test_a_standby_takes_over_within_two_seconds_of_the_leaders_death(
    database_url: str, session: Session
) -> None:
    with scheduler_process(database_url) as leader:
        assert eventually(lambda: workers(session) == {leader.pid})
        with scheduler_process(database_url) as standby:
            time.sleep(1.0)  # it has asked for the lock at least once
            leader.kill()
            assert eventually(lambda: standby.pid in workers(session), within=2.0)


def test_a_frozen_leader_loses_the_lead_and_does_not_work_when_it_wakes(
    database_url: str, session: Session
) -> None:
    with scheduler_process(database_url) as leader:
        assert eventually(lambda: workers(session) == {leader.pid})
        with scheduler_process(database_url) as standby:
            leader.send_signal(signal.SIGSTOP)
            assert eventually(lambda: standby.pid in workers(session), within=4.0)
            leader.send_signal(signal.SIGCONT)
            time.sleep(1.0)
            assert workers(session, since=0.8) == {standby.pid}


def test_a_job_that_fails_is_tried_again_and_the_others_go_on(
    database_url: str, session: Session
) -> None:
    tries: list[float] = []

    def fail(session: Session) -> None:
        tries.append(time.monotonic())
        if len(tries) % 2:
            session.execute("SELECT no_such_function()")
        raise ValueError("a bug")

    jobs = [Job("fails", 0.1, fail), Job("works", 0.1, note)]
    with running(Scheduler(database_url, jobs)):
        assert eventually(lambda: len(tries) >= 4)
        assert eventually(lambda: bool(workers(session)))


def test_a_leader_whose_session_was_ended_leads_again(database_url: str, session: Session) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
    with running(Scheduler(database_url, [Job("works", 0.1, note)])):
        assert eventually(lambda: bool(workers(session)))
        session.execute(end + " AND datname = current_database()", ["errata scheduler"])
        session.execute("TRUNCATE ran")
        assert eventually(lambda: bool(workers(session)))


def test_an_unreachable_database_is_waited_out(tmp_path: Path) -> None:
    scheduler = Scheduler(f"postgresql://nobody@/none?host={tmp_path}", [Job("works", 0.1, note)])
    with running(scheduler) as thread:
        time.sleep(1.2)
        assert thread.is_alive()
        assert not scheduler.leading


def partitions(session: Session) -> list[tuple[int, int, bool]]:
    return session.execute(
        "SELECT first_position, end_position, closed_at IS NOT NULL FROM log_partitions"
        " ORDER BY first_position"
    ).fetchall()


def fill(session: Session, first: int, last: int, recorded_at: str) -> None:
    session.execute(
        f"INSERT INTO events SELECT p, gen_random_uuid(), 1, 'AppRegistered', gen_random_uuid(),"
        f" {recorded_at}, '{{}}', '{{}}' FROM generate_series({first}, {last}) p"
    )
    session.execute(f"UPDATE log_head SET position = {last}, recorded_at = {recorded_at}")


def test_room_is_made_before_the_partition_is_full(session: Session) -> None:
    (_, end, _) = partitions(session)[-1]
    session.execute("UPDATE log_head SET position = %s", [end - 10])
    keep_room(session, PARTITION)
    assert partitions(session)[-1][1] >= end + PARTITION


def test_a_partition_is_closed_when_the_month_of_its_first_event_is_over(
    session: Session,
) -> None:
    fill(session, 1, 5, LAST_MONTH)
    fill(session, 6, 7, "now()")
    close_month(session, PARTITION)
    assert partitions(session) == [(1, 8, True), (8, 8 + PARTITION, False)]
    fill(session, 8, 9, "now()")  # there is room


def test_a_partition_of_this_month_stays_open(session: Session) -> None:
    fill(session, 1, 5, "now()")
    before = partitions(session)
    close_month(session, PARTITION)
    assert partitions(session) == before


def test_a_partition_without_events_stays_open(session: Session) -> None:
    session.execute(f"UPDATE log_partitions SET opened_at = {LAST_MONTH}")
    before = partitions(session)
    close_month(session, PARTITION)
    assert partitions(session) == before
