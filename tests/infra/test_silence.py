"""Connections on which the server says nothing for too long."""

from __future__ import annotations

from time import monotonic

import psycopg
import pytest

from infra.silence import Silent, hung_up_after

FOR_EVER = "SELECT pg_sleep(600)"


async def test_who_waits_in_an_event_loop_hears_that_nobody_answers(database_url: str) -> None:
    began = monotonic()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        with (
            pytest.raises(Silent, match=r"no answer within 0\.1 s"),
            hung_up_after(0.1, connection),
        ):
            await connection.execute(FOR_EVER)
        assert connection.closed
    assert monotonic() - began < 1.0


async def test_who_waits_within_a_pipeline_hears_it_too(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        with pytest.raises(Silent), hung_up_after(0.1, connection):
            async with connection.pipeline():
                await connection.execute(FOR_EVER)


def test_who_waits_in_a_thread_hears_it_too(database_url: str) -> None:
    began = monotonic()
    with psycopg.connect(database_url, autocommit=True) as connection:
        with pytest.raises(Silent), hung_up_after(0.1, connection):
            connection.execute(FOR_EVER)
        assert connection.closed
    assert monotonic() - began < 1.0


async def test_what_is_done_in_time_leaves_the_connection_as_it_was(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        with hung_up_after(0.05, connection):
            await connection.execute("SELECT 1")
        await connection.execute("SELECT pg_sleep(0.1)")
    with psycopg.connect(database_url, autocommit=True) as other:
        with hung_up_after(0.05, other):
            other.execute("SELECT 1")
        other.execute("SELECT pg_sleep(0.1)")


async def test_what_the_server_refuses_stays_what_it_is(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        with pytest.raises(psycopg.DataError), hung_up_after(30, connection):
            await connection.execute("SELECT 1 / 0")
