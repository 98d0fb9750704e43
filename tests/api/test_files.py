"""Answers that are files: chosen by Accept, sent in pieces, ended when the client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest

from api.call import Call
from api.files import File, file, wanted_format
from domain.failures import NotFound
from infra.history import in_threads
from tests.waiting import PATIENCE

SCOPE: Any = {}


class Source:
    """Pieces without an end, and whether anybody still wants them."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = False

    def pieces(self) -> Iterator[bytes]:
        try:
            while True:
                self.given += 1
                yield b"piece"
        finally:
            self.closed = True


class Client:
    """Takes some messages and goes away."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._gone = asyncio.Event()
        self.messages: list[Any] = []

    async def receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        if len(self.messages) == self._patience:
            self._gone.set()


async def test_a_file_ends_when_the_client_goes_away() -> None:
    source, client = Source(), Client(patience=5)
    answer = await file(in_threads(source.pieces()), "ndjson", "audit")
    async with asyncio.timeout(PATIENCE):
        await answer(SCOPE, client.receive, client.send)
    assert source.closed
    assert source.given < 20
    assert client.messages[-1]["more_body"]  # nobody is told that it was whole


async def test_a_file_that_nobody_waits_for_any_more_is_closed() -> None:
    source, client = Source(), Client(patience=1_000_000)
    answer = await file(in_threads(source.pieces()), "csv", "audit")
    sending = asyncio.create_task(answer(SCOPE, client.receive, client.send))
    await asyncio.sleep(0.05)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(PATIENCE):
            await sending
    assert source.closed


async def test_what_fails_before_the_first_piece_is_no_file() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        raise NotFound("no such thing")
        yield b""

    with pytest.raises(NotFound):
        await file(pieces(), "csv", "audit")


async def test_a_file_names_itself() -> None:
    source = Source()
    answer = await file(in_threads(source.pieces()), "csv", "errata-audit")
    assert isinstance(answer, File)
    assert (b"content-type", b"text/csv; charset=utf-8") in answer.headers
    assert (b"content-disposition", b'attachment; filename="errata-audit.csv"') in answer.headers


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, None),
        ("*/*", None),
        ("application/json", None),
        ("application/x-ndjson", "ndjson"),
        ("text/html, Text/CSV;q=0.9", "csv"),
        ("application/json, text/csv", None),
        ("text/csv, application/x-ndjson", "csv"),
        ("image/png", None),
    ],
)
def test_accept_chooses_the_format(accept: str | None, form: str | None) -> None:
    class Asked:
        def header(self, name: bytes) -> str | None:
            return accept

    assert wanted_format(cast("Call", Asked())) == form
