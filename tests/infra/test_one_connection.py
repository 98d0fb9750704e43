"""The one connection for rare statements: that it ended between two of them costs no answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from infra.one_connection import OneConnection

NAME = "errata test"


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[OneConnection]:
    opened = OneConnection(database_url, NAME)
    yield opened
    await opened.close()


def end_sessions(database_url: str) -> int:
    """End every session of the connection, as a restart of the server does."""
    with psycopg.connect(database_url, autocommit=True) as other:
        return other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = %s",
            (NAME,),
        ).rowcount


async def test_a_connection_that_ended_while_it_was_idle_is_opened_anew(
    connection: OneConnection, database_url: str
) -> None:
    assert await connection.row("SELECT 1") == (1,)
    assert end_sessions(database_url) == 1
    assert await connection.row("SELECT 2") == (2,)


async def test_a_statement_that_ends_its_session_is_tried_once_more_and_no_oftener(
    connection: OneConnection,
) -> None:
    await connection.row("CREATE SEQUENCE tries")
    with pytest.raises(psycopg.OperationalError):
        await connection.row("SELECT nextval('tries'), pg_terminate_backend(pg_backend_pid())")
    assert await connection.row("SELECT last_value FROM tries") == (2,)


async def test_what_the_server_refuses_is_not_tried_again(connection: OneConnection) -> None:
    await connection.row("CREATE SEQUENCE tries")
    with pytest.raises(psycopg.DataError):
        await connection.row("SELECT nextval('tries'), 1 / (SELECT 0)")
    assert await connection.row("SELECT last_value FROM tries") == (1,)


async def test_a_server_that_was_never_there_fails_at_once() -> None:
    away = OneConnection("postgresql://errata@127.0.0.1:1/errata", NAME)
    with pytest.raises(psycopg.OperationalError):
        await away.row("SELECT 1")
